// Agreement over a study and rates by condition: figures, tables, and the picture that the server draws.

import { el, formatDuration, plural, term } from "../app.js";
import { FEW, figure, two, within } from "../lib/agreement.js";

const GROUPS = { pooled: "All", tier: "By kind", class: "By class, each against the rest", mode: "By how it was coded", recording: "By recording" };
const MODES = { open: "after the machine's answer was shown", blind: "without the machine's answer" };
const named = (coder) => (coder === "machine" ? "the machine" : coder);
const milliseconds = (seconds) => (seconds === null ? "–" : `${Math.round(1000 * seconds)} ms`.replace("-", "−"));

function figures(pooled) {
  const { kappa, ac1, observed, f1, candidates: n } = pooled;
  return el("dl", { class: "figures" },
    figure("Cohen's kappa", two(kappa.value), `${within(kappa)}; n = ${n}`, n),
    figure("Gwet's AC1", two(ac1.value), within(ac1), n),
    figure("Same decision", two(observed.value), n ? within(observed) : "no candidate decided by both", n),
    figure("F1 of events", two(f1.value), `${within(f1)}; ${pooled.matched} matched of ${pooled.events_first} and ${pooled.events_second}`, pooled.matched));
}

const estimate = ({ value, low, high }) => el("td", {}, two(value), low !== null && el("small", {}, `${two(low)} to ${two(high)}`));

function row(one) {
  const name = one.group === "pooled" ? "all" : MODES[one.group === "mode" ? one.name : ""] ?? one.title;
  return el("tr", { dataset: { group: one.group, name: one.name } }, el("th", { scope: "row" }, name),
    [one.candidates, one.anchored].map((count) => el("td", {}, one.group !== "class" && count)), estimate(one.observed), estimate(one.kappa), estimate(one.ac1),
    el("td", {}, `${one.events_first} / ${one.events_second}`), el("td", {}, one.matched), estimate(one.f1), estimate(one.label_kappa));
}

const heads = (words) => el("thead", {}, el("tr", {}, words.map((word) => el("th", { scope: "col" }, word))));

function table(rows) {
  const groups = Map.groupBy(rows, (one) => one.group);
  return el("div", { class: "scroll" }, el("table", { class: "rows" },
    el("caption", { class: "unseen" }, "Agreement of each part, with 95 % intervals"),
    heads(["", "Candidates", term("anchored", "Anchored"), "Same decision", term("kappa", "Kappa"), term("AC1"), "Events", "Matched", "F1", "Kappa of classes"]),
    [...groups].map(([group, own]) => el("tbody", {},
      group !== "pooled" && el("tr", { class: "group" }, el("th", { colspan: 10, scope: "rowgroup" }, GROUPS[group])), own.map(row)))));
}

function timing(pooled) {
  return el("div", { class: "scroll" }, el("table", { class: "timing" },
    el("caption", {}, `Times of ${plural(pooled.matched, "matched event")}: second coder minus first`),
    heads(["", term("ICC"), "Mean", "Spread (SD)"]),
    el("tbody", {}, Object.entries(pooled.timing).map(([name, one]) => el("tr", {},
      el("th", { scope: "row" }, name), estimate(one.icc), el("td", {}, milliseconds(one.mean_s)), el("td", {}, milliseconds(one.sd_s)))))));
}

function confusion(found) {
  return el("div", { class: "scroll" }, el("table", { class: "confusion" },
    el("caption", {}, `Candidates decided by both: rows ${named(found.first)}, columns ${named(found.second)}`),
    heads(["", ...found.categories]),
    el("tbody", {}, found.categories.map((name, i) => el("tr", {}, el("th", { scope: "row" }, name),
      found.confusion[i].map((count, j) => el("td", { class: [i === j && "same", !count && "none"] }, count)))))));
}

/** Everything of an answer of /agreement; `picture` is the server's SVG. @param {any} found @param {string} picture */
export function studyAgreement(found, picture) {
  const notes = found.notes.map((note) => el("p", { class: "hint" }, note));
  if (!found.recordings) return el("div", { class: "stack agreement" }, notes);
  const [pooled] = found.rows;
  const parts = found.rows.filter((one) => one.group !== "recording"), each = found.rows.filter((one) => one.group === "recording");
  const drawn = new DOMParser().parseFromString(picture, "image/svg+xml").documentElement;
  drawn.removeAttribute("color"); // the page's ink
  return el("div", { class: "stack agreement" },
    el("p", { id: "compared" }, `${plural(found.recordings, "recording")} of ${plural(found.subjects, "person").replace("persons", "people")}, finished by both. An event is the same where ${Math.round(100 * found.overlap)} % of the time that either covers is shared.`),
    figures(pooled), notes, table(parts),
    el("div", { class: "both" }, timing(pooled), confusion(found)),
    el("figure", { class: "scroll", tabindex: 0, "aria-label": "Agreement with its intervals" }, document.adoptNode(drawn)),
    el("details", {}, el("summary", {}, `By recording (${each.length})`), table(each)));
}

const rate = (value) => (value === null ? "–" : value.toFixed(2).replace("-", "−"));
const ends = (one) => (one.low === null ? "no interval" : `${rate(one.low)} to ${rate(one.high)}`);
const probability = (p) => (p === null ? "–" : p < 0.001 ? "< .001" : p.toFixed(3).replace("0.", "."));
const sided = (one) => (one.design === "within" ? "within people" : "between people");

/** Rates by condition: a table, and each two conditions compared. */
export function conditionsView({ rates }) {
  const notes = rates.notes.map((note) => el("p", { class: "hint" }, note));
  if (!rates.conditions.length) return el("div", { class: "stack agreement" }, notes);
  const most = Math.max(...rates.conditions.map((one) => one.high ?? one.rate)) || 1;
  const bar = (one) => {
    const full = el("span", { class: "fill" });
    full.style.width = `${(100 * one.rate) / most}%`;
    return el("span", { class: "track" }, full);
  };
  const few = (one) => one.count < FEW && el("small", {}, ` from ${plural(one.count, "event")}`);
  return el("div", { class: "stack agreement" },
    el("div", { class: "scroll" }, el("table", { class: "conditions" }, el("caption", { class: "unseen" }, "Rates by condition"),
      heads(["Condition", "A minute", "95 %", "", "People", "Stretches", "Events", "Observed"]),
      el("tbody", {}, rates.conditions.map((one) => el("tr", {}, el("th", { scope: "row" }, one.condition),
        el("td", {}, rate(one.rate), few(one)), el("td", {}, ends(one)), el("td", { class: "wide" }, bar(one)),
        el("td", {}, one.subjects), el("td", {}, one.recordings), el("td", {}, one.count), el("td", {}, formatDuration(60 * one.minutes))))))),
    rates.comparisons.length > 0 && el("div", { class: "scroll" }, el("table", { class: "comparisons" }, el("caption", {}, "Compared, a minute"),
      heads(["", "Difference", "95 %", "p", "p (Holm)", "Compared", "People", "Left out"]),
      el("tbody", {}, rates.comparisons.map((one) => el("tr", {}, el("th", { scope: "row" }, `${one.first} − ${one.second}`),
        el("td", {}, rate(one.difference)), el("td", {}, ends(one)), el("td", {}, probability(one.p)), el("td", {}, probability(one.p_holm)),
        el("td", {}, sided(one)), el("td", {}, one.subjects), el("td", {}, one.left_out)))))),
    notes);
}
