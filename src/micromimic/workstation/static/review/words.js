// What things are called: classes, states, events, decisions. Every state has a sign and a word, never a colour alone.

import { formatTime, plural } from "/static/app.js";
import { unitWords } from "/static/lib/units.js";

export const POINTS = ["onset", "apex", "offset"];

export const STATUS = {
  pending: { sign: "?", word: "open" },
  accepted: { sign: "✓", word: "accepted" },
  rejected: { sign: "✕", word: "rejected" },
};

/** What an event is called for as long as it lives: the machine's by its place, an added one by its decision. */
export function eventName(key) {
  if (key.startsWith("m")) return String(Number(key.slice(1)) + 1);
  return key.startsWith("c") ? `A${key.slice(1)}` : "A";
}

/** Added by the coder, not reported by the machine. */
export const isAdded = ({ key }) => !key.startsWith("m");

/** Why a movement was held back. */
const REASONS = {
  blink: "a blink", head: "the head moved", light: "the light changed", speech: "speech", macro: "longer expression",
  short: "too short or too small", crowded: "one of many in a row", lost: "next to where the face was lost", edge: "start or end of a stretch",
};

export const reasonWords = (reason) => REASONS[reason] ?? reason;

/** A share of 1 as two digits: .86, 1.00. */
export function share(value) {
  if (!Number.isFinite(value)) return "–";
  return value.toFixed(2).replace(/^0/, "");
}

export function frameWords(frame, clock) {
  return `frame ${frame}, ${formatTime(clock.time(frame))}`;
}

/** "accepted", "called event 2 ...", ... of a decision or of a change that waits. @param {{action: string, event?: string, payload?: any, target?: number}} decision */
export function actionWords({ action, event, payload = {}, target = null }) {
  const name = event ? `event ${eventName(event)}` : "an event";
  const points = POINTS.filter((p) => Number.isInteger(payload[`${p}_frame`]));
  const frames = points.map((p) => `${p} to ${payload[`${p}_frame`]}`), at = points.map((p) => `${p} ${payload[`${p}_frame`]}`);
  const coded = codedWords(payload);
  const all = [...at, ...coded].join(", ");
  switch (action) {
    case "accept": return [`accepted ${name}${payload.label ? ` as ${payload.label}` : ""}`, all].filter(Boolean).join(", ");
    case "reject": return `rejected ${name}`;
    case "relabel": return [`called ${name} ${payload.label}`, ...coded].join(", ");
    case "move": return `moved ${name}: ${frames.join(", ")}`;
    case "add": return `added ${name} as ${payload.label}, ${all}`;
    case "code": return `coded ${name}: ${coded.join(", ")}`;
    case "remove": return `removed ${name}`;
    case "comment": return payload.note ? `noted on ${name}: “${payload.note}”` : `cleared the note on ${name}`;
    case "done": return "marked the review done";
    case "undo": return target ? `took back decision ${target}` : "took back the last decision";
    case "redo": return target ? `brought back decision ${target}` : "brought back the last decision";
    default: return `${action} ${name}`;
  }
}

/** Action units, certainty and tags of a decision. */
function codedWords({ units, certainty, tags }) {
  return [
    units && (units.map(unitWords).join("; ") || "no action unit"),
    certainty !== undefined && (certainty || "certainty not given"),
    tags && (tags.join(", ") || "no tag"),
  ].filter(Boolean);
}

/** Lasts longer than a micro-expression: listed, and counted nowhere. */
export const isLonger = (event) => event.kind === "macro";

/** Waits for a decision; longer expressions need none. */
export const isOpen = (event) => event.status === "pending" && !isLonger(event);

/** "5 events", "5 events, 2 longer expressions". */
export function countWords(events) {
  const longer = events.filter(isLonger).length;
  return [plural(events.length - longer, "event"), longer && plural(longer, "longer expression")].filter(Boolean).join(", ");
}

/** "3 of 5 decided", or "all 5 decided", of micro-expressions. */
export function progressWords(all) {
  const events = all.filter((event) => !isLonger(event));
  const open = events.filter(isOpen).length;
  if (!events.length) return all.length ? "nothing to decide" : "no event here";
  if (open) return `${events.length - open} of ${plural(events.length, "event")} decided`;
  return events.length === 1 ? "the one event decided" : `all ${events.length} events decided`;
}

/** Time of day with seconds, of an ISO moment. */
export function clockTime(text) {
  return new Date(text).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
