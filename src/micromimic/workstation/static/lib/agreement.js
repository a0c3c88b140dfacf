// Two coders of one recording: figures with their intervals, and the table they come from.

import { el } from "/static/viewer/dom.js";

/** Fewer events give no number in large type. */
export const FEW = 5;

export const two = (value) => (value === null ? "–" : value.toFixed(2).replace("-", "−"));
/** @param {{low: number | null, high: number | null}} estimate */
export const within = ({ low, high }) => (low === null || high === null ? "no interval" : `95 %: ${two(low)} to ${two(high)}`);
const named = (coder) => (coder === "machine" ? "the machine" : coder);

/** One number with what it rests on: large only where that is enough. */
export function figure(label, value, more, count) {
  return el("div", {}, el("dt", {}, label), el("dd", {}, el("b", { class: ["number", count < FEW && "few"] }, value), el("small", {}, more)));
}

function figures(found) {
  const kappa = { low: found.kappa_low, high: found.kappa_high }, ac1 = { low: found.ac1_low, high: found.ac1_high };
  return el("dl", { class: "figures" },
    figure("Cohen's kappa", two(found.kappa), `${within(kappa)}; n = ${found.n}`, found.n),
    figure("Gwet's AC1", two(found.ac1), within(ac1), found.n),
    figure("Same decision", two(found.observed),
      found.observed === null ? "no candidate decided by both" : within({ low: found.observed_low, high: found.observed_high }), found.n),
    figure("F1 of events", two(found.f1), `${found.matched} matched of ${found.events_first} and ${found.events_second}`, found.matched),
    figure("Same class", two(found.label_agreement),
      found.matched ? `${found.same_label} of ${found.matched} matched events` : "no matched event", found.matched));
}

function confusion(found, coder, other) {
  return el("div", { class: "scroll" }, el("table", { class: "confusion" },
    el("caption", {}, `Candidates decided by both: rows ${named(coder)}, columns ${named(other)}`),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, ""), found.categories.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, found.categories.map((name, i) => el("tr", {}, el("th", { scope: "row" }, name),
      found.confusion[i].map((count, j) => el("td", { class: [i === j && "same", !count && "none"] }, count)))))));
}

/** Everything of an answer of /recordings/ID/agreement. */
export function agreementView(found, coder, other) {
  return el("div", { class: "stack agreement" }, figures(found), confusion(found, coder, other),
    el("p", { class: "hint" }, `Events match where they overlap in time by ${Math.round(100 * found.min_iou)} % of their union. ${found.note}`));
}
