// A chart over time: panels of curves and spans on one canvas that share a view, with what a mouse,
// fingers and keys do to it. Drawn once, and again only when the view, its size, the colours or what is
// shown change.

import { colours, el, inNextFrame, sharp } from "./dom.js";
import { Pen } from "./pen.js";
import { PLACES } from "./places.js";

const STILL = 4; // pixels that a click may shake
const WHEEL = 0.0016;

export class Chart {
  /** @param {HTMLElement} root @param {import("./scale.js").View} view @param {import("./types.d.ts").ChartOptions} options */
  constructor(root, view, options) {
    this.root = root;
    this.view = view;
    this.options = { left: 62, right: 12, drag: "pan", wheel: false, ...options };
    this.colour = colours(PLACES);
    this.redraw = inNextFrame(() => this.draw());
    this.width = this.height = 0;
    /** @type {Pen[]} one for each panel */
    this.pens = [];
    /** @type {Map<number, number>} where fingers are */
    this.pointers = new Map();
    this.canvas = el("canvas", { class: "curve", role: "img", "aria-label": options.label });
    this.readout = el("output", { class: "readout", hidden: true, "aria-hidden": "true" });
    this.selection = el("div", { class: "selection", hidden: true });
    root.classList.add("plot");
    root.role ??= "group";
    root.ariaLabel ??= options.label;
    root.replaceChildren(this.canvas, this.selection, this.readout);
    new ResizeObserver(() => this.draw()).observe(root);
    view.addEventListener("view", () => this.redraw());
    document.addEventListener("theme", () => this.recolour());
    root.addEventListener("pointerleave", () => this.#read(null));
    if (this.options.drag) new Gestures(this);
    else root.addEventListener("pointermove", (event) => this.hover(event));
  }

  recolour() {
    this.colour = colours(PLACES);
    this.redraw();
    return this;
  }

  draw() {
    const { context, width, height } = sharp(this.canvas);
    Object.assign(this, { width, height });
    if (!width || !height) return;
    const sides = { left: this.options.left, right: width - this.options.right, low: 0 };
    this.pens = this.options.panels(width, height).map((plan) => new Pen(context, this.view, { ...sides, ...plan }, this.colour));
    for (const pen of this.pens) {
      pen.axes();
      pen.panel.paint(pen);
    }
    Object.assign(this.root.dataset, { from: this.view.from, to: this.view.to });
    this.options.placed?.();
  }

  /** The panel at a place, or the nearest. @param {number} x @param {number} y */
  at(x, y) {
    const off = (/** @type {Pen} */ { panel }) => Math.max(0, panel.top - y, y - panel.bottom) + Math.max(0, panel.left - x, x - panel.right);
    return this.pens.reduce((best, pen) => (off(pen) < off(best) ? pen : best));
  }

  /** @param {MouseEvent} event @returns {[number, number]} */
  place(event) {
    const box = this.root.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** Says what lies under the mouse. @param {PointerEvent} event */
  hover(event) {
    if (event.pointerType === "mouse" && this.pens.length) this.#read(this.place(event));
  }

  /** @param {[number, number] | null} at */
  #read(at) {
    const pen = at && this.at(...at);
    const inside = pen && at[0] >= pen.panel.left && at[0] <= pen.panel.right;
    const lines = inside && pen.panel.describe ? pen.panel.describe(pen.time(at[0])) : [];
    this.readout.hidden = !lines.length;
    if (!at || !lines.length) return;
    this.readout.textContent = lines.join(" · ");
    const { offsetWidth: wide, offsetHeight: tall } = this.readout;
    const x = at[0] + 14 + wide < this.width ? at[0] + 14 : Math.max(2, at[0] - 14 - wide);
    this.readout.style.transform = `translate(${x}px, ${Math.max(2, Math.min(this.height - tall - 2, at[1] - tall - 8))}px)`;
  }
}

/**
 * Mouse, wheel, touch and keys: a click chooses, a drag pans or marks the stretch to zoom to, the wheel
 * and two fingers zoom around where they are, a double click shows all.
 */
class Gestures {
  /** @type {any} what is under way: {kind, pen, x, from, to, ...} */
  #gesture = null;

