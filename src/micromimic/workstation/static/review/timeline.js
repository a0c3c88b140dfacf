// The timeline: curve, machine's candidates, coder's events, and where the video stands.

import { byId, el } from "/static/app.js";
import { Chart } from "/static/viewer/chart.js";
import { Movement, paintLane, spanAt } from "/static/viewer/curve.js";
import { Overview } from "/static/viewer/overview.js";
import { View } from "/static/viewer/scale.js";
import { Handles } from "./handles.js";
import { classMark } from "./inspector.js";
import { extraRows, markerWords, rowPanels, shortName, tallness } from "./rows.js";
import { STATUS, eventName, isLonger, reasonWords } from "./words.js";

const TOP = 20, AXIS = 24, LANE = 24, GAP = 6, STRIP = 5;
const REGIONS = { forehead: "brows", eyes: "lids", nose: "nose", mouth: "mouth", chin: "chin" };
const NEAR = 6; // pixels within which the mouse is on something
const HELD = { across: 11, up: 13 }; // pixels around a mark of a held-back movement that a finger still means

export class Timeline {
  constructor(root, model, player, { waveform = null, mark = null } = {}) {
    this.model = model;
    this.player = player;
    const { clock, rows, shown } = model;
    this.view = new View(clock.time(0), clock.end, 1 / clock.fps);
    this.limits = readLimits(rows, shown.stated_units);
    byId("legend").prepend(...model.places.map((name) => el("li", {}, classMark(model, name), name)));
    byId("legend-missed").hidden = !this.limits;
    byId("legend-longer").hidden = !model.events.some(isLonger);
    this.rows = extraRows(waveform, model.markers, player, clock);
    root.style.setProperty("--more", `${tallness(this.rows)}px`);
    this.movement = new Movement({
      series: rows && { times: clock.times.subarray(0, rows.length), values: rows.get("score") },
      threshold: shown.threshold,
      lost: rows ? lostStretches(rows, clock) : [],
      gated: shown.gated.map(({ start, end, cause }) => [start, end, reasonWords(cause)]),
      blinks: shown.blinks.map(({ start, end }) => [start, end]),
      rejected: [],
    });
    this.#collect();
    const high = this.movement.ceiling(this.spans);
    this.playhead = el("div", { class: "playhead", "aria-hidden": "true" }, el("span"));
    this.handles = new Handles(this);
    const plot = el("div", { role: "group", "aria-label": "Timeline. Arrow keys step frames, n and p choose events, plus and minus zoom, 0 shows all." });
    this.chart = new Chart(plot, this.view, {
      label: "Movement over time", wheel: true, mark,
      panels: (width, height) => this.#panels(width, height, high),
      press: (x, y, time, { panel }) => this.#press(x, y, time, panel),
      scrub: (time) => player.seek(clock.nearest(time)),
      taken: () => this.handles.yield(),
      placed: () => this.place(),
    });
    plot.append(this.playhead, this.handles.root);
    this.overview = new Overview(this.chart, {
      series: this.movement.series, high, spans: () => this.spans, seek: (time) => player.seek(clock.nearest(time)),
    });
    root.append(plot, this.overview.root);
    model.on("events machine", () => {
      this.#collect();
      this.overview.draw();
      this.chart.redraw();
    });
    model.on("select", (how) => this.#chosen(how));
    player.addEventListener("frame", () => this.#follow());
  }

  time(frame) {
    return this.model.clock.time(frame);
  }

  /** Where a frame lies, CSS pixels. */
  x(frame) {
    return this.chart.pens[0].x(this.time(frame));
  }

  #collect() {
    const { model } = this;
    this.spans = this.#spans(model.events, true);
    this.others = this.#spans(model.others, false);
    this.machine = this.#spans(model.machineEvents.map((event) => ({ ...event, status: "accepted" })), false);
    // While coding is blind, what the machine saw and did not report would tell what it did.
    const hidden = model.blind && !model.done;
    this.movement.rejected = hidden ? [] : (model.shown.rejected ?? []).map(({ peak, reason }) => [peak, reasonWords(reason)]);
    this.held = model.heldBack.map((movement) => ({ movement, apex: this.time(movement.apex_frame) }));
    byId("legend-held").hidden = !this.movement.rejected.length;
  }

  #spans(events, named) {
    return events.map((event) => ({
      key: event.key, from: this.time(event.onset_frame), apex: this.time(event.apex_frame), to: this.time(event.offset_frame),
      place: this.model.place(event.label), label: event.label, longer: isLonger(event),
      open: event.status === "pending", faint: event.status === "rejected",
      name: named ? `${eventName(event.key)} ${STATUS[event.status].sign}` : undefined,
    }));
  }

