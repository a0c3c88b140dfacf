// Subjects, sessions and recordings as pages show them.

import { api } from "./api.js";
import { el, fill } from "/static/viewer/dom.js";
import { formatDate, formatMoment } from "./words.js";

/** All sessions with their subject's code, ordered by code and then newest first. */
export async function loadSessions(subject = "") {
  const { sessions } = await api("/sessions", { query: { subject_id: subject } });
  return sessions.sort((a, b) =>
    a.subject_code.localeCompare(b.subject_code, "en", { numeric: true }) || b.held_on.localeCompare(a.held_on));
}

/** All subjects by code. */
export async function loadSubjects() {
  const { subjects } = await api("/subjects");
  return subjects.sort((a, b) => a.code.localeCompare(b.code, "en", { numeric: true }));
}

/** Every recording, page by page, newest first. */
export async function loadRecordings(query = {}) {
  const all = [];
  for (;;) {
    const { recordings, total } = await api("/recordings", { query: { ...query, limit: 100, offset: all.length } });
    all.push(...recordings);
    if (!recordings.length || all.length >= total) return all;
  }
}

/** "3 Nov 2026, first interview" */
export const sessionLabel = (session) => `${formatDate(session.held_on)}, ${session.title || "untitled"}`;

/** Sessions as options grouped by subject; those without consent cannot be chosen. */
export function sessionOptions(sessions, { chosen = "", needConsent = false } = {}) {
  const groups = new Map();
  for (const session of sessions) {
    if (!groups.has(session.subject_id)) groups.set(session.subject_id, el("optgroup", { label: session.subject_code }));
    const refused = needConsent && !session.consent.given;
    groups.get(session.subject_id).append(el("option", {
      value: session.id, disabled: refused, selected: session.id === chosen,
    }, sessionLabel(session) + (refused ? " (no consent noted)" : "")));
  }
  return [...groups.values()];
}

/** Fills a select and keeps what was chosen, where it is still there. */
export function fillSelect(select, ...options) {
  const before = select.value;
  fill(select, options);
  if ([...select.options].some((o) => o.value === before && !o.disabled)) select.value = before;
}

/** Who noted consent and when, in one line. */
export function consentLine(consent) {
  if (!consent.given) return "No consent noted.";
  const by = consent.noted_by ? ` by ${consent.noted_by}` : "";
  const when = consent.noted_at ? `, ${formatMoment(consent.noted_at)}` : "";
  return `Consent noted${by}${when}${consent.note ? `: ${consent.note}` : ""}.`;
}
