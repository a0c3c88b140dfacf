// Two coders of one recording: figures with their intervals, and the table they come from.

import { el } from "/static/viewer/dom.js";

const two = (value) => (value === null ? "–" : value.toFixed(2).replace("-", "−"));
const between = (low, high) => (low === null || high === null ? "no interval" : `95 %: ${two(low)} to ${two(high)}`);
const named = (coder) => (coder === "machine" ? "the machine" : coder);

function figure(label, value, more) {
  return el("div", {}, el("dt", {}, label), el("dd", {}, el("b", { class: "number" }, value), el("small", {}, more)));
}

function figures(found) {
  return el("dl", { class: "figures" },
    figure("Cohen's kappa", two(found.kappa), `${between(found.kappa_low, found.kappa_high)}; n = ${found.n}`),
    figure("Same decision", found.observed === null ? "–" : `${Math.round(100 * found.observed)} %`,
      found.observed === null ? "no candidate decided by both" : between(found.observed_low, found.observed_high)),
    figure("F1 of events", two(found.f1), `${found.matched} matched of ${found.events_first} and ${found.events_second}`),
    figure("Same class", found.label_agreement === null ? "–" : `${Math.round(100 * found.label_agreement)} %`,
      found.matched ? `${found.same_label} of ${found.matched} matched events` : "no matched event"));
}

function confusion(found, coder, other) {
  return el("div", { class: "scroll" }, el("table", { class: "confusion" },
    el("caption", {}, `Candidates decided by both: rows ${named(coder)}, columns ${named(other)}`),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, ""), found.categories.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, found.categories.map((name, i) => el("tr", {}, el("th", { scope: "row" }, name),
      found.confusion[i].map((count, j) => el("td", { class: [i === j && "same", !count && "none"] }, count)))))));
}

/** Everything of an answer of /agreement. */
export function agreementView(found, coder, other) {
  return el("div", { class: "stack agreement" }, figures(found), confusion(found, coder, other),
    el("p", { class: "hint" }, `Events match where they overlap in time by ${Math.round(100 * found.min_iou)} % of their union. ${found.note}`));
}
