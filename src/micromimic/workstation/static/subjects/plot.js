// One indicator over a person's sessions: a picture, and the same numbers as a table.

import { el, formatDay } from "../app.js";
import { row, table } from "../lib/tables.js";
import { sessionName } from "../lib/records.js";
import { Chart } from "/static/viewer/chart.js";
import { View } from "/static/viewer/scale.js";

const PAD = { left: 46, right: 16, top: 14, bottom: 42 };
const FEW = 5; // fewer events than these give no single number
const LABEL_PX = 74;

/** Does a value rest on too few events to stand alone? Its interval is told then. */
const few = ({ n }) => n < FEW;

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

function range(sessions) {
  const all = sessions.flatMap((s) => [s.value, s.low, s.high]).filter(Number.isFinite);
  const low = Math.min(0, ...all), high = Math.max(0, ...all);
  return { low: low < 0 ? low * 1.05 : 0, high: high > 0 ? high * 1.08 : 1 };
}

const described = (indicator, session) =>
  `${sessionName(session)}: ${few(session) ? "" : `${short(session.value)} `}${indicator.unit}` +
  `, 95 % interval ${interval(session.low, session.high)}${session.baseline ? ", baseline" : ""}`;

/** What tells sessions apart, above their day. */
function label(pen, session, x, width) {
  const fits = (words) => 2 * pen.fitted(words, x).half <= width;
  let words = session.condition || session.title || "untitled";
  if (!fits(words)) {
    while (words && !fits(`${words}…`)) words = words.slice(0, -1).trimEnd();
    words += "…";
  }
  pen.words(words, pen.fitted(words, x).x, pen.panel.bottom + 13, { colour: pen.colour.ink });
  const day = formatDay(session.held_on);
  pen.words(day, pen.fitted(day, x).x, pen.panel.bottom + 28);
}

/**
 * The picture of one indicator with at least one value. Sessions stand side by side in order of their
 * day, baseline sessions as rings; a filled band is the baseline's interval where there is one session of it.
 */
function plot(root, indicator, baseline) {
  const { sessions } = indicator;
  const own = new Set(baseline);
  const clear = new Set(indicator.change.filter((c) => c.clear).map((c) => c.session_id));
  const base = sessions.filter((s) => own.has(s.session_id) && s.low !== null && s.high !== null);
  const paint = (pen) => {
    const { left, right, high } = pen.panel;
    if (base.length === 1) pen.band(0, sessions.length, pen.colour.accent, { alpha: 0.09, top: pen.y(base[0].high), bottom: pen.y(base[0].low) });
    pen.stroke([[left, pen.y(0)], [right, pen.y(0)]], pen.colour.muted);
    const width = (right - left) / sessions.length, every = Math.ceil(LABEL_PX / width);
    sessions.forEach((session, k) => {
      if (k % every === 0) label(pen, session, pen.x(k + 0.5), every * width - 6);
      if (session.value === null) return;
      const x = pen.x(k + 0.5), shade = pen.colour[clear.has(session.session_id) ? "accent" : "curve"];
      if (session.low !== null) pen.stroke([[x, pen.y(session.low)], [x, pen.y(session.high ?? high)]], shade, 1.6);
      for (const end of [session.low, session.high].filter((one) => one !== null)) pen.stroke([[x - 4, pen.y(end)], [x + 4, pen.y(end)]], shade, 1.6);
      if (!few(session)) pen.dot(x, pen.y(session.value), shade, own.has(session.session_id) ? pen.colour.panel : shade);
    });
  };
  return new Chart(root, new View(0, sessions.length), {
    label: `${indicator.label} by session; the table beside it has the numbers`, drag: null, left: PAD.left, right: PAD.right,
    panels: (_, height) => [{
      top: PAD.top, bottom: height - PAD.bottom, ...range(sessions), paint, times: [],
      describe: (place) => {
        const session = sessions[Math.min(sessions.length - 1, Math.floor(place))];
        return session.value === null ? [] : [described(indicator, session)];
      },
    }],
  });
}

function changeWords(change) {
  if (!change || (change.value === null && change.low === null)) return ["–", ""];
  const value = change.value === null ? "" : change.kind === "ratio" ? `× ${short(change.value)}` : `${change.value > 0 ? "+" : ""}${short(change.value)}`;
  return [value || "–", interval(change.low, change.high)];
}

/** A number above its interval; the interval alone where the number rests on too few events. */
const cell = (value, between, alone) => (alone ? [between || value] : [value, el("small", {}, between)]);

/** The same numbers as a table. */
function numbers(indicator, baseline) {
  const own = new Set(baseline);
  const changes = new Map(indicator.change.map((c) => [c.session_id, c]));
  const base = indicator.sessions.filter((s) => own.has(s.session_id)).reduce((sum, { n }) => sum + n, 0);
  const rows = indicator.sessions.map((s) => {
    const change = changes.get(s.session_id);
    const [value, between] = own.has(s.session_id) ? ["baseline", ""] : changeWords(change);
    const name = [s.condition || s.title || "untitled", el("small", {}, formatDay(s.held_on), s.condition && s.title && `, ${s.title}`)];
    return row(name, [
      [cell(short(s.value), interval(s.low, s.high), s.value !== null && few(s)), s.value !== null && few(s) && el("small", {}, "too few for one number")],
      el("td", { class: change?.clear && "clear" }, cell(value, between, between && (few(s) || base < FEW)), change?.clear && el("small", {}, "clear of no change")),
      s.n,
    ]);
  });
  const caption = `${indicator.label}: sessions, values and change from the baseline, each with its 95 % interval`;
  return table({ caption, unseen: true, columns: ["Session", "Value", "Change", "n"] }, rows);
}

export function indicatorCard(indicator, baseline) {
  const head = [el("h3", {}, indicator.label), el("p", { class: "hint" }, indicator.unit)];
  const about = { class: "indicator", dataset: { indicator: indicator.name } };
  if (!indicator.sessions.some((session) => session.value !== null)) {
    return el("article", about, head, el("p", { class: "empty" }, indicator.empty));
  }
  const picture = el("div", { class: "picture" });
  plot(picture, indicator, baseline);
  return el("article", about, head,
    el("div", { class: "both" }, picture, numbers(indicator, baseline)),
    el("p", { class: "hint caveat" }, indicator.caveat));
}
