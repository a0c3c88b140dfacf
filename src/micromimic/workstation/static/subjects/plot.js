// One indicator over a person's sessions: a picture, and the same numbers as a table.

import { el, formatDate, svg } from "../app.js";

const HEIGHT = 190;
const PAD = { left: 46, right: 16, top: 14, bottom: 40 };

/** A number with as many digits as mean something: 0.0123, 1.23, 12.3, 123. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || size === 0 ? 2 : 3;
  return value.toFixed(digits).replace("-", "−");
}

/** "1.0 to 4.5"; an open end is said as such. */
export function interval(low, high) {
  if (low === null && high === null) return "–";
  if (high === null) return `${short(low)} or more`;
  if (low === null) return `${short(high)} or less`;
  return `${short(low)} to ${short(high)}`;
}

function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough);
  const first = Math.ceil(low / step - 1e-9) * step;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const count = Math.floor((high - first) / step + 1e-9) + 1;
  return Array.from({ length: count }, (_, i) => {
    const value = Number((first + i * step).toPrecision(6));
    return { value, words: value.toFixed(digits).replace("-", "−") };
  });
}

function range(sessions) {
  const all = sessions.flatMap((s) => [s.value, s.low, s.high]).filter((v) => v !== null && Number.isFinite(v));
  const low = Math.min(0, ...all), high = Math.max(0, ...all);
  return [low < 0 ? low * 1.05 : 0, high > 0 ? high * 1.08 : 1];
}

const described = (indicator, session) =>
  `${formatDate(session.held_on)}, ${session.title}: ${short(session.value)} ${indicator.unit}` +
  `, 95 % interval ${interval(session.low, session.high)}${session.baseline ? ", baseline" : ""}`;

/**
 * The picture of one indicator with at least one value, drawn for a width in CSS pixels.
 * Sessions stand side by side in order of their day, baseline sessions as rings; a filled band is
 * the baseline's interval where there is one session of it.
 */
export function plot(indicator, baseline, width) {
  const sessions = indicator.sessions;
  const [low, high] = range(sessions);
  const inner = width - PAD.left - PAD.right;
  const x = (i) => PAD.left + (inner * (i + 0.5)) / sessions.length;
  const y = (value) => PAD.top + (HEIGHT - PAD.top - PAD.bottom) * (1 - (value - low) / (high - low));
  const own = new Set(baseline);
  const clear = new Set(indicator.change.filter((c) => c.clear).map((c) => c.session_id));
  const grid = ticks(low, high).map(({ value, words }) => [
    svg("line", { class: value === 0 ? "zero" : "grid", x1: PAD.left, x2: width - PAD.right, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick", x: PAD.left - 7, y: y(value) + 4, "text-anchor": "end" }, words),
  ]);
  const every = Math.max(1, Math.ceil((74 * sessions.length) / inner));
  const days = sessions.map((s, i) => i % every === 0 &&
    svg("text", { class: "tick", x: x(i), y: HEIGHT - PAD.bottom + 18, "text-anchor": "middle" }, formatDate(s.held_on).replace(/ \d{4}$/, "")));
  const marks = sessions.map((s, i) => s.value !== null && svg("g",
    { class: ["mark", own.has(s.session_id) && "own", clear.has(s.session_id) && "clear"] },
    svg("title", {}, described(indicator, s)),
    s.low !== null && svg("line", { x1: x(i), x2: x(i), y1: y(s.low), y2: y(s.high ?? high) }),
    s.low !== null && svg("line", { x1: x(i) - 4, x2: x(i) + 4, y1: y(s.low), y2: y(s.low) }),
    s.high !== null && svg("line", { x1: x(i) - 4, x2: x(i) + 4, y1: y(s.high), y2: y(s.high) }),
    svg("circle", { cx: x(i), cy: y(s.value), r: 5 })));
  return svg("svg", { class: "trend", viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `${indicator.label} by session; the table beside it has the numbers` },
    band(sessions, own, { y, from: PAD.left, to: width - PAD.right }), grid, days, marks);
}

function band(sessions, own, { y, from, to }) {
  const base = sessions.filter((s) => own.has(s.session_id) && s.low !== null && s.high !== null);
  if (base.length !== 1) return null;
  const [{ low, high }] = base;
  return svg("rect", { class: "band", x: from, width: to - from, y: y(high), height: Math.max(1, y(low) - y(high)) });
}

function changeWords(change) {
  if (!change || (change.value === null && change.low === null)) return ["–", ""];
  const value = change.value === null ? "" : change.kind === "ratio" ? `× ${short(change.value)}` : `${change.value > 0 ? "+" : ""}${short(change.value)}`;
  return [value || "–", interval(change.low, change.high)];
}

/** The same numbers as a table. */
export function table(indicator, baseline) {
  const own = new Set(baseline);
  const changes = new Map(indicator.change.map((c) => [c.session_id, c]));
  const rows = indicator.sessions.map((s) => {
    const change = changes.get(s.session_id);
    const [value, between] = own.has(s.session_id) ? ["baseline", ""] : changeWords(change);
    return el("tr", {},
      el("th", { scope: "row" }, formatDate(s.held_on), el("small", {}, s.title)),
      el("td", {}, short(s.value), el("small", {}, interval(s.low, s.high))),
      el("td", { class: change?.clear && "clear" }, value, el("small", {}, between), change?.clear && el("small", {}, "clear of no change")),
      el("td", {}, s.n));
  });
  const note = "sessions, values and change from the baseline, each with its 95 % interval";
  return el("table", {}, el("caption", { class: "unseen" }, `${indicator.label}: ${note}`),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Session"), el("th", { scope: "col" }, "Value"),
      el("th", { scope: "col" }, "Change"), el("th", { scope: "col" }, "n"))),
    el("tbody", {}, rows));
}

/** A card of one indicator; the picture follows the card's width. */
export function indicatorCard(indicator, baseline) {
  const head = [el("h3", {}, indicator.label), el("p", { class: "hint" }, indicator.unit)];
  const about = { class: "indicator", dataset: { indicator: indicator.name } };
  if (!indicator.sessions.some((session) => session.value !== null)) {
    return el("article", about, head, el("p", { class: "empty" }, "Not measured in any session yet."));
  }
  const place = el("div", { class: "picture" });
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width < 120 || width === drawn) return;
    drawn = width;
    place.replaceChildren(plot(indicator, baseline, width));
  }).observe(place);
  return el("article", about, head,
    el("div", { class: "both" }, place, el("div", { class: "scroll" }, table(indicator, baseline))),
    el("p", { class: "hint caveat" }, indicator.caveat));
}
