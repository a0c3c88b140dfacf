// Another name, session or end of a recording's video.

import { api, ask, fieldsOf, formatDate, localDay, option, today } from "../app.js";
import { loadSessions, sessionOptions } from "../lib/records.js";
import { editSession } from "../lib/subjects.js";

const NEW = "new";

/** A session made in place: its id. The line where none was made. */
async function madeSession() {
  const made = await editSession();
  if (!made) return { line: "expected a session, got none; choose one, or make it" };
  return made.consent.given ? { id: made.id } : { line: "expected a session with consent, got one without; note it on the page Subjects" };
}

/** Asks what is to change of a recording, and changes it; gives whether it did. */
export async function editRecording(recording) {
  const sessions = await loadSessions();
  const before = { name: recording.name, session_id: recording.session_id ?? "", day: recording.expires_at ? localDay(recording.expires_at) : "" };
  const body = fieldsOf("recording-form", before);
  if (recording.media !== "kept") body.querySelector("[data-of=video]").remove();
  body.querySelector("select").append(...(recording.session_id ? [] : [option("", "No session")]),
    ...sessionOptions(sessions, { needConsent: true, chosen: recording.session_id }), option(NEW, "New session …"));
  return (await ask({
    title: `Edit ${recording.name}`,
    body,
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
