// The timeline: curve, machine's candidates, coder's events, and where the video stands. Everything but
// the playhead is drawn once and again only when the view, the events, the size or the colours change.

import { el, formatTime } from "/static/app.js";
import { Handles } from "./handles.js";
import { classMark } from "./inspector.js";
import { Overview } from "./overview.js";
import { SIZES, axes, band, ceiling, colours, crosses, lane, stroke, thin } from "./paint.js";
import { listen } from "./gestures.js";
import { View } from "./view.js";
import { eventName, isLonger } from "./words.js";

export class Timeline {
  #asked = false;

  constructor(root, model, player) {
    Object.assign(this, { root, model, player });
    this.view = new View(model.clock);
    this.score = model.rows?.get("score") ?? null;
    this.limits = readLimits(model.rows, model.shown.stated_units);
    document.getElementById("legend").prepend(...model.labels.map((name) => el("li", {}, classMark(model, name), name)));
    document.getElementById("legend-missed").hidden = !this.limits;
    document.getElementById("legend-longer").hidden = !model.analysis.events.some(isLonger);
    this.lost = model.rows ? lostStretches(model.rows, model.clock) : [];
    this.scale = this.score ? ceiling(this.score, model.shown.threshold, model.clock, model.review.events) : 10;
    this.colour = colours();
    this.canvas = el("canvas", { class: "curve", "aria-hidden": "true" });
    this.playhead = el("div", { class: "playhead", "aria-hidden": "true" }, el("span"));
    this.plot = el("div", {
      class: "plot", role: "group", tabindex: "0",
      "aria-label": "Timeline. Arrow keys step frames, n and p choose events, plus and minus zoom, 0 shows all.",
    }, this.canvas, this.playhead);
    this.handles = new Handles(this);
    this.plot.append(this.handles.root);
    this.overview = new Overview(this);
    root.append(this.plot, this.overview.root);
    listen(this);
    new ResizeObserver(() => this.#resize()).observe(this.plot);
    this.view.addEventListener("view", () => this.redraw());
    model.addEventListener("events", () => this.redraw());
    model.addEventListener("select", ({ detail }) => this.#chosen(detail));
    player.addEventListener("frame", () => this.#follow());
    document.addEventListener("theme", () => {
      this.colour = colours();
      this.overview.repaint();
      this.redraw();
    });
  }

  time(frame) {
    return this.model.clock.time(frame);
  }

  /** Draws with the browser's next frame, once, however often it is asked for. */
  redraw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
    });
  }

  /** Heights of the parts, CSS pixels. */
  layout() {
    const { height } = this;
    const lanes = 2 + (this.model.others.length ? 1 : 0);
    const strip = this.limits ? SIZES.strip * this.limits.length + SIZES.gap : 0;
    const bottom = height - SIZES.axis - lanes * SIZES.lane - SIZES.gap - strip;
    const limits = bottom + SIZES.gap;
    return { top: SIZES.top, bottom, limits, lanes: limits + strip, axis: height - SIZES.axis };
  }

  /** The event under a point, or null: lanes first, then the shaded stretch of the curve. */
  eventAt(x, y) {
    const { axis } = this.layout();
    if (y > axis) return null;
    const reach = 5;
    const hits = this.model.events.filter((event) => {
      const from = this.view.x(this.time(event.onset_frame)), to = this.view.x(this.time(event.offset_frame));
      return x >= from - reach && x <= to + reach;
    });
    const distance = (event) => Math.abs(this.view.x(this.time(event.apex_frame)) - x);
    return hits.sort((a, b) => distance(a) - distance(b))[0]?.key ?? null;
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const left = width < 480 ? 54 : SIZES.left;
    this.view.place(left, width - left - SIZES.right);
    this.overview.resize();
    this.#draw();
  }

