// Questions about subjects and sessions, asked where they are needed.

import { all, byId } from "/static/viewer/dom.js";
import { api } from "./api.js";
import { ask } from "./dialogs.js";
import { option } from "./forms.js";
import { loadSessions, loadSubjects } from "./records.js";
import { coder } from "./shell.js";
import { today } from "./words.js";

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
  const body = fields("session-form", { held_on: today(), ...session, given: before?.given, noted_by: before?.noted_by || coder(), ground: before?.note });
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
