// The motion curve of the last seconds, as it grows.

import { Chart } from "/static/viewer/chart.js";
import { formatTime } from "../app.js";
import { paintSpans } from "/static/viewer/curve.js";
import { nearest, View } from "/static/viewer/scale.js";
import { placeIn } from "./events.js";

const WINDOW_S = 10, GAP_S = 0.5;
const LEAST_TOP = 8;

export class LiveCurve {
  view = new View(0, WINDOW_S);

  /** `events` maps ids to {event, withdrawn}. */
  constructor(root, events) {
    this.events = events;
    this.clear();
    this.chart = new Chart(root, this.view, {
      label: "Motion curve of the last ten seconds", drag: null, left: 34, right: 10,
      panels: (_width, height) => [{
        top: 10, bottom: height - 20, axis: height - 9, high: this.#top(), paint: (pen) => this.#paint(pen),
        describe: (time) => {
          const value = this.values[nearest(this.times, time)];
          return Number.isFinite(value) ? [formatTime(time), `${value.toFixed(1)} × noise`] : [];
        },
      }],
    });
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
    // Cut back now and then, not at every frame.
    if (this.times.length > 512 && this.times[256] < time - WINDOW_S - 1) {
      for (const list of [this.times, this.values]) list.splice(0, 256);
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
    const seen = this.values.filter((value, k) => value >= 0 && this.times[k] >= this.view.from);
    return Math.max(LEAST_TOP, Math.ceil((1.1 * Math.max(0, ...seen)) / 4) * 4);
  }

  #paint(pen) {
    const { bottom, left, right } = pen.panel;
    paintSpans(pen, [...this.events.values()].map(({ event, withdrawn }) => ({
      key: event.id, from: event.onset_s, apex: event.apex_s, to: event.offset_s, label: event.label, longer: false,
      place: withdrawn ? "place-0" : placeIn(event), faint: withdrawn,
    })));
    for (const [from, to] of this.lost) pen.band(from, to, pen.colour.warm, { top: bottom - 3 });
    pen.curve(this, pen.colour.curve, 1.8);
    if (!this.times.length || this.values.some((value, k) => value >= 0 && this.times[k] >= this.view.from)) return;
    const lost = this.lost.at(-1)?.[1] === this.times.at(-1);
    pen.words(lost ? "no face in the picture" : "no curve yet: this face's rest is being learnt", (left + right) / 2, bottom / 2, { font: "13px" });
  }
}
