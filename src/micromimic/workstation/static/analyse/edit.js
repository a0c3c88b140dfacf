// Another name, session or end of a recording's video.

import { api, ask, el, formatDate, today } from "../app.js";
import { loadSessions, sessionOptions } from "../lib/records.js";
import { editSession } from "../lib/people.js";

const NEW = "new";

const localDay = (moment) => (moment ? new Date(Date.parse(moment) - new Date(moment).getTimezoneOffset() * 60000).toISOString().slice(0, 10) : "");

/** A session made in place: its id. The line where none was made. */
async function madeSession() {
  const made = await editSession();
  if (!made) return { line: "expected a session, got none; choose one, or make it" };
  return made.consent.given ? { id: made.id } : { line: "expected a session with consent, got one without; note it on the page Subjects" };
}

function fields(recording, sessions) {
  const kept = recording.media === "kept";
  return [
    el("div", { class: "field" }, el("label", { for: "edit-name" }, "Name"),
      el("input", { id: "edit-name", name: "name", type: "text", required: true, maxlength: "200", autocomplete: "off", value: recording.name, dataset: { missing: "expected a name, got nothing; type one" } })),
    el("div", { class: "field" }, el("label", { for: "edit-session" }, "Subject and session"),
      el("select", { id: "edit-session", name: "session_id" },
        !recording.session_id && el("option", { value: "" }, "No session"),
        sessionOptions(sessions, { needConsent: true, chosen: recording.session_id }),
        el("option", { value: NEW }, "New session …")),
      el("small", {}, "Decisions go with the recording.")),
    kept && el("div", { class: "field" }, el("label", { for: "edit-day" }, "Keep the video until"),
      el("input", { id: "edit-day", name: "day", type: "date", value: localDay(recording.expires_at) }),
      el("small", {}, "Then video and pictures are removed; events and decisions stay. Empty: until it is deleted.")),
  ];
}

/** Asks what is to change of a recording, and changes it; gives whether it did. */
export async function editRecording(recording) {
  const sessions = await loadSessions();
  const before = { name: recording.name, session_id: recording.session_id ?? "", day: localDay(recording.expires_at) };
  return (await ask({
    title: `Edit ${recording.name}`,
    body: fields(recording, sessions),
    check: async (now) => {
      const changed = (key) => now[key] !== undefined && now[key] !== before[key];
      if (changed("day") && now.day && now.day < today()) return `expected a day from ${formatDate(today())} on, got ${formatDate(now.day)}; choose another`;
      const json = {};
      if (changed("name")) json.name = now.name;
      if (changed("day")) json.expires_at = now.day ? new Date(`${now.day}T23:59:59`).toISOString() : null;
      if (now.session_id === NEW) {
        const { id, line } = await madeSession();
        if (line) return line;
        json.session_id = id;
      } else if (changed("session_id")) json.session_id = now.session_id;
      if (Object.keys(json).length) await api(`/recordings/${recording.id}`, { method: "PATCH", json });
      return null;
    },
  })) !== null;
}
