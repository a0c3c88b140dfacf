// Which of several people of a video is analysed.

import { el } from "/static/viewer/dom.js";
import { API, api } from "./api.js";
import { ask } from "./dialogs.js";
import { option } from "./forms.js";
import { loadSessions, sessionOptions } from "./records.js";

/** "person 2 of the video, another person is in the picture"; "" where nobody was chosen and nobody else is seen. */
export function personWords({ person, others }) {
  const seen = others ? `${others === 1 ? "another person is" : `${others} other people are`} in the picture` : "";
  return [person && `person ${person} of the video`, seen].filter(Boolean).join(", ");
}

/**
 * Asks for another person of a recording's video, and has that one analysed as a recording of its
 * own: what was decided on this one stays. Gives the new recording, or null when cancelled.
 */
export async function analyseAnother(recording) {
  const [{ people }, sessions] = await Promise.all([api(`/recordings/${recording.id}/people`), loadSessions()]);
  if (!people.length) throw new Error("expected to know who is in the video, got an analysis of before; upload the video again");
  let made = null;
  await ask({
    title: `Another person in ${recording.name}`,
    body: [
      el("p", { class: "hint" }, "The same video becomes a recording of its own for that person. This recording and all decisions on it stay as they are."),
      el("fieldset", { class: "persons" }, el("legend", {}, "Who?"), people.map(({ person, share }) =>
        el("label", {}, el("input", { type: "radio", name: "person", value: String(person), disabled: person === recording.person }),
          el("img", { src: `${API}/recordings/${recording.id}/people/${person}.jpg`, alt: "" }),
          el("span", {}, `Person ${person}`, el("small", {}, person === recording.person ? "analysed here" : `seen in ${(100 * share).toFixed(0)} % of it`))))),
      el("div", { class: "field" }, el("label", { for: "person-session" }, "Whose session is it?"),
        el("select", { id: "person-session", name: "session_id" }, option("", "No session yet"), sessionOptions(sessions, { needConsent: true }))),
    ],
    action: "Analyse this person",
    check: async ({ person, session_id: id }) => {
      if (!person) return "expected a person, got none; choose one";
      made = await api(`/recordings/${recording.id}/people/${person}`, { method: "POST", json: { session_id: id || null } });
      return null;
    },
  });
  return made;
}
