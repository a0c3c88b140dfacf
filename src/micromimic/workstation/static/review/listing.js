// Which events are listed, in which order, and which of them comes next.

import { isAdded, isLonger, isOpen } from "./words.js";

/** What the list can be narrowed to: words, and whether an event belongs to it. */
export const SHOW = {
  all: { words: "All events", has: () => true },
  open: { words: "Open", has: ({ status }) => status === "pending" },
  unsure: { words: "Machine unsure", has: ({ machine }) => Boolean(machine?.uncertain) },
  added: { words: "Added", has: isAdded },
  accepted: { words: "Accepted", has: ({ status }) => status === "accepted" },
  rejected: { words: "Rejected", has: ({ status }) => status === "rejected" },
  micro: { words: "Micro-expressions", has: (event) => !isLonger(event) },
  macro: { words: "Longer expressions", has: isLonger },
};

/** What comes first: words, and a number or a text by which events ascend. Equal ones go by time. */
export const SORT = {
  time: { words: "By time", by: () => 0 },
  state: { words: "Open first", by: (event) => (isOpen(event) ? 0 : 1) },
  sure: { words: "Least sure first", by: ({ machine }) => machine?.probabilities?.[machine.label] ?? 2 },
  strength: { words: "Strongest first", by: ({ machine }) => -(machine?.strength ?? -1) },
  class: { words: "By class", by: ({ label }) => label || "~" },
};

/** The events that are chosen, in their order; `show` is of SHOW or names a class as "class NAME". */
export function arranged(events, { show, sort }) {
  const has = SHOW[show]?.has ?? (({ label }) => `class ${label}` === show);
  const { by } = SORT[sort] ?? SORT.time;
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return events.filter(has).sort((a, b) => order(by(a), by(b)));
}

/**
 * The event after the one selected, or before it, or else from a frame; null at the end.
 * @param {any[]} list @param {string | null} selected @param {number} step 1 or -1 @param {number} frame
 */
function following(list, selected, step, frame, has = (_event) => true) {
  const at = list.findIndex(({ key }) => key === selected);
  const ahead = list.filter(({ apex_frame: apex }, k) => step * (at >= 0 ? k - at : apex - frame) > 0);
  return (step > 0 ? ahead : ahead.reverse()).find(has) ?? null;
}

/**
 * The next event of the list (`open`: that waits for a decision, from the other end again where none is ahead; once
 * none waits, the next of any kind).
 */
export function neighbour(list, selected, step, frame, open) {
  const pending = ({ status }) => status === "pending";
  for (const waits of open ? [isOpen, pending] : []) {
    const waiting = list.filter((event) => waits(event) && event.key !== selected);
    if (waiting.length) return following(list, selected, step, frame, waits) ?? waiting.at(step > 0 ? 0 : -1);
  }
  return following(list, selected, step, frame);
}
