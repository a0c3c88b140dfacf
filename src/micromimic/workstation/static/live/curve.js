// The motion curve of the last seconds, as it grows; once it has ended, all of it to look through.

import { Chart } from "/static/viewer/chart.js";
import { formatTime } from "../app.js";
import { paintLane, paintSpans } from "/static/viewer/curve.js";
import { before, nearest, View } from "/static/viewer/scale.js";
import { extraRows, rowPanels, tallness } from "../review/rows.js";
import { placeIn } from "./events.js";

const WINDOW_S = 10, GAP_S = 0.5;
const LEAST_TOP = 8;
const LANE = 12, AXIS = 20;
const MOST = 2 ** 20; // points: an hour at 240 a second

export class LiveCurve {
  view = new View(0, WINDOW_S);

  /** `events` maps ids to {event, withdrawn}; `markers()` are those set so far. */
  constructor(root, events, markers) {
    this.events = events;
    this.markers = markers;
    this.clear();
    this.chart = new Chart(root, this.view, {
      label: "Motion curve: plus and minus zoom, arrow keys move, 0 shows all", drag: "pan", keys: true, left: 58, right: 10,
      panels: (_width, height) => this.#panels(height),
    });
  }

  #panels(height) {
    const rows = extraRows(null, this.markers(), { seek: (time) => this.view.show(time) }, { nearest: (time) => time });
    const low = height - AXIS - tallness(rows), lane = low - LANE - 4;
    return [
      { top: 10, bottom: lane - 4, axis: height - 9, high: this.#top(), paint: (pen) => this.#paint(pen), describe: (time) => this.#describe(time) },
      { top: lane, bottom: lane + LANE, paint: (pen) => paintLane(pen, this.#spans(), { thick: LANE - 2 }), describe: (time) => this.#describe(time) },
      ...rowPanels(rows, low).map((panel) => ({ ...panel, describe: (time) => panel.own(time, 4 * this.view.span / this.chart.width) })),
    ];
  }

  #describe(time) {
    const value = this.values[nearest(this.times, time)];
    return Number.isFinite(value) ? [formatTime(time), `${value.toFixed(1)} times this face's own noise`] : [];
  }

  /** All that was measured, from now on. */
  end() {
    if (!this.times.length) return;
    const first = this.times[0];
    Object.assign(this.view, { first, last: Math.max(this.times.at(-1), first + 1) });
    this.view.all();
    this.chart.redraw();
  }

  /** Seconds watched, and the share of them without a face. */
  get sums() {
    const seconds = this.times.length ? this.times.at(-1) - this.times[0] : 0;
    return { seconds, lost: seconds && this.lost.reduce((sum, [from, to]) => sum + to - from, 0) / seconds };
  }

  clear() {
    this.times = [];
    this.values = [];
    this.lost = []; // [from, to] without a face
    this.view.follow(WINDOW_S, WINDOW_S);
  }

  add({ time_s: time, score, found }) {
    const last = this.times.at(-1);
    if (time - last > GAP_S) this.#push(last, NaN);
    this.#push(time, score ?? NaN);
    const stretch = this.lost.at(-1);
    if (!found && stretch?.[1] === (last ?? time)) stretch[1] = time;
    else if (!found) this.lost.push([last ?? time, time]);
    if (this.times.length > MOST) {
      for (const list of [this.times, this.values]) list.splice(0, MOST / 2);
      this.lost = this.lost.filter(([, to]) => to > this.times[0]);
    }
    this.view.follow(Math.max(time, WINDOW_S), WINDOW_S);
  }

  #push(time, value) {
    this.times.push(time);
    this.values.push(value);
  }

  /** Top of the scale, by what is seen. */
  #top() {
    let top = 0;
    for (const value of this.#seen()) if (value > top) top = value;
    return Math.max(LEAST_TOP, Math.ceil((1.1 * top) / 4) * 4);
  }

  #seen() {
    return this.values.slice(before(this.times, this.view.from), before(this.times, this.view.to) + 1);
  }

  #spans() {
    return [...this.events.values()].map(({ event, withdrawn }) => ({
      key: String(event.id), from: event.onset_s, apex: event.apex_s, to: event.offset_s, label: event.label, longer: false,
      place: withdrawn ? "place-0" : placeIn(event), faint: withdrawn,
    }));
  }

  #paint(pen) {
    const { bottom, left, right } = pen.panel;
    paintSpans(pen, this.#spans());
    for (const [from, to] of this.lost) pen.band(from, to, pen.colour.warm, { top: bottom - 3 });
    pen.curve(this, pen.colour.curve, 1.8);
    if (!this.times.length || this.#seen().some((value) => value >= 0)) return;
    const lost = this.lost.at(-1)?.[1] === this.times.at(-1);
    pen.words(lost ? "no face in the picture" : "no curve yet: this face's rest is being learnt", (left + right) / 2, bottom / 2, { font: "13px" });
  }
}
