// Subjects, sessions and recordings as pages show them.

import { api } from "./api.js";
import { option } from "./forms.js";
import { formatDay, formatMoment } from "./words.js";

/** All sessions with their subject's code, ordered by code and then newest first. */
export async function loadSessions(subject = "") {
  const { sessions } = await api("/sessions", { query: { subject_id: subject } });
  return sessions.sort((a, b) =>
    a.subject_code.localeCompare(b.subject_code, "en", { numeric: true }) || b.held_on.localeCompare(a.held_on));
}

export async function loadSubjects() {
  const { subjects } = await api("/subjects");
  return subjects.sort((a, b) => a.code.localeCompare(b.code, "en", { numeric: true }));
}

const PAGE = 200;

/** Every recording, page by page, newest first; `some` is called with those that have come, after each page. */
export async function loadRecordings(query = {}, some = (_recordings) => {}) {
  const all = new Map(); // by id: one that comes in meanwhile moves the pages
  for (let offset = 0; ; offset += PAGE) {
    const { recordings, total } = await api("/recordings", { query: { ...query, limit: PAGE, offset } });
    for (const recording of recordings) all.set(recording.id, recording);
    some([...all.values()]);
    if (!recordings.length || offset + PAGE >= total) return [...all.values()];
  }
}

/** A session, or the session of a recording, wherever it is named: "P04 - control - 20 Nov". */
export function sessionName({ subject_code: code, condition = "", title = "", session_title: own = title, held_on: day }) {
  return [code, condition || own || "untitled", formatDay(day)].join(" - ");
}

/** Sessions as options; those without consent cannot be chosen. Two of one name tell their titles too. */
export function sessionOptions(sessions, { chosen = "", needConsent = false } = {}) {
  const names = Map.groupBy(sessions, sessionName);
  return sessions.map((session) => {
    const refused = needConsent && !session.consent.given, name = sessionName(session);
    const title = names.get(name).length > 1 && session.condition && session.title ? `, ${session.title}` : "";
    return option(session.id, `${name}${title}${refused ? " (no consent noted)" : ""}`, { disabled: refused, selected: session.id === chosen });
  });
}

/** Has this coder said of a recording: I have watched it all? */
export const finishedBy = (recording, coder) => recording.progress.some((one) => one.coder === coder && one.done);

/** What this coder is to review next: what was begun first, then the oldest; null where all is finished. `after`: not this one. */
export async function nextRecording(coder, after = "") {
  const open = (await loadRecordings()).filter((r) => r.id !== after && r.events !== null && !finishedBy(r, coder)).reverse();
  const begun = open.find((r) => r.progress.some((one) => one.coder === coder));
  return begun ?? open[0] ?? null;
}

/** Who noted consent and when, in one line. */
export function consentLine(consent) {
  if (!consent.given) return "No consent noted.";
  const by = consent.noted_by ? ` by ${consent.noted_by}` : "";
  const when = consent.noted_at ? `, ${formatMoment(consent.noted_at)}` : "";
  return `Consent noted${by}${when}${consent.note ? `: ${consent.note}` : ""}.`;
}
