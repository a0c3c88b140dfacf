// Questions about subjects and sessions: what is asked, and what is done with the answers.

import { api, ask, coder, confirmThat, el, formatDate, plural } from "../app.js";
import { loadRecordings } from "../lib/records.js";

const field = (label, input, hint = "") =>
  el("div", { class: "field" }, el("label", { for: input.id }, label), input, hint && el("small", {}, hint));
const tick = (name, checked, words) =>
  el("label", { class: "tick" }, el("input", { type: "checkbox", name, checked }), el("span", {}, words));
const today = () => new Date(Date.now() - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 10);

/** Adds a subject, or changes one; gives the record, or null when cancelled. */
export async function editSubject(subject = null) {
  let saved = null;
  await ask({
    title: subject ? `Edit ${subject.code}` : "Add a subject",
    body: [
      field("Code", el("input", {
        id: "subject-code", name: "code", type: "text", required: true, maxlength: "64", autocomplete: "off", spellcheck: "false",
        value: subject?.code ?? "", placeholder: "P01", dataset: { missing: "expected a code, got nothing; type a pseudonym such as P01" },
      }), "A pseudonym, never a name. It appears in exports."),
      field("Note", el("textarea", { id: "subject-note", name: "note", maxlength: "2000", value: subject?.note ?? "" }), "Nothing that tells who the person is."),
    ],
    check: async (json) => {
      saved = subject
        ? await api(`/subjects/${subject.id}`, { method: "PATCH", json })
        : await api("/subjects", { method: "POST", json });
      return null;
    },
  });
  return saved;
}

function sessionFields(session) {
  return [
    el("div", { class: "fields" },
      field("Title", el("input", {
        id: "session-title", name: "title", type: "text", required: true, maxlength: "200", autocomplete: "off", placeholder: "first interview",
        value: session?.title ?? "", dataset: { missing: "expected a title, got nothing; type what the session was" },
      })),
      field("Held on", el("input", {
        id: "session-day", name: "held_on", type: "date", required: true, value: session?.held_on ?? today(),
        dataset: { missing: "expected a day, got none; choose when the session was held" },
      }))),
    tick("given", session?.consent.given ?? false, "The person has agreed to being filmed and analysed."),
    el("div", { class: "fields" },
      field("Consent noted by", el("input", { id: "session-by", name: "noted_by", type: "text", maxlength: "200", autocomplete: "off", value: session?.consent.noted_by || coder() })),
      field("Ground", el("input", { id: "session-ground", name: "ground", type: "text", maxlength: "2000", autocomplete: "off", placeholder: "signed form 12", value: session?.consent.note ?? "" }))),
    tick("baseline", session?.baseline ?? false, "A baseline: later sessions are compared with it."),
  ];
}

/** Adds a session of a subject, or changes one; gives the record, or null when cancelled. */
export async function editSession(subject, session = null) {
  let saved = null;
  await ask({
    title: session ? "Edit session" : `Add a session of ${subject.code}`,
    body: sessionFields(session),
    check: async (given) => {
      if (given.given && !given.noted_by) return "expected who noted the consent, got nothing; type a name";
      const consent = { given: given.given, noted_by: given.noted_by, note: given.ground };
      const json = { title: given.title, held_on: given.held_on, baseline: given.baseline };
      const before = session?.consent;
      const same = before && before.given === consent.given && before.noted_by === consent.noted_by && before.note === consent.note;
      // Consent that nobody touched keeps its own time of being noted.
      if (!same) json.consent = consent;
      saved = session
        ? await api(`/sessions/${session.id}`, { method: "PATCH", json })
        : await api("/sessions", { method: "POST", json: { subject_id: subject.id, ...json } });
      return null;
    },
  });
  return saved;
}

/** Asks, then removes a session with its recordings; gives whether it was. */
export function removeSession(session) {
  return confirmThat({
    title: "Remove this session?",
    body: [el("p", {}, `${session.title || "Untitled"}, ${formatDate(session.held_on)}. `,
      session.recordings ? `${plural(session.recordings, "recording")} with videos, results and decisions ${session.recordings === 1 ? "goes" : "go"} with it. ` : "",
      "This cannot be undone.")],
    action: "Remove",
    check: async () => { await api(`/sessions/${session.id}`, { method: "DELETE" }); return null; },
  });
}

/** Shows what will be removed, asks for the code typed, then forgets; gives the counts or null. */
export async function forgetSubject(subject, sessions) {
  const recordings = await loadRecordings({ subject_id: subject.id });
  const coders = [...new Set(recordings.flatMap((r) => r.coders))];
  const parts = [
    `the code ${subject.code} and its note`,
    sessions.length && `${plural(sessions.length, "session")} with the consent noted`,
    recordings.length && `${plural(recordings.length, "recording")}: videos, pictures, results: ${recordings.slice(0, 5).map((r) => r.name).join(", ")}${recordings.length > 5 ? " and more" : ""}`,
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
    check: async () => {
      ({ forgotten: counts } = await api(`/subjects/${subject.id}`, { method: "DELETE" }));
      return null;
    },
  });
  return counts;
}
