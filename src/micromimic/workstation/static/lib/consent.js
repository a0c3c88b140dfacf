// For whom a video is, and that the person filmed has agreed: chosen session, or a tick of its own.

import { el } from "/static/viewer/dom.js";
import { consentLine, fillSelect, loadSessions, sessionOptions } from "./records.js";
import { coder, remember, remembered } from "./shell.js";

/**
 * Fills `place` with the fields. Gives {refresh, problem, values}: refresh() loads the sessions,
 * problem() is the line to show or null, values() are the parameters of the upload.
 */
export function consentFields(place) {
  const session = el("select", { id: "session" }, el("option", { value: "" }, "No session"));
  const known = el("p", { class: "hint", hidden: true });
  const tick = el("input", { id: "agreed", type: "checkbox" });
  const by = el("input", { id: "noted-by", type: "text", maxlength: "64", autocomplete: "off", value: coder() });
  const note = el("input", { id: "consent-note", type: "text", maxlength: "500", autocomplete: "off", placeholder: "such as: signed form 12" });
  const own = el("div", { class: "stack own-consent" },
    el("label", { class: "tick" }, tick, el("span", {}, "The person filmed has agreed to this recording and its analysis.")),
    el("div", { class: "fields" },
      el("div", { class: "field" }, el("label", { for: "noted-by" }, "Consent noted by"), by),
      el("div", { class: "field" }, el("label", { for: "consent-note" }, "Ground (optional)"), note)));
  place.replaceChildren(el("div", { class: "stack" },
    el("div", { class: "field" }, el("label", { for: "session" }, "Subject and session"), session, known), own));

  let sessions = [];
  const current = () => sessions.find((s) => s.id === session.value) ?? null;
  const show = () => {
    own.hidden = Boolean(session.value);
    known.hidden = !session.value;
    known.textContent = current() ? consentLine(current().consent) : "";
  };
  session.addEventListener("change", () => { remember("session", session.value); show(); });
  document.addEventListener("coder", () => { if (!by.value) by.value = coder(); });
  show();

  return {
    async refresh() {
      sessions = await loadSessions();
      fillSelect(session, el("option", { value: "" }, "No session"),
        sessionOptions(sessions, { needConsent: true, chosen: remembered("session") }));
      show();
    },
    problem() {
      if (session.value) return null;
      const missing = !tick.checked ? tick : !by.value.trim() ? by : null;
      for (const field of [tick, by]) field.setAttribute("aria-invalid", String(field === missing));
      missing?.focus();
      if (missing === tick) return "expected consent, got none; tick that the person has agreed, or choose a session";
      return missing ? "expected who noted the consent, got nothing; type a name" : null;
    },
    values() {
      if (session.value) return { session_id: session.value };
      return { consent: true, noted_by: by.value.trim(), note: note.value.trim() };
    },
  };
}
