// Agreement over a study and rates by condition: figures, tables, and the picture that the server draws.

import { el, formatDuration, plural, term } from "../app.js";
import { FEW, confusion, figures } from "../lib/agreement.js";
import { row, table, two } from "../lib/tables.js";

const GROUPS = { pooled: "All", tier: "By kind", class: "By class, each against the rest", mode: "By how it was coded", recording: "By recording" };
const MODES = { open: "after the machine's answer was shown", blind: "without the machine's answer" };
const milliseconds = (seconds) => (seconds === null ? "–" : `${Math.round(1000 * seconds)} ms`.replace("-", "−"));
const estimate = ({ value, low, high }) => [two(value), low !== null && el("small", {}, `${two(low)} to ${two(high)}`)];
const hints = (notes) => notes.map((note) => el("p", { class: "hint" }, note));

function part(one) {
  const name = one.group === "pooled" ? "all" : MODES[one.group === "mode" ? one.name : ""] ?? one.title;
  return row(name, [
    ...[one.candidates, one.anchored].map((count) => one.group !== "class" && count), estimate(one.observed), estimate(one.kappa), estimate(one.ac1),
    `${one.events_first} / ${one.events_second}`, one.matched, estimate(one.f1), estimate(one.label_kappa),
  ], { dataset: { group: one.group, name: one.name } });
}

const parts = (rows) => table({
  kind: "rows", caption: "Agreement of each part, with 95 % intervals", unseen: true,
  columns: ["", "Candidates", term("anchored", "Anchored"), "Same decision", term("kappa", "Kappa"), term("AC1"), "Events", "Matched", "F1", "Kappa of classes"],
}, ...[...Map.groupBy(rows, (one) => one.group)].map(([group, own]) => [
  group !== "pooled" && el("tr", { class: "group" }, el("th", { colspan: 10, scope: "rowgroup" }, GROUPS[group])), own.map(part),
]));

const timing = ({ matched, timing: times }) => table({
  kind: "timing", caption: `Times of ${plural(matched, "matched event")}: second coder minus first`, columns: ["", term("ICC"), "Mean", "Spread (SD)"],
}, Object.entries(times).map(([name, one]) => row(name, [estimate(one.icc), milliseconds(one.mean_s), milliseconds(one.sd_s)])));

/** Everything of an answer of /agreement; `picture` is the server's SVG. @param {any} found @param {string} picture */
export function studyAgreement(found, picture) {
  const notes = hints(found.notes);
  if (!found.recordings) return el("div", { class: "stack agreement" }, notes);
  const [pooled] = found.rows;
  const each = found.rows.filter((one) => one.group === "recording");
  const people = found.subjects ? ` of ${plural(found.subjects, "person").replace("persons", "people")}` : ""; // who was filmed may be unknown
  const drawn = new DOMParser().parseFromString(picture, "image/svg+xml").documentElement;
  drawn.removeAttribute("color"); // the page's ink
  return el("div", { class: "stack agreement" },
    el("p", { id: "compared" }, `${plural(found.recordings, "recording")}${people}, finished by both. An event is the same where ${Math.round(100 * found.overlap)} % of the time that either covers is shared.`),
    figures(pooled, pooled.candidates), notes, parts(found.rows.filter((one) => one.group !== "recording")),
    el("div", { class: "both" }, timing(pooled), confusion(found, found.first, found.second)),
    el("figure", { class: "scroll", tabindex: 0, "aria-label": "Agreement with its intervals" }, document.adoptNode(drawn)),
    el("details", {}, el("summary", {}, `By recording (${each.length})`), parts(each)));
}

const ends = ({ low, high }) => (low === null ? "no interval" : `${two(low)} to ${two(high)}`);
const probability = (p) => (p === null ? "–" : p < 0.001 ? "< .001" : p.toFixed(3).replace("0.", "."));

/** Rates by condition: a table, and each two conditions compared. */
export function conditionsView({ rates: { conditions, comparisons, notes } }) {
  if (!conditions.length) return el("div", { class: "stack agreement" }, hints(notes));
  const most = Math.max(...conditions.map((one) => one.high ?? one.rate)) || 1;
  const bar = (one) => el("td", { class: "wide" }, el("span", { class: "track" }, el("span", { class: "fill", style: { width: `${(100 * one.rate) / most}%` } })));
  const few = (one) => one.count < FEW && el("small", {}, ` from ${plural(one.count, "event")}`);
  return el("div", { class: "stack agreement" },
    table({ kind: "conditions", caption: "Rates by condition", unseen: true, columns: ["Condition", "A minute", "95 %", "", "People", "Stretches", "Events", "Observed"] },
      conditions.map((one) => row(one.condition,
        [[two(one.rate), few(one)], ends(one), bar(one), one.subjects, one.recordings, one.count, formatDuration(60 * one.minutes)]))),
    comparisons.length > 0 && table({ kind: "comparisons", caption: "Compared, a minute", columns: ["", "Difference", "95 %", "p", "p (Holm)", "Compared", "People", "Left out"] },
      comparisons.map((one) => row(`${one.first} − ${one.second}`, [
        two(one.difference), ends(one), probability(one.p), probability(one.p_holm),
        one.design === "within" ? "within people" : "between people", one.subjects, one.left_out,
      ]))),
    hints(notes));
}