  /** @param {Chart} chart */
  constructor(chart) {
    this.chart = chart;
    const { root, view, options } = chart;
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    root.addEventListener("pointerup", (event) => this.#up(event));
    root.addEventListener("pointercancel", ({ pointerId }) => this.#end(pointerId));
    root.addEventListener("dblclick", () => view.all());
    root.tabIndex = 0;
    if (options.keys) root.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    const { view, options } = this.chart;
    const across = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    const amount = (event.deltaMode === 1 ? 18 : 1) * (across ? event.deltaX : event.deltaY);
    const pans = across || event.shiftKey;
    const zooms = !pans && (options.wheel || event.ctrlKey);
    // The page scrolls where there is nothing to move or to zoom out of.
    if ((!pans && !zooms) || (view.whole && (pans || amount > 0))) return;
    const [x, y] = this.chart.place(event);
    const pen = this.chart.at(x, y);
    event.preventDefault();
    if (pans) view.pan(pen.time(amount) - pen.time(0));
    else view.zoom(Math.exp(amount * WHEEL * (event.ctrlKey ? 6 : 1)), pen.time(x));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const { chart } = this, { view, options, pointers } = chart;
    if (event.button || !chart.pens.length) return;
    const [x, y] = chart.place(event);
    const taken = options.taken?.();
    if (taken) pointers.set(taken.pointerId, chart.place(taken)[0]);
    pointers.set(event.pointerId, x);
    chart.root.setPointerCapture(event.pointerId);
    const pen = chart.at(x, y);
    this.#gesture = { kind: event.shiftKey && options.mark ? "mark" : "press", pen, x, y, from: view.from, to: view.to };
    if (pointers.size === 2) {
      const [a, b] = pointers.values();
      Object.assign(this.#gesture, { kind: "pinch", gap: Math.max(12, Math.abs(a - b)), middle: pen.time((a + b) / 2) });
    } else if (options.scrub && y >= Math.max(...chart.pens.map(({ panel }) => panel.bottom))) {
      this.#gesture.kind = "scrub";
      options.scrub(this.#time(x));
    }
  }

  /** The moment at a place, on the panel where the gesture began. @param {number} x */
  #time(x) {
    const { pen } = this.#gesture, { left, right } = pen.panel;
    return pen.time(Math.max(left, Math.min(right, x)));
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const { chart } = this, { view, options, pointers } = chart;
    if (!pointers.has(event.pointerId)) return chart.hover(event);
    const [x] = chart.place(event);
    pointers.set(event.pointerId, x);
    const gesture = this.#gesture;
    if (gesture?.kind === "press" && Math.abs(x - gesture.x) > STILL) gesture.kind = event.pointerType === "mouse" ? options.drag : "pan";
    if (gesture?.kind === "pinch" && pointers.size === 2) this.#pinch();
    else if (gesture?.kind === "scrub") options.scrub?.(this.#time(x));
    else if (gesture?.kind === "zoom" || gesture?.kind === "mark") this.#select(gesture.x, x);
    else if (gesture?.kind === "pan") {
      const { left, right } = gesture.pen.panel;
      const moved = ((gesture.x - x) / (right - left)) * (gesture.to - gesture.from);
      view.set(gesture.from + moved, gesture.to + moved);
    }
    return undefined;
  }

  #pinch() {
    const { pen, gap, middle, from, to } = this.#gesture, { left, right } = pen.panel;
    const [a, b] = this.chart.pointers.values();
    const span = ((to - from) * gap) / Math.max(12, Math.abs(a - b));
    const share = ((a + b) / 2 - left) / (right - left);
    this.chart.view.set(middle - share * span, middle + (1 - share) * span);
  }

  /** @param {number} from @param {number} to */
  #select(from, to) {
    const { left, right } = this.#gesture.pen.panel;
    const [a, b] = [from, to].map((x) => Math.max(left, Math.min(right, x))).sort((one, two) => one - two);
    this.chart.selection.hidden = false;
    Object.assign(this.chart.selection.style, { left: `${a}px`, width: `${b - a}px` });
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const { chart } = this, { view, options, pointers } = chart;
    pointers.delete(event.pointerId);
    const gesture = this.#gesture;
    if (gesture?.kind === "press") options.press?.(gesture.x, gesture.y, this.#time(gesture.x), gesture.pen);
    if (gesture?.kind === "zoom" || gesture?.kind === "mark") {
      const [from, to] = [gesture.x, chart.place(event)[0]].map((x) => this.#time(x)).sort((a, b) => a - b);
      if (gesture.kind === "zoom") view.set(from, to);
      else if (to - from > STILL * view.span / chart.width) options.mark?.(from, to);
    }
    if (!pointers.size || gesture?.kind === "pinch") this.#end(event.pointerId);
  }

  /** @param {number} pointer */
  #end(pointer) {
    this.chart.pointers.delete(pointer);
    this.#gesture = null;
    this.chart.selection.hidden = true;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { view } = this.chart;
    const act = {
      "+": () => view.zoom(1 / 1.5), "=": () => view.zoom(1 / 1.5), "-": () => view.zoom(1.5), 0: () => view.all(),
      ArrowLeft: () => view.pan(-0.25 * view.span), ArrowRight: () => view.pan(0.25 * view.span),
    }[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  }
}
