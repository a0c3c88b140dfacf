// Two coders: figures with their intervals, and the table they come from.

import { el } from "/static/viewer/dom.js";
import { row, table, two } from "./tables.js";

/** Fewer events give no number in large type. */
export const FEW = 5;

const named = (coder) => (coder === "machine" ? "the machine" : coder);
const within = ({ low, high }) => (low === null || high === null ? "no interval" : `95 %: ${two(low)} to ${two(high)}`);

/** One number with what it rests on: large only where that is enough. */
const figure = (label, { value }, more, count) => el("div", {}, el("dt", {}, label),
  el("dd", {}, el("b", { class: ["number", count < FEW && "few"] }, two(value)), el("small", {}, more)));

/** What two say alike, of `n` candidates that both decided: estimates {value, low, high}. */
export function figures({ kappa, ac1, observed, f1, matched, events_first: first, events_second: second }, n, ...more) {
  return el("dl", { class: "figures" },
    figure("Cohen's kappa", kappa, `${within(kappa)}; n = ${n}`, n),
    figure("Gwet's AC1", ac1, within(ac1), n),
    figure("Same decision", observed, n ? within(observed) : "no candidate decided by both", n),
    figure("F1 of events", f1, `${"low" in f1 ? `${within(f1)}; ` : ""}${matched} matched of ${first} and ${second}`, matched), more);
}

/** What each called the candidates that both decided. */
export function confusion({ categories, confusion: counts }, coder, other) {
  const caption = `Candidates decided by both: rows ${named(coder)}, columns ${named(other)}`;
  return table({ kind: "confusion", caption, columns: ["", ...categories] }, categories.map((name, i) =>
    row(name, counts[i].map((count, j) => el("td", { class: [i === j && "same", !count && "none"] }, count)))));
}

/** Everything of an answer of /recordings/ID/agreement. */
export function agreementView(found, coder, other) {
  const { matched, same_label: same, label_agreement: value } = found;
  const [kappa, ac1, observed] = ["kappa", "ac1", "observed"].map((name) => ({ value: found[name], low: found[`${name}_low`], high: found[`${name}_high`] }));
  const sameClass = figure("Same class", { value }, matched ? `${same} of ${matched} matched events` : "no matched event", matched);
  return el("div", { class: "stack agreement" },
    figures({ ...found, kappa, ac1, observed, f1: { value: found.f1 } }, found.n, sameClass), confusion(found, coder, other),
    el("p", { class: "hint" }, `Events match where they overlap in time by ${Math.round(100 * found.min_iou)} % of their union. ${found.note}`));
}
