// The whole recording as a strip; the frame on it is what the chart shows.

import { el, sharp } from "./dom.js";
import { Pen } from "./pen.js";
import { View } from "./scale.js";

const EDGE = 9;

export class Overview {
  /** @param {import("./chart.js").Chart} chart @param {import("./types.d.ts").OverviewOptions} options */
  constructor(chart, options) {
    this.chart = chart;
    this.options = options;
    this.canvas = el("canvas", {});
    this.window = el("div", { class: "window" });
    this.needle = el("div", { class: "needle", hidden: true });
    this.root = el("div", { class: "overview", "aria-hidden": "true", title: "The whole recording: drag the frame to pan" },
      this.canvas, this.window, this.needle);
    const { first, last } = chart.view;
    this.whole = new View(first, last);
    this.pen = this.#pen();
    new ResizeObserver(() => this.draw()).observe(this.root);
    chart.view.addEventListener("view", () => this.place());
    document.addEventListener("theme", () => this.draw());
    this.#listen();
  }

  #pen(width = 0, height = 0) {
    const panel = { top: 2, bottom: height - 7, left: 0, right: width, low: 0, high: this.options.high, paint: () => {} };
    return new Pen(/** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d")), this.whole, panel, this.chart.colour);
  }

  draw() {
    const { width, height } = sharp(this.canvas);
    if (!width) return;
    const pen = this.#pen(width, height);
    this.pen = pen;
    for (const { from, to, place, faint, longer } of this.options.spans()) {
      pen.band(from, to, pen.colour[place], { alpha: faint ? 0.3 : 0.85, least: 2, top: height - (longer ? 2 : 5), bottom: height });
    }
    if (this.options.series) pen.curve(this.options.series, pen.colour.curve, 1);
    this.place();
  }

  /** Puts the frame where the view is. */
  place() {
    const { view } = this.chart;
    const a = this.pen.x(view.from), b = this.pen.x(view.to);
    this.window.hidden = view.whole;
    this.window.style.transform = `translateX(${a}px)`;
    this.window.style.width = `${Math.max(6, b - a)}px`;
  }

  /** @param {number} time */
  point(time) {
    this.needle.hidden = false;
    this.needle.style.transform = `translateX(${this.pen.x(time)}px)`;
  }

  #listen() {
    const { root } = this, { view } = this.chart;
    /** @type {{time: number, from: number, to: number} | null} */
    let grab = null;
    const at = (/** @type {PointerEvent} */ event) => event.clientX - root.getBoundingClientRect().left;
    root.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const x = at(event), time = this.pen.time(x);
      const outside = x < this.pen.x(view.from) - EDGE || x > this.pen.x(view.to) + EDGE;
      if (!view.whole && outside) view.set(time - view.span / 2, time + view.span / 2);
      grab = { time, from: view.from, to: view.to };
      root.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    root.addEventListener("pointermove", (event) => {
      if (!grab) return;
      const moved = this.pen.time(at(event)) - grab.time;
      view.set(grab.from + moved, grab.to + moved);
    });
    root.addEventListener("pointerup", (event) => {
      if (grab && view.whole) this.options.seek?.(this.pen.time(at(event)));
      grab = null;
    });
    root.addEventListener("pointercancel", () => { grab = null; });
  }
}
