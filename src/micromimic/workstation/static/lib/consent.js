// For whom a video is, and that the person filmed has agreed: chosen session, or a tick of its own.

import { byId, showLine } from "/static/viewer/dom.js";
import { showError } from "./dialogs.js";
import { fillSelect, option } from "./forms.js";
import { consentLine, loadSessions, sessionOptions } from "./records.js";
import { coder } from "./shell.js";
import { editSession } from "./subjects.js";

/**
 * Makes the fields of consent.html.jinja work. Gives {sessions, refresh, reset, show, problem, noted,
 * values}: refresh() loads the sessions; reset() chooses none, since the next video may be another
 * person's; problem() is the line to show or null; values() are the parameters of the upload, noted()
 * who noted a consent of its own and where. `need()`: is that asked for? Where no session is chosen.
 */
export function consentFields(need = () => !byId("session").value) {
  const [session, agreed, by] = ["session", "agreed", "noted-by"].map(byId);
  const fields = {
    sessions: [],
    async refresh(chosen = "") {
      fields.sessions = await loadSessions();
      fillSelect(session, option("", "No session"), sessionOptions(fields.sessions, { needConsent: true }));
      if (chosen) session.value = chosen;
      fields.show();
    },
    reset() {
      session.value = "";
      agreed.checked = false;
      fields.show();
    },
    show() {
      byId("own-consent").hidden = !need();
      showLine(byId("session-consent"), session.value && consentLine(fields.sessions.find(({ id }) => id === session.value).consent));
    },
    problem() {
      if (!need()) return null;
      const missing = !agreed.checked ? agreed : !by.value.trim() ? by : null;
      for (const field of [agreed, by]) field.setAttribute("aria-invalid", String(field === missing));
      missing?.focus();
      if (missing === agreed) return "expected consent, got none; tick that the person has agreed, or choose a session";
      return missing && "expected who noted the consent, got nothing; type a name";
    },
    noted: () => ({ noted_by: by.value.trim(), note: byId("consent-note").value.trim() }),
    values: () => (session.value ? { session_id: session.value } : { consent: true, ...fields.noted() }),
  };
  async function add() {
    const made = await editSession();
    if (made) await fields.refresh(made.consent.given ? made.id : "");
    session.dispatchEvent(new Event("change"));
    session.focus();
  }
  by.value = coder();
  session.addEventListener("change", fields.show);
  byId("new-session").addEventListener("click", () => add().catch(showError));
  document.addEventListener("coder", () => { by.value ||= coder(); });
  return fields;
}