  #panels(width, height, high) {
    const { model, movement } = this;
    const rows = [["machine", this.machine], ...(model.others.length ? [[model.othersName, this.others]] : [])];
    const strips = this.limits?.length ?? 0;
    const left = 62, axis = height - AXIS;
    const lanes = axis - (rows.length + 1) * LANE, extra = lanes - tallness(this.rows);
    const bottom = extra - GAP - (strips ? strips * STRIP + GAP : 0);
    const main = {
      top: TOP, bottom, high,
      paint: (pen) => {
        movement.paint(pen, this.spans, model.selected);
        this.#paintHeld(pen);
        pen.frames(model.clock.times);
      },
    };
    const missed = this.limits && {
      top: bottom + GAP, bottom: bottom + GAP + strips * STRIP, name: "missed",
      paint: (pen) => { for (const [k, limit] of this.limits.entries()) this.#paintMissed(pen, limit, k); },
    };
    const others = rows.map(([name, spans], k) => ({
      top: lanes + k * LANE + (k ? 4 : 6), bottom: lanes + k * LANE + 14, name: shortName(name), paint: (pen) => paintLane(pen, spans),
    }));
    const own = {
      top: axis - LANE, bottom: axis, name: "you", axis: height - 9,
      paint: (pen) => paintLane(pen, this.spans, { thick: 9, selected: model.selected }),
    };
    return [main, missed, ...rowPanels(this.rows, extra), ...others, own].filter(Boolean).map((panel) => ({
      ...panel, left, describe: (time) => {
        const near = (NEAR / (width - left)) * this.view.span;
        return [...this.#describe(time, near, panel === missed), ...(panel.own?.(time, near) ?? [])];
      },
    }));
  }

  /** The held-back movements that can be chosen stand out; the one looked at shows its ends. */
  #paintHeld(pen) {
    for (const [k, { movement, apex }] of this.held.entries()) {
      const chosen = k === this.model.held;
      if (chosen) pen.band(this.time(movement.onset_frame), this.time(movement.offset_frame), pen.colour.muted, { alpha: 0.3, least: 2 });
      if (pen.sees(apex)) pen.words("✕", pen.x(apex), this.movement.crossY(pen, apex), { font: chosen ? "bold 14px" : "bold 11px", colour: pen.colour.ink });
    }
  }

  /** The held-back movement whose mark is meant by a place, or -1. */
  #heldAt(x, y) {
    const [pen] = this.chart.pens;
    return this.held.findIndex(({ apex }) => pen.sees(apex) && Math.abs(pen.x(apex) - x) <= HELD.across && Math.abs(this.movement.crossY(pen, apex) - y) <= HELD.up);
  }

  /** One region's row: darker where more of the time is closed to movements of the stated size. */
  #paintMissed(pen, { missed }, row) {
    const { left, right } = pen.panel, { clock } = this.model, { c, colour } = pen;
    const y = pen.panel.top + row * STRIP;
    c.fillStyle = colour.soft;
    c.fillRect(left, y, right - left, STRIP - 1);
    for (let x = left; x < right; x += 1) {
      const from = clock.nearest(pen.time(x));
      const to = Math.max(from + 1, clock.nearest(pen.time(x + 1)));
      const alpha = (0.75 * (missed[to] - missed[from])) / (to - from);
      if (alpha) pen.band(pen.time(x), pen.time(x + 1), colour.muted, { alpha, top: y, bottom: y + STRIP - 1 });
    }
  }

  /** What lies under the mouse. */
  #describe(time, near, limits) {
    const frame = this.model.clock.nearest(time);
    const span = spanAt(this.spans, time, near);
    return [`frame ${frame}`, ...this.movement.describe(time, near), limits && this.#limitWords(frame), span && `event ${eventName(span.key)}: ${span.label || "no class yet"}`].filter(Boolean);
  }

  /** The limits at a frame, pixels of the picture. */
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

  /** A click chooses an event or a held-back movement, on the curve it goes to the moment as well; on a marker to its onset. */
  #press(x, y, time, pressed) {
    const [{ panel }] = this.chart.pens;
    const near = ((NEAR - 1) / (panel.right - panel.left)) * this.view.span;
    if (pressed.press) return pressed.press(time, near);
    const held = this.#heldAt(x, y);
    if (held >= 0) return this.model.selectHeld(held);
    const span = spanAt(this.spans, time, near);
    const onLane = y >= panel.bottom;
    if (span) this.model.select(span.key, { look: onLane });
    if (!span || !onLane) this.player.seek(this.model.clock.nearest(time));
    return undefined;
  }

  /** Goes to the next onset of a marker, or the one before. */
  toMarker(step) {
    const { markers, clock } = this.model, { aim } = this.player;
    const starts = markers.map(({ onset_s: from }) => clock.nearest(from));
    const next = step > 0 ? starts.findIndex((frame) => frame > aim) : starts.findLastIndex((frame) => frame < aim);
    if (next < 0) return this.model.say(markers.length ? `no marker ${step > 0 ? "after" : "before"} this` : "this recording has no markers");
    this.player.seek(starts[next]);
    return this.model.say(markerWords(markers[next]));
  }

  #chosen({ look }) {
    this.handles.finish();
    const event = this.model.event();
    if (event && look) this.view.showStretch(this.time(event.onset_frame), this.time(event.offset_frame));
    this.chart.redraw();
  }

  #follow() {
    const time = this.time(this.player.shown);
    const { from, to } = this.view;
    if (!this.handles.dragging && (time < from || time > to)) {
      if (this.player.playing) this.view.set(time, time + this.view.span);
      else this.view.show(time);
    }
    this.#placePlayhead();
  }

  /** Puts what lies on the drawing where it belongs. */
  place() {
    this.#placePlayhead();
    this.handles.place();
  }

  #placePlayhead() {
    if (!this.chart.pens.length) return;
    const { shown } = this.player, x = this.x(shown), { left, right } = this.chart.pens[0].panel;
    this.playhead.hidden = x < left - 1 || x > right + 1;
    this.playhead.style.transform = `translateX(${x}px)`;
    const number = /** @type {HTMLElement} */ (this.playhead.firstChild);
    number.textContent = String(shown);
    // At either end it stays on the axis, over the whole of the time that stands there.
    const half = number.offsetWidth / 2;
    number.style.left = `${Math.max(left - x + half, Math.min(right - x - half, 0))}px`;
    this.overview.point(this.time(shown));
  }
}

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
  /** @type {[number, number][]} */
  const found = [];
  let since = -1;
  for (let k = 0; k <= rows.length; k += 1) {
    const lost = k < rows.length && rows.segment(k) === null;
    if (lost && since < 0) since = k;
    if (!lost && since >= 0) {
      found.push([clock.time(since), clock.time(k - 1) + 1 / clock.fps]);
      since = -1;
    }
  }
  return found;
}
