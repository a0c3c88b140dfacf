// For whom a video is, and that the person filmed has agreed: chosen session, or a tick of its own.

import { byId, el, showLine } from "/static/viewer/dom.js";
import { consentLine, fillSelect, loadSessions, sessionOptions } from "./records.js";
import { coder, remember, remembered } from "./shell.js";

/**
 * Makes the fields of consent.html.jinja work. Gives {refresh, problem, values}: refresh() loads the
 * sessions, problem() is the line to show or null, values() are the parameters of the upload.
 */
export function consentFields() {
  const [session, agreed, by] = ["session", "agreed", "noted-by"].map(byId);
  let sessions = [];
  const show = () => {
    byId("own-consent").hidden = Boolean(session.value);
    showLine(byId("session-consent"), session.value && consentLine(sessions.find(({ id }) => id === session.value).consent));
  };
  by.value = coder();
  session.addEventListener("change", () => {
    remember("session", session.value);
    show();
  });
  document.addEventListener("coder", () => { by.value ||= coder(); });
  return {
    async refresh() {
      sessions = await loadSessions();
      fillSelect(session, el("option", { value: "" }, "No session"), sessionOptions(sessions, { needConsent: true, chosen: remembered("session") }));
      show();
    },
    problem() {
      if (session.value) return null;
      const missing = !agreed.checked ? agreed : !by.value.trim() ? by : null;
      for (const field of [agreed, by]) field.setAttribute("aria-invalid", String(field === missing));
      missing?.focus();
      if (missing === agreed) return "expected consent, got none; tick that the person has agreed, or choose a session";
      return missing && "expected who noted the consent, got nothing; type a name";
    },
    values() {
      if (session.value) return { session_id: session.value };
      return { consent: true, noted_by: by.value.trim(), note: byId("consent-note").value.trim() };
    },
  };
}