  #chosen({ look }) {
    this.handles.finish();
    const event = this.model.event();
    if (event && look) this.view.showStretch(this.time(event.onset_frame), this.time(event.offset_frame));
    this.redraw();
  }

  #follow() {
    const time = this.time(this.player.shown);
    const { from, to } = this.view;
    if (!this.handles.dragging && (time < from || time > to)) {
      if (this.player.playing) this.view.set(time, time + this.view.span);
      else this.view.show(time);
    }
    this.#placePlayhead();
    this.overview.place();
  }

  #placePlayhead() {
    const x = this.view.x(this.time(this.player.shown));
    const inside = x >= this.view.left - 1 && x <= this.view.left + this.view.width + 1;
    this.playhead.hidden = !inside;
    this.playhead.style.transform = `translateX(${x}px)`;
    this.playhead.firstChild.textContent = String(this.player.shown);
  }

  #draw() {
    if (!this.width) return;
    const { view, colour, model } = this;
    const c = this.canvas.getContext("2d");
    const ratio = this.canvas.width / this.width;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    const { top, bottom, limits, lanes } = this.layout();
    const y = (value) => bottom - (Math.min(value, this.scale) / this.scale) * (bottom - top);
    this.#bands(c, top, bottom);
    axes(c, { view, colour, top, bottom, height: this.height, scale: this.scale, y, fps: model.clock.fps, start: model.clock.start });
    this.#threshold(c, y);
    if (this.score) this.#curve(c, y);
    crosses(c, view, colour, model.shown.rejected, (t) => y(this.#peak(t)) - 8);
    if (this.limits) this.#limits(c, limits);
    this.#lanes(c, lanes);
    this.#placePlayhead();
    this.handles.place();
    this.overview.place();
  }

  #bands(c, top, bottom) {
    const { view, colour, model } = this;
    for (const { from, to } of this.lost) band(c, view, from, to, top, bottom, colour.lost);
    for (const { start, end } of model.shown.gated) band(c, view, start, end, top, bottom, colour.gate);
    for (const { start, end } of model.shown.blinks) band(c, view, start, end, top, bottom, colour.blink);
    for (const event of model.events) {
      c.globalAlpha = event.key === model.selected ? 0.26 : event.status === "rejected" || isLonger(event) ? 0.05 : 0.13;
      band(c, view, this.time(event.onset_frame), this.time(event.offset_frame), top, bottom, colour[model.place(event.label)], 2);
      c.globalAlpha = 1;
    }
  }

  #threshold(c, y) {
    const { view, colour } = this;
    const line = y(this.model.shown.threshold);
    c.strokeStyle = colour.muted;
    c.setLineDash([6, 5]);
    stroke(c, [[view.left, line], [view.left + view.width, line]]);
    c.setLineDash([]);
  }

  #curve(c, y) {
    const { view, colour, model } = this;
    const from = Math.max(0, model.clock.nearest(view.from) - 1);
    const to = Math.min(this.score.length, model.clock.nearest(view.to) + 2);
    const points = thin(this.score, from, to, view.width, (k) => view.x(this.time(k)));
    c.save();
    c.beginPath();
    c.rect(view.left, 0, view.width, this.height);
    c.clip();
    c.strokeStyle = colour.curve;
    c.lineWidth = 1.4;
    c.lineJoin = "round";
    stroke(c, points.map((point) => point && [point[0], y(point[1])]));
    c.restore();
  }

  /** A row a region: darker where more of the time is closed to movements of the stated size. */
  #limits(c, top) {
    const { view, colour, model, limits } = this;
    c.fillStyle = colour.muted;
    c.textAlign = "right";
    c.textBaseline = "middle";
    c.fillText("missed", view.left - 7, top + (SIZES.strip * limits.length) / 2);
    const columns = Math.max(1, Math.round(view.width));
    limits.forEach(({ missed }, row) => {
      const y = top + row * SIZES.strip;
      c.fillStyle = colour.soft;
      c.fillRect(view.left, y, view.width, SIZES.strip - 1);
      c.fillStyle = colour.muted;
      for (let column = 0; column < columns; column += 1) {
        const from = model.clock.nearest(view.from + (column / columns) * view.span);
        const to = Math.max(from + 1, model.clock.nearest(view.from + ((column + 1) / columns) * view.span));
        const share = (missed[to] - missed[from]) / (to - from);
        if (share === 0) continue;
        c.globalAlpha = 0.75 * share;
        c.fillRect(view.left + (column / columns) * view.width, y, view.width / columns, SIZES.strip - 1);
      }
      c.globalAlpha = 1;
    });
  }

  /** The limits at a frame in words, pixels of the picture. */
  #limitWords(frame) {
    const t = this.model.rows.transform(frame);
    if (!t) return "";
    const scale = Math.sqrt(Math.abs(t[0] * t[4] - t[1] * t[3]));
    const words = this.limits.map(({ name, values }) => {
      const value = values[frame];
      if (Number.isNaN(value)) return `${name} not known`;
      return `${name} ${value === Infinity ? "closed" : (value * scale).toFixed(1)}`;
    });
    return `found half the time from, px: ${words.join(", ")}`;
  }

  #peak(time) {
    if (!this.score) return 0;
    const k = this.model.clock.nearest(time);
    let best = 0;
    for (let j = Math.max(0, k - 2); j < Math.min(this.score.length, k + 3); j += 1) if (this.score[j] > best) best = this.score[j];
    return best;
  }

  #lanes(c, top) {
    const { view, colour, model } = this;
    const time = (frame) => this.time(frame), classOf = (label) => model.place(label);
    const machine = model.analysis.events.map((entry, k) => ({ ...entry, key: `m${k}`, status: "accepted" }));
    const rows = [["machine", machine, { y: top + 6, height: 14 }]];
    if (model.others.length) rows.push([model.othersName, model.others, { y: top + SIZES.lane + 4, height: 14 }]);
    const own = top + (rows.length) * SIZES.lane;
    rows.push(["you", model.events, { y: own, height: SIZES.lane + 2, signs: true, selected: model.selected }]);
    for (const [name, events, place] of rows) {
      c.fillStyle = colour.muted;
      c.textAlign = "right";
      c.textBaseline = "middle";
      c.fillText(name.length > 9 ? `${name.slice(0, 8)}…` : name, view.left - 7, place.y + 4);
      lane(c, { view, colour, time, place: classOf, events, ...place });
    }
  }

  /** One line on the point under the mouse. */
  describe(x, y) {
    const frame = this.model.clock.nearest(this.view.time(x));
    const words = [`frame ${frame} · ${formatTime(this.time(frame))}`];
    const score = this.score?.[frame];
    if (Number.isFinite(score)) words.push(`${score.toFixed(1)} × noise`);
    const { limits: strip, lanes } = this.layout();
    if (this.limits && y >= strip && y < lanes) words.push(this.#limitWords(frame));
    const time = this.time(frame);
    const near = 6 / this.view.width * this.view.span;
    const cross = this.model.shown.rejected.find(({ peak }) => Math.abs(peak - time) < near);
    const gate = this.model.shown.gated.find(({ start, end }) => time >= start && time <= end);
    if (this.model.shown.blinks.some(({ start, end }) => time >= start && time <= end)) words.push("blink");
    if (gate) words.push(`gated: ${gate.cause}`);
    if (cross) words.push(`seen, not reported: ${cross.reason}`);
    const key = this.eventAt(x, y);
    if (key) words.push(`event ${eventName(key)}: ${this.model.event(key).label}`);
    return words.join(" · ");
  }
}

const REGIONS = { forehead: "brows", eyes: "lids", nose: "nose", mouth: "mouth", chin: "chin" };

/**
 * Each region's detection limit, and in how many frames before each a movement of the stated size
 * would have been missed more often than not; null where the analysis gives no limits.
 */
function readLimits(rows, stated) {
  if (!rows || !stated) return null;
  return Object.entries(REGIONS).map(([region, name]) => {
    const values = rows.get(`limit_${region}`);
    const missed = new Uint32Array(values.length + 1);
    for (let k = 0; k < values.length; k += 1) missed[k + 1] = missed[k] + (values[k] > stated ? 1 : 0);
    return { name, values, missed };
  });
}

function lostStretches(rows, clock) {
  const found = [];
  const segment = rows.get("segment");
  let since = -1;
  for (let k = 0; k <= rows.length; k += 1) {
    const lost = k < rows.length && !(segment[k] >= 0);
    if (lost && since < 0) since = k;
    if (!lost && since >= 0) {
      found.push({ from: clock.time(since), to: clock.time(k - 1) + 1 / clock.fps });
      since = -1;
    }
  }
  return found;
}
