// How much a face moved over a recording, with what explains it: blinks, gates, a lost face, what was
// seen and not reported; and the movements themselves as spans.

import { formatTime } from "./dom.js";
import { nearest, peakAt } from "./scale.js";

/** @typedef {import("./types.d.ts").Span} Span */
/** @typedef {import("./types.d.ts").Stretch} Stretch */

export class Movement {
  /** @param {import("./types.d.ts").Known} known */
  constructor({ series, threshold, lost, gated, blinks, rejected }) {
    this.series = series;
    this.threshold = threshold;
    this.rejected = rejected;
    /** @type {[colour: string, stretches: Stretch[], words: (cause?: string) => string][]} */
    this.ground = [["lost", lost, () => "face lost"], ["gate", gated, (cause) => `not judged (${cause})`], ["blink", blinks, () => "blink"]];
  }

  /** @param {number} time */
  peak(time) {
    return this.series ? peakAt(this.series, time) : 0;
  }

  /** Top of the scale: every span's peak and the threshold have room; a rare outlier is cut off. @param {Span[]} spans */
  ceiling(spans) {
    if (!this.series) return 10;
    const { times, values } = this.series;
    let top = this.threshold * 2.5;
    for (const { from, to } of spans) {
      for (let k = nearest(times, from); k <= nearest(times, to); k += 1) if (values[k] > top) top = values[k];
    }
    const sample = [];
    const step = Math.max(1, Math.floor(values.length / 20000));
    for (let k = 0; k < values.length; k += step) if (Number.isFinite(values[k])) sample.push(values[k]);
    sample.sort((a, b) => a - b);
    return Math.max(top, sample[Math.floor(sample.length * 0.995)] ?? 0) * 1.16;
  }

  /** Everything but the spans' marks. @param {import("./pen.js").Pen} pen @param {Span[]} spans @param {string | null} [selected] */
  paint(pen, spans, selected = null) {
    for (const [colour, stretches] of this.ground) for (const [from, to] of stretches) pen.band(from, to, pen.colour[colour]);
    paintSpans(pen, spans, selected);
    pen.level(this.threshold);
    if (this.series) pen.curve(this.series, pen.colour.curve);
    for (const [peak] of this.rejected) if (pen.sees(peak)) pen.words("✕", pen.x(peak), this.crossY(pen, peak), { font: "10px" });
  }

  /** Where the cross of what was not reported stands: over the curve, and on the panel where that is cut off. @param {import("./pen.js").Pen} pen @param {number} time */
  crossY(pen, time) {
    return Math.max(pen.panel.top + 7, pen.y(this.peak(time)) - 8);
  }

  /** What there is at a moment; what is marked only, within `near` seconds. @param {number} time @param {number} near */
  describe(time, near) {
    const words = [formatTime(time)];
    if (this.series) {
      const value = this.series.values[nearest(this.series.times, time)];
      if (Number.isFinite(value)) words.push(`${value.toFixed(2)} times this face’s own noise`);
    }
    for (const [, stretches, name] of this.ground) {
      const stretch = stretches.find(([from, to]) => time >= from && time <= to);
      if (stretch) words.push(name(stretch[2]));
    }
    const cross = this.rejected.find(([peak]) => Math.abs(peak - time) < near);
    if (cross) words.push(`seen and held back: ${cross[1]}`);
    return words;
  }
}

/** Spans as shades of a panel. @param {import("./pen.js").Pen} pen @param {Span[]} spans @param {string | null} [selected] */
export function paintSpans(pen, spans, selected = null) {
  for (const { key, from, to, place, longer, faint } of spans) {
    const alpha = key === selected ? 0.28 : faint ? 0.05 : longer ? 0.08 : 0.16;
    pen.band(from, to, pen.colour[place], { alpha, least: 2 });
  }
}

/** The span at a moment, or the one whose apex is nearest of several. @template {Span} Kind @param {Kind[]} spans @param {number} time @param {number} reach seconds */
export function spanAt(spans, time, reach) {
  const hits = spans.filter(({ from, to }) => time >= from - reach && time <= to + reach);
  return hits.sort((a, b) => Math.abs(a.apex - time) - Math.abs(b.apex - time))[0] ?? null;
}

/** Bars with their apex marked, thin for longer expressions, their names below. @param {import("./pen.js").Pen} pen @param {Span[]} spans */
export function paintLane(pen, spans, { thick = 7, selected = /** @type {string | null} */ (null) } = {}) {
  const { c, colour, panel } = pen;
  let written = -Infinity; // right edge of the last name: names that would lie on others are left out
  for (const { key, from, apex, to, place, longer, open, faint, name } of spans) {
    if (to < pen.view.from || from > pen.view.to) continue;
    const tall = longer ? 4 : thick;
    const a = Math.max(panel.left, pen.x(from)), b = Math.min(panel.right, pen.x(to)), wide = Math.max(3, b - a);
    c.globalAlpha = faint ? 0.35 : 1;
    c.fillStyle = c.strokeStyle = colour[place];
    c.lineWidth = 1.5;
    if (open) c.strokeRect(a + 0.75, panel.top + 0.75, Math.max(2, wide - 1.5), tall - 1.5);
    else c.fillRect(a, panel.top, wide, tall);
    if (pen.sees(apex)) pen.mark(place, pen.x(apex), panel.top + tall / 2);
    c.globalAlpha = 1;
    if (!name) continue;
    const font = key === selected ? "bold 12px" : "11px";
    const { x, half } = pen.fitted(name, (a + b) / 2, font);
    if (x - half < written + 3) continue;
    pen.words(name, x, panel.bottom - 5, { font, colour: open ? colour.muted : colour.ink });
    written = x + half;
  }
}
