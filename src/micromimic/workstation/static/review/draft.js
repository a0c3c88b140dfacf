// What a coder has set of an event whose machine's answer is not shown yet: kept in this tab until
// it is accepted in one decision. Frames that were not set are only a window to look at.

import { remember, rememberedJson } from "/static/app.js";
import { POINTS } from "./words.js";

export class Drafts {
  constructor(recordingId, coder) {
    this.key = `draft.${recordingId}.${coder}`;
    this.drafts = rememberedJson(this.key, "sessionStorage") ?? {};
  }

  of(key) {
    return this.drafts[key] ?? {};
  }

  /** Sets something of an event: {label}, {apex_frame}, {units}, ... */
  set(key, values) {
    this.drafts[key] = { ...this.of(key), ...values };
    remember(this.key, JSON.stringify(this.drafts), "sessionStorage");
  }
}

/** An event as the page shows it: masked ones with what the coder has set, and a window around it. */
export function withDraft(event, drafts) {
  if (!isMasked(event)) return event;
  const draft = drafts.of(event.key), set = POINTS.filter((point) => Number.isInteger(draft[`${point}_frame`]));
  const frames = set.map((point) => draft[`${point}_frame`]);
  const onset = draft.onset_frame ?? Math.min(event.onset_frame, ...frames);
  const offset = draft.offset_frame ?? Math.max(event.offset_frame, ...frames);
  const apex = draft.apex_frame ?? Math.max(onset, Math.min(offset, event.apex_frame));
  return { ...event, ...draft, onset_frame: onset, apex_frame: apex, offset_frame: offset, window: [event.onset_frame, event.offset_frame], set };
}

/** The machine's answer is hidden until the coder has decided. */
export const isMasked = (event) => Boolean(event?.masked) && event.status === "pending";

/** What is not set yet, in words with their keys; empty when all is. */
export function missing(draft, classKeys) {
  const keys = { onset: "i", apex: "k", offset: "o" };
  const lacks = POINTS.filter((point) => !Number.isInteger(draft[`${point}_frame`])).map((point) => `${point} (${keys[point]})`);
  if (!draft.label) lacks.push(`class (${classKeys})`);
  return lacks;
}

/** Why the points that are set cannot stand in this order, or null. */
export function outOfOrder(event) {
  const set = POINTS.map((name) => ({ name, frame: event[`${name}_frame`] })).filter(({ frame }) => Number.isInteger(frame));
  const k = set.findIndex(({ frame }, at) => at > 0 && set[at - 1].frame > frame);
  if (k < 0) return null;
  return `expected the ${set[k - 1].name} at or before the ${set[k].name} (frame ${set[k].frame}), got frame ${set[k - 1].frame}; move the other first`;
}
