// The timeline's picture. Pure drawing: a context, a view, what there is; nothing is kept.

import { PLACES, formatTime, markOf } from "/static/app.js";
import { STATUS, eventName, isLonger } from "./words.js";

export const SIZES = { left: 62, right: 12, top: 20, axis: 24, lane: 24, gap: 6, strip: 5 };
const NAMES = ["ink", "muted", "line", "panel", "soft", "curve", "blink", "gate", "lost", "accent"];
for (let k = 1; k <= PLACES; k += 1) NAMES.push(`place-${k}`);
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

/** The colours of the page as they are now. */
export function colours() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const found = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  found["place-0"] = found.muted;
  probe.remove();
  return found;
}

/**
 * The lowest and the highest value for each pixel column, so that a curve of any length is drawn in
 * the time of its width and no peak is lost. Gives the line's points; null breaks it.
 */
export function thin(values, from, to, columns, at) {
  const points = [];
  const count = Math.max(1, Math.min(to - from, Math.round(columns)));
  for (let column = 0; column < count; column += 1) {
    let low = -1, high = -1;
    const stop = from + Math.floor(((column + 1) * (to - from)) / count);
    for (let k = from + Math.floor((column * (to - from)) / count); k < stop; k += 1) {
      const value = values[k];
      if (value !== value) continue;
      if (low < 0 || value < values[low]) low = k;
      if (high < 0 || value > values[high]) high = k;
    }
    if (low < 0) points.push(null);
    else if (low === high) points.push([at(low), values[low]]);
    else for (const k of low < high ? [low, high] : [high, low]) points.push([at(k), values[k]]);
  }
  return points;
}

/** Top of the scale: every event's peak and the threshold have room; a rare outlier is cut off. */
export function ceiling(score, threshold, clock, events) {
  let top = threshold * 2.5;
  for (const { onset_frame: onset, offset_frame: offset } of events) {
    for (let k = onset; k <= offset; k += 1) if (score[k] > top) top = score[k];
  }
  const sample = [];
  const step = Math.max(1, Math.floor(score.length / 20000));
  for (let k = 0; k < score.length; k += step) if (Number.isFinite(score[k])) sample.push(score[k]);
  sample.sort((a, b) => a - b);
  return Math.max(top, sample[Math.floor(sample.length * 0.995)] ?? 0) * 1.16;
}

/** Round steps: 1, 2 or 5 times a power of ten. */
export function step(span, most) {
  const rough = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((k) => k * power >= rough) ?? 10);
}

export function axes(c, { view, colour, top, bottom, height, scale, y, fps, start }) {
  c.font = FONT;
  c.lineWidth = 1;
  c.textBaseline = "middle";
  c.textAlign = "right";
  for (let value = 0, size = step(scale, 4); value <= scale; value += size) {
    const line = Math.round(y(value)) + 0.5;
    if (line < top + 4) break;
    c.strokeStyle = colour.line;
    stroke(c, [[view.left, line], [view.left + view.width, line]]);
    c.fillStyle = colour.muted;
    c.fillText(String(Math.round(value * 100) / 100), view.left - 7, line);
  }
  const size = Math.max(step(view.span, view.width / 92), 1 / fps);
  const digits = Math.max(0, Math.min(3, -Math.floor(Math.log10(size) + 1e-9)));
  c.textAlign = "center";
  for (let k = Math.ceil((view.from - 1e-9) / size); k * size <= view.to; k += 1) {
    const x = Math.round(view.x(k * size)) + 0.5;
    c.strokeStyle = colour.line;
    stroke(c, [[x, top], [x, bottom]]);
    c.fillStyle = colour.muted;
    const label = view.last >= 60 ? formatTime(k * size).slice(0, digits ? -(3 - digits) || undefined : -4) : `${(k * size).toFixed(digits)} s`;
    const half = c.measureText(label).width / 2;
    c.fillText(label, Math.min(view.left + view.width - half, Math.max(view.left + half, x)), height - 9);
  }
  if (view.shortest * 4 > view.span) frameTicks(c, view, colour, bottom, fps, start);
}

