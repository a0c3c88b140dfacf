// Questions about subjects and sessions, asked where they are needed.

import { el } from "/static/viewer/dom.js";
import { api } from "./api.js";
import { ask, confirmThat, fieldsOf } from "./dialogs.js";
import { option } from "./forms.js";
import { loadRecordings, loadSessions, loadSubjects, sessionName } from "./records.js";
import { coder } from "./shell.js";
import { plural, today } from "./words.js";

const save = (path, record, json) =>
  record ? api(`${path}/${record.id}`, { method: "PATCH", json }) : api(path, { method: "POST", json });

/** Adds a subject, or changes one; gives the record, or null when cancelled. */
export async function editSubject(subject = null) {
  let saved = null;
  await ask({
    title: subject ? `Edit ${subject.code}` : "Add a subject",
    body: fieldsOf("subject-form", subject ?? {}),
    check: async (json) => { saved = await save("/subjects", subject, json); },
  });
  return saved;
}

/** The subject of a code: one that is here, or a new one. */
async function subjectOf(code) {
  const found = (await loadSubjects()).find((subject) => subject.code === code);
  return found ?? api("/subjects", { method: "POST", json: { code } });
}

const options = (words) => [...new Set(words)].filter(Boolean).map((value) => option(value));

/** Adds a session, of a subject or of the one whose code is typed, or changes one; gives the record, or null when cancelled. */
export async function editSession(subject = null, session = null) {
  const [subjects, sessions] = await Promise.all([loadSubjects(), loadSessions()]);
  const before = session?.consent;
  const body = fieldsOf("session-form", { held_on: today(), ...session, given: before?.given, noted_by: before?.noted_by || coder(), ground: before?.note });
  body.querySelector("#session-conditions").append(...options(sessions.map(({ condition }) => condition)));
  if (subject || session) body.querySelector("[data-of=subject]").remove();
  else askSubject(body, subjects.map(({ code }) => code));
  let saved = null;
  await ask({
    title: session ? "Edit session" : subject ? `Add a session of ${subject.code}` : "New session",
    body,
    check: async ({ subject: code, given, noted_by: by, ground: note, ...json }) => {
      if (!json.title && !json.condition) return "expected a condition or a title, got neither; type what the session was";
      if (given && !by) return "expected who noted the consent, got nothing; type a name";
      // Consent that nobody touched keeps its own time of being noted.
      const same = before && before.given === given && before.noted_by === by && before.note === note;
      const consent = same ? {} : { consent: { given, noted_by: by, note } };
      const of = session ? {} : { subject_id: (subject ?? (await subjectOf(code))).id };
      saved = await save("/sessions", session, { ...of, ...json, ...consent });
      return null;
    },
  });
  return saved;
}

/** Says below the field whether the code is a new one. */
function askSubject(body, codes) {
  const field = body.querySelector("#session-subject"), hint = body.querySelector("#session-subject-hint");
  body.querySelector("#session-subjects").append(...options(codes));
  field.addEventListener("input", () => {
    const code = field.value.trim();
    const words = codes.includes(code) ? `${code} is here already.` : `${code} is new: the subject is added too.`;
    hint.textContent = code ? words : "A code that is here already, or a new one.";
  });
}

/** Asks, then removes a session with its recordings; gives whether it was. */
export function removeSession(session) {
  const one = session.recordings === 1;
  return confirmThat({
    title: "Remove this session?",
    body: el("p", {}, `${sessionName(session)}. `,
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
