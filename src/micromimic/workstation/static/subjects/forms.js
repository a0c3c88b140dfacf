// Questions before sessions and people are removed.

import { api, confirmThat, el, plural } from "../app.js";
import { loadRecordings, sessionName } from "../lib/records.js";

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
