// What the page knows and what a person does: one place, which tells the views when something changed.

import { placeOf } from "/static/app.js";
import { withChanges, refusal } from "./apply.js";
import { Saver } from "./saver.js";
import { POINTS, actionWords, eventName, isLonger, isOpen } from "./words.js";

const NEW_EVENT_S = { before: 0.1, after: 0.15 };
let fresh = 0;

/**
 * Fires "events" (what is decided, or what is listed, changed), "select", "layers", "say" (detail: a line for the live
 * region), "moved" (a place to look at: detail frame).
 */
export class Model extends EventTarget {
  selected = null;
  redoable = [];
  layers = { cells: false, flow: false, votes: false };
  kinds = "all"; // which events are listed: all, micro, macro
  others = []; // another coder's events beside one's own, once that is open
  othersName = "";

  constructor({ recording, labels, analysis, review, shown, clock, rows, coder }) {
    super();
    this.recording = recording;
    this.labels = labels;
    this.analysis = analysis;
    this.shown = shown;
    this.clock = clock;
    this.rows = rows;
    this.coder = coder;
    this.saver = new Saver(recording.id, coder, review);
    this.#recount();
    this.saver.addEventListener("change", () => this.#recount());
    this.saver.addEventListener("saved", (event) => this.#saved(/** @type {CustomEvent} */ (event).detail));
    this.saver.addEventListener("refused", (event) => this.#refused(/** @type {CustomEvent} */ (event).detail));
  }

  /** Which of the model's classes a label is, as `placeOf` says it. */
  place(label) {
    return placeOf(label, this.labels);
  }

  get review() {
    return this.saver.review;
  }

  get complete() {
    return !this.events.some(isOpen) && !this.saver.queue.length;
  }

  /** Marked done, with nothing decided since: the server then shows what others decided. */
  get done() {
    return this.review.done && !this.saver.queue.length;
  }

  finish() {
    const open = this.events.filter(isOpen).length;
    if (open) return this.say(`decide every event first: ${open} open`);
    if (this.done) return this.say("marked done already; undo takes it back");
    return this.#push({ action: "done" });
  }

  event(key = this.selected) {
    return this.events.find((event) => event.key === key) ?? null;
  }

  /** The events of the kinds that are listed. */
  get listed() {
    return this.kinds === "all" ? this.events : this.events.filter((event) => isLonger(event) === (this.kinds === "macro"));
  }

  list(kinds) {
    this.kinds = kinds;
    this.#fire("events");
  }

  /** What review.json holds for an event of the machine's: pictures, flow, votes. */
  evidence(key = this.selected) {
    if (!key?.startsWith("m")) return null;
    const index = Number(key.slice(1));
    return this.shown.events.find((entry) => entry.index === index) ?? null;
  }

  select(key, { look = true } = {}) {
    if (key !== null && !this.event(key)) return;
    const other = key !== this.selected;
    this.selected = key;
    if (other) this.#fire("select", { look });
    if (look && key) this.#fire("moved", this.event(key).apex_frame);
  }

  /** The next or the previous event, from the one selected or else from a frame. */
  neighbour(step, frame) {
    const { listed } = this;
    const at = listed.findIndex((event) => event.key === this.selected);
    if (at >= 0) return listed[at + step]?.key ?? null;
    const ahead = listed.filter((e) => (step > 0 ? e.apex_frame > frame : e.apex_frame < frame));
    return (step > 0 ? ahead[0] : ahead.at(-1))?.key ?? null;
  }

  toggle(layer, on = !this.layers[layer]) {
    this.layers[layer] = on;
    this.#fire("layers");
  }

  decide(action, payload = {}, key = this.selected) {
    const event = this.event(key);
    if (!event) return this.say("choose an event first: n is the next one");
    if (action === "remove" && event.machine) return this.say("expected an event that you added, got the machine's; reject it instead");
    if (action === "accept" && event.status === "accepted") return this.say(`event ${eventName(key)} is accepted already`);
    if (action === "reject" && event.status === "rejected") return this.say(`event ${eventName(key)} is rejected already`);
    if (action === "relabel" && event.label === payload.label) {
      if (event.status === "accepted") return this.say(`event ${eventName(key)} is called ${payload.label} already`);
      action = "accept"; // the machine's class, confirmed
      payload = {};
    }
    return this.#push({ action, event: key, payload });
  }

  /** Moves points of an event: {onset: 12, apex: 20}. False, and a line, where the order would break. */
  move(points, key = this.selected) {
    const event = this.event(key);
    if (!event) return Boolean(this.say("choose an event first: n is the next one"));
    /** @type {any} */
    const payload = {};
    for (const point of POINTS) {
      const frame = points[point];
      if (frame !== undefined && frame !== event[`${point}_frame`]) payload[`${point}_frame`] = this.clock.clamp(frame);
    }
    if (!Object.keys(payload).length) return Boolean(this.say("the point is at this frame already"));
    const problem = refusal(event, payload);
    if (problem) return Boolean(this.say(problem, true));
    this.#push({ action: "move", event: key, payload });
    return true;
  }

  add(label, apex) {
    const { clock } = this;
    fresh += 1;
    const key = `new-${fresh}`;
    this.#push({
      action: "add", event: key, payload: {
        label, apex_frame: clock.clamp(apex),
        onset_frame: clock.clamp(apex - clock.span(NEW_EVENT_S.before)),
        offset_frame: clock.clamp(apex + clock.span(NEW_EVENT_S.after)),
      },
    });
    this.select(key, { look: false });
  }

  undo() {
    const unsent = this.saver.pop();
    if (unsent) {
      this.redoable.push(unsent);
      return this.say(`${actionWords(unsent)}: taken back before it was saved`);
    }
    if (!this.saver.queue.length && this.review.undoable === null) return this.say("nothing to undo");
    this.saver.push({ action: "undo" });
    return undefined;
  }

  redo() {
    const unsent = this.redoable.pop();
    if (unsent) return this.saver.push(unsent);
    if (!this.saver.queue.length && this.review.redoable === null) return this.say("nothing to redo");
    return this.saver.push({ action: "redo" });
  }

  say(line, bad = false) {
    this.#fire("say", { line, bad });
  }

  showOthers(events) {
    this.others = events;
    this.#fire("events");
  }

  #push(change) {
    this.redoable = [];
    this.saver.push(change);
  }

  #saved({ change, review }) {
    if (change.action === "add" && this.selected === change.event) {
      this.selected = this.saver.renamed.to;
      this.#recount();
      this.#fire("select", { look: false });
    }
    const left = review.events.filter(isOpen).length;
    const words = actionWords({ ...change, event: change.action === "add" ? "" : change.event });
    this.say(`Saved: ${words}. ${left ? `${left} open` : "Every event is decided"}.`);
    this.#fire("saved");
  }

  #refused({ change, error }) {
    this.say(`Not saved (${actionWords(change)}): ${error.message}`, true);
    this.#recount();
  }

  #recount() {
    const { saver } = this;
    const given = saver.state === "conflict" ? [] : saver.queue;
    this.events = withChanges(saver.review, given);
    if (this.selected && !this.event()) {
      const to = saver.renamed?.from === this.selected ? saver.renamed.to : null;
      this.selected = this.event(to) ? to : null;
      this.#fire("select", { look: false });
    }
    this.#fire("events");
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
