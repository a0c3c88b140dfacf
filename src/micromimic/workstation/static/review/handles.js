// Onset, apex and offset of the chosen event as three sliders on the timeline: dragged by mouse or
// finger, moved by arrow keys. They snap to frames, the video shows the frame under way, and the
// change is made when the drag ends; Escape gives it up.

import { el, formatTime } from "/static/app.js";
import { POINTS, frameWords } from "./words.js";

const REST_MS = 700; // an arrow key's change is made when the keys rest that long
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

export class Handles {
  #draft = null; // {point, frame, origin, back, event, lag, last}
  #timer = 0;

  constructor(timeline) {
    this.timeline = timeline;
    this.bubble = el("output", { class: "bubble", hidden: true });
    this.knobs = Object.fromEntries(POINTS.map((point) => [point, this.#knob(point)]));
    this.root = el("div", { class: "handles", hidden: true }, Object.values(this.knobs), this.bubble);
  }

  get dragging() {
    return this.#draft !== null;
  }

  frame(point) {
    if (this.#draft?.point === point) return this.#draft.frame;
    return this.timeline.model.event()[`${point}_frame`];
  }

  /** Makes a change that is under way: another event was chosen. */
  finish() {
    const draft = this.#drop();
    if (draft && draft.frame !== draft.origin) this.timeline.model.move({ [draft.point]: draft.frame }, draft.event);
    if (draft) this.place();
  }

  /** Gives a drag by finger up; its last event, or null where there is none. */
  yield() {
    const last = this.#draft?.last;
    if (last?.pointerType !== "touch") return null;
    this.#cancel();
    return last;
  }

  /** Puts the sliders where the event is; called with each drawing. */
  place() {
    const { model, chart } = this.timeline;
    const event = model.event();
    this.root.hidden = !event || !chart.pens.length;
    if (this.root.hidden) return;
    const { top, left, right } = chart.pens[0].panel, axis = chart.pens.at(-1).panel.bottom;
    this.root.style.setProperty("--top", `${top - 14}px`);
    this.root.style.setProperty("--tall", `${axis - top + 14}px`);
    this.root.className = `handles ${model.place(event.label)}`;
    for (const point of POINTS) {
      const knob = this.knobs[point], frame = this.frame(point), x = this.timeline.x(frame);
      const [low, high] = this.#range(point);
      knob.style.transform = `translateX(${x}px)`;
      knob.hidden = x < left - 2 || x > right + 2 || Boolean(event.set && !event.set.includes(point)); // blind: only what the coder has set
      const values = { min: low, max: high, now: frame, text: frameWords(frame, model.clock) };
      for (const [name, value] of Object.entries(values)) knob.setAttribute(`aria-value${name}`, value);
    }
    this.#showBubble(event);
  }

  #showBubble(event) {
    this.bubble.hidden = !this.#draft;
    if (!this.#draft) return;
    const { point, frame } = this.#draft;
    const machine = event.machine?.[`${point}_frame`];
    const differs = machine !== undefined && machine !== frame;
    this.bubble.textContent = `${point} · frame ${frame} · ${formatTime(this.timeline.time(frame))}${differs ? ` (machine ${machine})` : ""}`;
    const half = this.bubble.offsetWidth / 2;
    const x = Math.max(half + 2, Math.min(this.timeline.chart.width - half - 2, this.timeline.x(frame)));
    this.bubble.style.transform = `translateX(${x - half}px)`;
  }

  #range(point) {
    const { onset_frame: onset, apex_frame: apex, offset_frame: offset } = this.timeline.model.event();
    return { onset: [0, apex], apex: [onset, offset], offset: [apex, this.timeline.model.clock.frames - 1] }[point];
  }

  #knob(point) {
    const knob = el("div", {
      class: ["knob", point], role: "slider", tabindex: "0", "aria-label": point, "aria-orientation": "horizontal",
      onpointerdown: (event) => this.#grab(event, point), onpointermove: (event) => this.#drag(event),
      onpointercancel: () => this.#cancel(), onkeydown: (event) => this.#key(event, point), onblur: () => this.finish(),
      onpointerup: (event) => {
        if (this.#draft?.lag === undefined) return;
        event.stopPropagation();
        this.finish();
      },
    }, el("span", { class: "flag", "aria-hidden": "true" }));
    return knob;
  }

  #begin(point) {
    clearTimeout(this.#timer);
    if (this.#draft?.point === point) return;
    this.finish();
    const frame = this.frame(point);
    this.#draft = { point, frame, origin: frame, back: this.timeline.player.shown, event: this.timeline.model.selected };
  }

  #to(frame) {
    const [low, high] = this.#range(this.#draft.point);
    const next = Math.max(low, Math.min(high, frame));
    if (next === this.#draft.frame) return;
    this.#draft.frame = next;
    this.timeline.player.seek(next);
    this.place();
  }

  #grab(event, point) {
    const { chart, player } = this.timeline;
    if (event.button || chart.pointers.size) return; // the other finger of a pinch
    event.stopPropagation();
    event.preventDefault();
    const knob = this.knobs[point];
    knob.focus({ preventScroll: true });
    knob.setPointerCapture(event.pointerId);
    this.#begin(point);
    // The point stays under the finger where it was taken, not where its middle is.
    this.#draft.lag = chart.place(event)[0] - this.timeline.x(this.#draft.frame);
    this.#draft.last = event;
    player.seek(this.#draft.frame);
    this.place();
  }

  #drag(event) {
    if (this.#draft?.lag === undefined) return;
    event.stopPropagation();
    this.#draft.last = event;
    const { chart, model } = this.timeline;
    this.#to(model.clock.nearest(chart.pens[0].time(chart.place(event)[0] - this.#draft.lag)));
  }

  #key(event, point) {
    const count = STEPS[event.key];
    if (count !== undefined && !event.ctrlKey && !event.altKey && !event.metaKey) {
      this.#begin(point);
      this.#to(this.#draft.frame + count * (event.shiftKey ? 10 : 1));
      this.place();
      this.#timer = setTimeout(() => this.finish(), REST_MS);
    } else if (event.key === "Escape" && this.#draft) this.#cancel();
    else if (event.key === "Enter" && this.#draft) this.finish();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #drop() {
    clearTimeout(this.#timer);
    const draft = this.#draft;
    this.#draft = null;
    return draft;
  }

  #cancel() {
    const draft = this.#drop();
    if (!draft) return;
    this.timeline.player.seek(draft.back);
    this.place();
  }
}
