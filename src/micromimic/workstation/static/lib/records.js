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

/** Sessions as options grouped by subject; those without consent cannot be chosen. */
export function sessionOptions(sessions, { chosen = "", needConsent = false } = {}) {
  const option = ({ id, title, held_on: day, consent }) => {
    const refused = needConsent && !consent.given;
    return el("option", { value: id, disabled: refused, selected: id === chosen }, `${formatDate(day)}, ${title || "untitled"}${refused ? " (no consent noted)" : ""}`);
  };
  const groups = Map.groupBy(sessions, (session) => session.subject_code);
  return [...groups].map(([code, own]) => el("optgroup", { label: code }, own.map(option)));
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
