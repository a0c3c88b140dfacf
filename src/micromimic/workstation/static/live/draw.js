// Canvases of the live page: the ten cells over the picture, the motion curve.

import { PLACES, colour, placeOf } from "../app.js";

export const WINDOW_S = 10;
const LEAST_TOP = 8;
const PAD = { left: 34, right: 10, top: 10, bottom: 20 };

/** Makes a canvas as sharp as the screen; gives its context, width and height in CSS pixels. */
function prepare(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Colours as the theme has them now; read once a theme, not once a frame. */
export function palette() {
  const names = ["curve", "muted", "line", "ink", "accent", "warm", "soft", "lost", "gate"];
  for (let k = 1; k <= PLACES; k += 1) names.push(`place-${k}`);
  return Object.fromEntries(names.map((name) => [name, colour(name)]));
}

/**
 * The cells over the picture. `face` is the last "face" message, `point` the last "curve" message,
 * `size` the frames' (width, height).
 */
export function drawCells(canvas, { face, point, size }) {
  const { context, width, height } = prepare(canvas);
  if (!face || !size || !point?.found || point.segment !== face.segment || !point.transform) return;
  const [[a, b, c], [d, e, f]] = point.transform;
  const sx = width / size[0], sy = height / size[1];
  const place = (x, y) => [(a * x + b * y + c + 0.5) * sx, (d * x + e * y + f + 0.5) * sy];
  const strongest = Math.max(1e-9, ...(point.cells ?? []).map(Math.abs));
  context.lineJoin = "round";
  face.cells.forEach(([left, top, right, bottom], index) => {
    const share = point.cells && point.score !== null ? Math.abs(point.cells[index]) / strongest : 0;
    const lit = point.score > 4 && share > 0.6;
    context.beginPath();
    for (const [x, y] of [[left, top], [right, top], [right, bottom], [left, bottom]]) context.lineTo(...place(x, y));
    context.closePath();
    context.lineWidth = lit ? 3.5 : 2.5;
    context.strokeStyle = "rgba(0, 0, 0, .45)";
    context.stroke();
    context.lineWidth = lit ? 2 : 1.2;
    context.strokeStyle = lit ? "#ffd54a" : "rgba(255, 255, 255, .9)";
    context.stroke();
  });
}

/** The curve's points of the last seconds, kept in a ring of plain arrays. */
export class Curve {
  constructor() { this.clear(); }

  clear() {
    this.times = [];
    this.scores = [];
    this.found = [];
  }

  add(point) {
    this.times.push(point.time_s);
    this.scores.push(point.score);
    this.found.push(point.found);
    // Cut back now and then, not at every frame.
    if (this.times.length > 512 && this.times[256] < point.time_s - WINDOW_S - 1) {
      for (const list of [this.times, this.scores, this.found]) list.splice(0, 256);
    }
  }

  get last() { return this.times.at(-1) ?? 0; }
}

function axes({ context, width, height }, top, first, last, colours) {
  const x = (time) => PAD.left + ((time - first) / WINDOW_S) * (width - PAD.left - PAD.right);
  const y = (score) => height - PAD.bottom - (Math.min(score, top) / top) * (height - PAD.top - PAD.bottom);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = colours.muted;
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  const step = [2, 4, 5, 10, 20, 50, 100, 200].find((s) => top / s <= 5) ?? 500;
  for (let value = 0; value <= top; value += step) {
    context.beginPath();
    context.moveTo(PAD.left, y(value));
    context.lineTo(width - PAD.right, y(value));
    context.stroke();
    context.fillText(String(value), PAD.left - 7, y(value));
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (let second = Math.ceil(first / 2) * 2; second <= last; second += 2) {
    if (second >= 0 && x(second) > PAD.left - 2) context.fillText(`${second} s`, Math.min(x(second), width - 18), height - PAD.bottom + 5);
  }
  return { x, y };
}

/** The running curve with the spans of candidates; `events` maps ids to their messages. */
export function drawCurve(canvas, curve, events, colours) {
  const area = prepare(canvas);
  const { context, width, height } = area;
  const last = Math.max(curve.last, WINDOW_S), first = last - WINDOW_S;
  const shown = curve.scores.filter((score, i) => score !== null && curve.times[i] >= first);
  const top = Math.max(LEAST_TOP, Math.ceil((1.1 * Math.max(0, ...shown)) / 4) * 4);
  const { x, y } = axes(area, top, first, last, colours);
  context.save();
  context.beginPath();
  context.rect(PAD.left, 0, width - PAD.left - PAD.right, height - PAD.bottom);
  context.clip();
  for (const { event, withdrawn } of events.values()) {
    if (event.offset_s < first) continue;
    context.globalAlpha = withdrawn ? 0.08 : 0.22;
    context.fillStyle = withdrawn ? colours.muted : colours[placeOf(event.label, Object.keys(event.probabilities))];
    context.fillRect(x(event.onset_s), PAD.top, x(event.offset_s) - x(event.onset_s), height - PAD.top - PAD.bottom);
    context.globalAlpha = 1;
  }
  lost(context, curve, first, { x, bottom: height - PAD.bottom }, colours);
  line(context, curve, first, { x, y }, colours);
  context.restore();
  if (shown.length || !curve.times.length) return;
  context.fillStyle = colours.muted;
  context.font = "13px system-ui, sans-serif";
  context.textAlign = "center";
  const words = curve.found.at(-1) ? "no curve yet: this face's rest is being learnt" : "no face in the picture";
  context.fillText(words, (PAD.left + width - PAD.right) / 2, height / 2 - 16);
}

/** Where there was no face, a band along the axis. */
function lost(context, curve, first, { x, bottom }, colours) {
  context.fillStyle = colours.warm;
  for (let i = 1; i < curve.times.length; i += 1) {
    if (curve.times[i] < first || curve.found[i]) continue;
    const from = x(curve.times[i - 1]);
    context.fillRect(from, bottom - 3, Math.max(1, x(curve.times[i]) - from), 3);
  }
}

function line(context, curve, first, { x, y }, colours) {
  context.beginPath();
  let pen = false;
  for (let i = 0; i < curve.times.length; i += 1) {
    if (curve.times[i] < first - 0.5) continue;
    const score = curve.scores[i];
    const gap = i > 0 && curve.times[i] - curve.times[i - 1] > 0.5;
    if (score === null || gap) pen = false;
    if (score === null) continue;
    if (pen) context.lineTo(x(curve.times[i]), y(score));
    else context.moveTo(x(curve.times[i]), y(score));
    pen = true;
  }
  context.strokeStyle = colours.curve;
  context.lineWidth = 1.8;
  context.lineJoin = "round";
  context.stroke();
}
