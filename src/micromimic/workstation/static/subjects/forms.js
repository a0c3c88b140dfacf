// Questions about subjects and sessions: what is asked, and what is done with the answers.

import { all, api, ask, byId, coder, confirmThat, el, formatDate, plural, today } from "../app.js";
import { loadRecordings } from "../lib/records.js";

/** The fields of a template of the page, filled in. */
function fields(id, values) {
  const body = byId(id).content.cloneNode(true);
  for (const field of all("[name]", body)) field[field.type === "checkbox" ? "checked" : "value"] = values[field.name] ?? "";
  return body;
}

/** Saves a new record, or the changes of one; gives what the server has then. */
const save = (path, record, json) =>
  record ? api(`${path}/${record.id}`, { method: "PATCH", json }) : api(path, { method: "POST", json });

/** Adds a subject, or changes one; gives the record, or null when cancelled. */
export async function editSubject(subject = null) {
  let saved = null;
  await ask({
    title: subject ? `Edit ${subject.code}` : "Add a subject",
    body: fields("subject-form", subject ?? {}),
    check: async (json) => { saved = await save("/subjects", subject, json); },
  });
  return saved;
}

/** Adds a session of a subject, or changes one; gives the record, or null when cancelled. */
export async function editSession(subject, session = null) {
  let saved = null;
  const before = session?.consent;
  await ask({
    title: session ? "Edit session" : `Add a session of ${subject.code}`,
    body: fields("session-form", { held_on: today(), ...session, given: before?.given, noted_by: before?.noted_by || coder(), ground: before?.note }),
    check: async ({ given, noted_by: by, ground: note, ...json }) => {
      if (given && !by) return "expected who noted the consent, got nothing; type a name";
      // Consent that nobody touched keeps its own time of being noted.
      const same = before && before.given === given && before.noted_by === by && before.note === note;
      const consent = same ? {} : { consent: { given, noted_by: by, note } };
      saved = await save("/sessions", session, { ...(session ? {} : { subject_id: subject.id }), ...json, ...consent });
      return null;
    },
  });
  return saved;
}

/** Asks, then removes a session with its recordings; gives whether it was. */
export function removeSession(session) {
  const one = session.recordings === 1;
  return confirmThat({
    title: "Remove this session?",
    body: el("p", {}, `${session.title || "Untitled"}, ${formatDate(session.held_on)}. `,
      session.recordings > 0 && `${plural(session.recordings, "recording")} with videos, results and decisions ${one ? "goes" : "go"} with it. `,
      "This cannot be undone."),
    action: "Remove",
    check: () => api(`/sessions/${session.id}`, { method: "DELETE" }).then(() => null),
  });
}

/** Shows what will be removed, asks for the code typed, then forgets; gives the counts or null. */
export async function forgetSubject(subject, sessions) {
  const recordings = await loadRecordings({ subject_id: subject.id });
  const coders = [...new Set(recordings.flatMap((r) => r.coders))];
  const names = recordings.slice(0, 5).map((r) => r.name).join(", ") + (recordings.length > 5 ? " and more" : "");
  const parts = [
    `the code ${subject.code} and its note`,
    sessions.length && `${plural(sessions.length, "session")} with the consent noted`,
    recordings.length && `${plural(recordings.length, "recording")}: videos, pictures, results: ${names}`,
    coders.length && `all decisions of ${coders.join(", ")} on them`,
  ].filter(Boolean);
  let counts = null;
  await confirmThat({
    title: `Forget ${subject.code}?`,
    body: [
      el("p", {}, "Every trace of this person is removed here, and its place in the database is overwritten:"),
      el("ul", { class: "bullets" }, parts.map((part) => el("li", {}, part))),
      el("p", { class: "hint" }, "Backups and files that were downloaded or exported are not reached: remove them too. This cannot be undone."),
    ],
    action: "Forget for good",
    typed: subject.code,
    check: async () => { counts = (await api(`/subjects/${subject.id}`, { method: "DELETE" })).forgotten; },
  });
  return counts;
}
