// Draws on one panel of a chart, in its times and values. Nothing is kept.

import { signOf } from "./places.js";
import { before, logTicks, thin, ticks, timeTicks } from "./scale.js";

/** @typedef {import("./types.d.ts").Series} Series */
/** @typedef {[number, number] | null} Point a place in CSS pixels; null lifts the pen */

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

export class Pen {
  /**
   * @param {CanvasRenderingContext2D} context @param {import("./scale.js").View} view
   * @param {import("./types.d.ts").Panel} panel @param {Record<string, string>} colour
   */
  constructor(context, view, panel, colour) {
    this.c = context;
    this.view = view;
    this.panel = panel;
    this.colour = colour;
  }

  /** @param {number} time */
  x(time) {
    const { left, right } = this.panel;
    return left + ((time - this.view.from) / this.view.span) * (right - left);
  }

  /** @param {number} x */
  time(x) {
    const { left, right } = this.panel;
    return this.view.from + ((x - left) / (right - left)) * this.view.span;
  }

  /** What lies above or below the panel is put on its edge. @param {number} value */
  y(value) {
    const { top, bottom, low, high = 1, log } = this.panel;
    const at = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return bottom - Math.max(0, Math.min(1, at)) * (bottom - top);
  }

  /** @param {number} time */
  sees(time) {
    return time >= this.view.from && time <= this.view.to;
  }

  /** A line through places. @param {Point[]} points @param {string} colour */
  stroke(points, colour, width = 1) {
    const { c } = this;
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.beginPath();
    points.forEach((point, k) => {
      if (point) c[k && points[k - 1] ? "lineTo" : "moveTo"](...point);
    });
    c.stroke();
  }

  /** A curve, each pixel's extremes of it. @param {Series} series @param {string} colour */
  curve({ times, values }, colour, width = 1.4) {
    const { left, right, top, bottom } = this.panel;
    const from = Math.max(0, before(times, this.view.from) - 1);
    const to = Math.min(times.length, before(times, this.view.to) + 1);
    this.c.save();
    this.c.beginPath();
    this.c.rect(left, top - 2, right - left, bottom - top + 4);
    this.c.clip();
    this.c.lineJoin = "round";
    this.stroke(thin(values, from, to, right - left).map((k) => (k < 0 ? null : [this.x(times[k]), this.y(values[k])])), colour, width);
    this.c.restore();
  }

  /** A stretch of time as a shade of the whole panel, or from `top` to `bottom`. @param {number} from @param {number} to @param {string} colour */
  band(from, to, colour, { alpha = 1, least = 1, top = this.panel.top, bottom = this.panel.bottom } = {}) {
    if (to < this.view.from || from > this.view.to) return;
    const a = Math.max(this.panel.left, this.x(from)), b = Math.min(this.panel.right, this.x(to));
    this.c.globalAlpha = alpha;
    this.c.fillStyle = colour;
    this.c.fillRect(a, top, Math.max(least, b - a), bottom - top);
    this.c.globalAlpha = 1;
  }

  /** A value as a dashed line. @param {number} value */
  level(value) {
    const y = this.y(value);
    this.c.setLineDash([6, 5]);
    this.stroke([[this.panel.left, y], [this.panel.right, y]], this.colour.muted);
    this.c.setLineDash([]);
  }

  /** @param {number} x @param {number} y @param {string} colour @param {string} fill */
  dot(x, y, colour, fill) {
    const { c } = this;
    c.beginPath();
    c.arc(x, y, 5, 0, 2 * Math.PI);
    Object.assign(c, { fillStyle: fill, strokeStyle: colour, lineWidth: 2 });
    c.fill();
    c.stroke();
  }

  /** The sign of a class; open: as an outline. @param {string} place @param {number} x @param {number} y */
  mark(place, x, y, { size = 11, open = false } = {}) {
    const { c, colour } = this, sign = signOf(place);
    Object.assign(c, { font: `${size}px ${FONT}`, textAlign: "center", textBaseline: "alphabetic", lineJoin: "round", lineWidth: 3 });
    c.strokeStyle = open ? colour[place] : colour.panel;
    c.fillStyle = open ? colour.panel : colour[place];
    const { actualBoundingBoxAscent: above, actualBoundingBoxDescent: below } = c.measureText(sign);
    c.strokeText(sign, x, y + (above - below) / 2);
    c.fillText(sign, x, y + (above - below) / 2);
  }

  /** @param {string} text @param {number} x @param {number} y @param {{align?: CanvasTextAlign, colour?: string, font?: string}} [how] */
  words(text, x, y, { align = "center", colour = this.colour.muted, font = "11px" } = {}) {
    const { c } = this;
    c.font = `${font} ${FONT}`;
    c.textAlign = align;
    c.textBaseline = "middle";
    c.fillStyle = colour;
    c.fillText(text, x, y);
  }

  /** How wide words about a place are, and the place moved so that they stay on the panel. @param {string} text @param {number} x */
  fitted(text, x, font = "11px") {
    this.c.font = `${font} ${FONT}`;
    const half = this.c.measureText(text).width / 2;
    return { half, x: Math.min(this.panel.right - half, Math.max(this.panel.left + half, x)) };
  }

  /** Names, grid and the numbers of both axes. */
  axes() {
    const { top, bottom, left, right, low, high, log, name, title, axis } = this.panel;
    if (name) this.words(name, high === undefined ? left - 7 : 2, (top + bottom) / 2, { align: high === undefined ? "right" : "left", colour: high === undefined ? this.colour.muted : this.colour.ink });
    if (title) this.words(title, left, top - 9, { align: "left", colour: this.colour.ink });
    if (high !== undefined) {
      const own = this.panel.marks ?? (log ? logTicks(low, high) : ticks(low, high, Math.max(2, (bottom - top) / 45)));
      for (const { value, words } of own) {
        const y = Math.round(this.y(value)) + 0.5;
        this.stroke([[left, y], [right, y]], this.colour.line);
        this.words(words, left - 7, y, { align: "right" });
      }
    }
    for (const { value, words } of this.panel.times ?? timeTicks(this.view, right - left)) {
      const x = Math.round(this.x(value)) + 0.5;
      if (high !== undefined && !this.panel.times) this.stroke([[x, top], [x, bottom]], this.colour.line);
      if (axis !== undefined) this.words(words, this.fitted(words, x).x, axis);
    }
  }

  /** A tick a frame below the panel, where frames are far enough apart. @param {ArrayLike<number>} times */
  frames(times) {
    if (this.view.span > 4 * this.view.shortest) return;
    for (let k = before(times, this.view.from); k < times.length && times[k] <= this.view.to; k += 1) {
      const x = Math.round(this.x(times[k])) + 0.5;
      this.stroke([[x, this.panel.bottom], [x, this.panel.bottom + 4]], this.colour.muted);
    }
  }
}
