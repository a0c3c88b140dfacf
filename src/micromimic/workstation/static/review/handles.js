// Onset, apex and offset of the chosen event as three sliders on the timeline: dragged by mouse or
// finger, moved by arrow keys. They snap to frames, the video shows the frame under way, and the
// change is made when the drag ends; Escape gives it up.

import { el, formatTime } from "/static/app.js";
import { POINTS, frameWords } from "./words.js";

const REST_MS = 700; // an arrow key's change is made when the keys rest that long

export class Handles {
  #draft = null; // {point, frame, origin}
  #timer = null;

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
    this.#commit();
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
    const { model, view } = this.timeline;
    const event = model.event();
    this.root.hidden = !event;
    if (!event) return;
    const { top, axis } = this.timeline.layout();
    this.root.style.setProperty("--top", `${top - 14}px`);
    this.root.style.setProperty("--tall", `${axis - top + 14}px`);
    this.root.className = `handles ${model.place(event.label)}`;
    for (const point of POINTS) {
      const knob = this.knobs[point], frame = this.frame(point);
      const x = view.x(this.timeline.time(frame));
      const [low, high] = this.#range(point);
      knob.style.transform = `translateX(${x}px)`;
      knob.hidden = x < view.left - 2 || x > view.left + view.width + 2;
      knob.setAttribute("aria-valuemin", low);
      knob.setAttribute("aria-valuemax", high);
      knob.setAttribute("aria-valuenow", frame);
      knob.setAttribute("aria-valuetext", frameWords(frame, model.clock));
    }
    this.#showBubble(event);
  }

  #showBubble(event) {
    const { view, model } = this.timeline;
    this.bubble.hidden = !this.#draft;
    if (!this.#draft) return;
    const { point, frame } = this.#draft;
    const machine = event.machine?.[`${point}_frame`];
    const words = [`${point} · frame ${frame} · ${formatTime(this.timeline.time(frame))}`];
    if (machine !== undefined && machine !== frame) words.push(` (machine ${machine})`);
    this.bubble.textContent = words.join("");
    const half = this.bubble.offsetWidth / 2;
    const x = Math.max(half + 2, Math.min(this.timeline.width - half - 2, view.x(this.timeline.time(frame))));
    this.bubble.style.transform = `translateX(${x - half}px)`;
  }

  #range(point) {
    const event = this.timeline.model.event();
    const last = this.timeline.model.clock.frames - 1;
    return {
      onset: [0, event.apex_frame], apex: [event.onset_frame, event.offset_frame], offset: [event.apex_frame, last],
    }[point];
  }

  #knob(point) {
    const knob = el("div", {
      class: ["knob", point], role: "slider", tabindex: "0", "aria-label": point, "aria-orientation": "horizontal",
    }, el("span", { class: "flag", "aria-hidden": "true" }));
    knob.addEventListener("pointerdown", (event) => this.#grab(event, point));
    knob.addEventListener("pointermove", (event) => this.#drag(event));
    knob.addEventListener("pointerup", (event) => this.#drop(event));
    knob.addEventListener("pointercancel", () => this.#cancel());
    knob.addEventListener("keydown", (event) => this.#key(event, point));
    knob.addEventListener("blur", () => this.#commit());
    return knob;
  }

  #begin(point) {
    clearTimeout(this.#timer);
    if (this.#draft?.point === point) return;
    this.#commit();
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
    if (event.button || this.timeline.pointers.size) return; // the other finger of a pinch
    event.stopPropagation();
    event.preventDefault();
    const knob = this.knobs[point];
    knob.focus({ preventScroll: true });
    knob.setPointerCapture(event.pointerId);
    this.#begin(point);
    // The point stays under the finger where it was taken, not where its middle is.
    this.#draft.lag = event.clientX - this.#pageX(this.#draft.frame);
    this.#draft.last = event;
    this.timeline.player.seek(this.#draft.frame);
    this.place();
  }

  #pageX(frame) {
    return this.timeline.plot.getBoundingClientRect().left + this.timeline.view.x(this.timeline.time(frame));
  }

  #drag(event) {
    if (this.#draft?.lag === undefined) return;
    event.stopPropagation();
    this.#draft.last = event;
    const x = event.clientX - this.#draft.lag - this.timeline.plot.getBoundingClientRect().left;
    this.#to(this.timeline.model.clock.nearest(this.timeline.view.time(x)));
  }

  #drop(event) {
    if (this.#draft?.lag === undefined) return;
    event.stopPropagation();
    this.#commit();
  }

  #key(event, point) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    const count = steps[event.key];
    if (count !== undefined && !event.ctrlKey && !event.altKey && !event.metaKey) {
      this.#begin(point);
      this.#to(this.#draft.frame + count * (event.shiftKey ? 10 : 1));
      this.place();
      this.#timer = setTimeout(() => this.#commit(), REST_MS);
    } else if (event.key === "Escape" && this.#draft) this.#cancel();
    else if (event.key === "Enter" && this.#draft) this.#commit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #commit() {
    clearTimeout(this.#timer);
    const draft = this.#draft;
    this.#draft = null;
    if (draft && draft.frame !== draft.origin) this.timeline.model.move({ [draft.point]: draft.frame }, draft.event);
    if (draft) this.place();
  }

  #cancel() {
    clearTimeout(this.#timer);
    const draft = this.#draft;
    this.#draft = null;
    if (!draft) return;
    this.timeline.player.seek(draft.back);
    this.place();
  }
}
