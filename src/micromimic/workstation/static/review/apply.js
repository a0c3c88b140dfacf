// What a review looks like once changes that still wait to be saved are counted in: the same rules as
// the server's own (a correction accepts; an undo takes back the newest). Only shown until it answers.

const FRAMES = ["onset_frame", "apex_frame", "offset_frame"];
const STATUS = { accept: "accepted", reject: "rejected", relabel: "accepted", move: "accepted" };
const CODED = ["label", ...FRAMES, "note", "units", "certainty", "tags"];

function changed(event, given) {
  const { machine } = event;
  return Boolean(machine) && (given.label !== machine.label || FRAMES.some((name) => given[name] !== machine[name]));
}

function corrected(event, { action, payload }) {
  const given = { ...event };
  for (const name of CODED) given[name] = payload[name] ?? event[name];
  const status = STATUS[action] ?? event.status;
  return { ...given, status, masked: event.masked && status === "pending", changed: changed(event, given), unsaved: true };
}

function added({ event, payload }) {
  return {
    note: "", units: [], certainty: "", tags: [], ...payload,
    key: event, status: "accepted", changed: false, decided_at: null, machine: null, masked: false, kind: "micro", unsaved: true,
  };
}

/** The events of `review` after `changes`, by onset. */
export function withChanges(review, changes) {
  let events = review.events;
  for (const change of changes) {
    if (change.action === "undo" || change.action === "redo") continue;
    if (change.action === "add") events = [...events, added(change)];
    else if (change.action === "remove") events = events.filter((event) => event.key !== change.event);
    else events = events.map((event) => (event.key === change.event ? corrected(event, change) : event));
  }
  return [...events].sort((a, b) => a.onset_frame - b.onset_frame || a.apex_frame - b.apex_frame);
}