function frameTicks(c, view, colour, bottom, fps, start) {
  c.strokeStyle = colour.muted;
  for (let k = Math.ceil((view.from - start) * fps); k / fps + start <= view.to; k += 1) {
    const x = Math.round(view.x(start + k / fps)) + 0.5;
    stroke(c, [[x, bottom], [x, bottom + 4]]);
  }
}

export function stroke(c, points) {
  c.beginPath();
  let pen = false;
  for (const point of points) {
    if (!point) pen = false;
    else if (pen) c.lineTo(point[0], point[1]);
    else c.moveTo(point[0], point[1]);
    pen = point !== null;
  }
  c.stroke();
}

export function band(c, view, from, to, top, bottom, fill, least = 1) {
  if (to < view.from || from > view.to) return;
  const a = Math.max(view.left, view.x(from)), b = Math.min(view.left + view.width, view.x(to));
  c.fillStyle = fill;
  c.fillRect(a, top, Math.max(least, b - a), bottom - top);
}

/** The mark of a class by its place, as in the report. */
export function mark(c, place, x, y, size, fill) {
  c.beginPath();
  markOf(place).corners.forEach(([dx, dy], k) => c[k ? "lineTo" : "moveTo"](x + dx * size, y + dy * size));
  c.closePath();
  c.fillStyle = fill;
  c.fill();
}

/** One lane of bars, thin for longer expressions, with the apex marked, and the state's sign below where there is one. */
export function lane(c, { view, colour, time, place, y, height, events, selected = null, signs = false }) {
  c.textAlign = "center";
  c.textBaseline = "middle";
  let written = -Infinity; // right edge of the last name: names that would lie on others are left out
  for (const event of events) {
    const from = time(event.onset_frame), to = time(event.offset_frame);
    if (to < view.from || from > view.to) continue;
    const where = place(event.label), shade = colour[where], thick = isLonger(event) ? 4 : signs ? 9 : 7;
    const a = Math.max(view.left, view.x(from)), b = Math.min(view.left + view.width, view.x(to));
    const wide = Math.max(3, b - a);
    c.globalAlpha = event.status === "rejected" ? 0.35 : 1;
    c.fillStyle = c.strokeStyle = shade;
    c.lineWidth = 1.5;
    if (event.status === "pending") c.strokeRect(a + 0.75, y + 0.75, Math.max(2, wide - 1.5), thick - 1.5);
    else c.fillRect(a, y, wide, thick);
    const apex = view.x(time(event.apex_frame));
    if (apex >= view.left && apex <= view.left + view.width) {
      mark(c, where, apex, y + thick / 2, 5.6, colour.panel);
      mark(c, where, apex, y + thick / 2, 4.2, shade);
    }
    c.globalAlpha = 1;
    if (!signs) continue;
    c.fillStyle = event.status === "pending" ? colour.muted : colour.ink;
    c.font = FONT.replace("11px", event.key === selected ? "bold 12px" : "11px");
    const sign = `${eventName(event.key)} ${STATUS[event.status].sign}`;
    const half = c.measureText(sign).width / 2;
    const x = Math.min(view.left + view.width - half, Math.max(view.left + half, (a + b) / 2));
    if (x - half < written + 3) continue;
    c.fillText(sign, x, y + height - 5);
    written = x + half;
  }
  c.font = FONT;
}

export function crosses(c, view, colour, rejected, y) {
  c.strokeStyle = colour.muted;
  c.lineWidth = 1.4;
  for (const { peak } of rejected) {
    if (peak < view.from || peak > view.to) continue;
    const x = view.x(peak), level = y(peak);
    stroke(c, [[x - 3.5, level - 3.5], [x + 3.5, level + 3.5], null, [x - 3.5, level + 3.5], [x + 3.5, level - 3.5]]);
  }
}
