// The whole recording as a strip under the timeline; the frame on it is what the timeline shows.

import { el } from "/static/app.js";
import { stroke, thin } from "./paint.js";
import { isLonger } from "./words.js";

const EDGE = 9;

export class Overview {
  constructor(timeline) {
    this.timeline = timeline;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.window = el("div", { class: "window" });
    this.needle = el("div", { class: "needle" });
    this.root = el("div", { class: "overview", "aria-hidden": "true", title: "The whole recording: drag the frame to pan" },
      this.canvas, this.window, this.needle);
    this.#listen();
    timeline.model.addEventListener("events", () => this.repaint());
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    const ratio = devicePixelRatio || 1;
    if (!width) return;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.repaint();
  }

  x(time) {
    const { first, last } = this.timeline.view;
    return ((time - first) / (last - first)) * this.width;
  }

  repaint() {
    if (!this.width) return;
    const { colour, model, score, scale } = this.timeline;
    const c = this.canvas.getContext("2d");
    const ratio = this.canvas.width / this.width;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    for (const event of model.events) {
      const a = this.x(this.timeline.time(event.onset_frame)), b = this.x(this.timeline.time(event.offset_frame));
      c.globalAlpha = event.status === "rejected" ? 0.3 : 0.85;
      c.fillStyle = colour[model.place(event.label)];
      const tall = isLonger(event) ? 2 : 5;
      c.fillRect(a, this.height - tall, Math.max(2, b - a), tall);
    }
    c.globalAlpha = 1;
    if (!score) return;
    c.strokeStyle = colour.curve;
    c.lineWidth = 1;
    const points = thin(score, 0, score.length, this.width, (k) => this.x(this.timeline.time(k)));
    stroke(c, points.map((p) => p && [p[0], this.height - 7 - (Math.min(p[1], scale) / scale) * (this.height - 9)]));
  }

  place() {
    if (!this.width) return;
    const { view, player } = this.timeline;
    const a = this.x(view.from), b = this.x(view.to);
    this.window.hidden = view.whole;
    this.window.style.transform = `translateX(${a}px)`;
    this.window.style.width = `${Math.max(6, b - a)}px`;
    this.needle.style.transform = `translateX(${this.x(this.timeline.time(player.shown))}px)`;
  }

  #listen() {
    let grab = null;
    const at = (event) => event.clientX - this.root.getBoundingClientRect().left;
    const time = (x) => this.timeline.view.first + (x / this.width) * (this.timeline.view.last - this.timeline.view.first);
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const { view } = this.timeline;
      const x = at(event), a = this.x(view.from), b = this.x(view.to);
      if (!view.whole && (x < a - EDGE || x > b + EDGE)) view.set(time(x) - view.span / 2, time(x) + view.span / 2);
      grab = { x, from: view.from, to: view.to };
      this.root.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    this.root.addEventListener("pointermove", (event) => {
      if (!grab) return;
      const moved = time(at(event)) - time(grab.x);
      this.timeline.view.set(grab.from + moved, grab.to + moved);
    });
    const drop = (event) => {
      if (grab && event.type === "pointerup" && this.timeline.view.whole) this.timeline.player.seek(this.timeline.model.clock.nearest(time(at(event))));
      grab = null;
    };
    this.root.addEventListener("pointerup", drop);
    this.root.addEventListener("pointercancel", drop);
  }
}
