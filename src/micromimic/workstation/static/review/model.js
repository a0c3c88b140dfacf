// What the page knows and what a person does: one place, which tells the views when something changed.

import { PLACES, placeOf } from "/static/app.js";
import { withChanges } from "./apply.js";
import { Clock, fetchEvidence, fetchReview, readScheme } from "./data.js";
import { Drafts, isMasked, missing, outOfOrder, withDraft } from "./draft.js";
import { arranged, neighbour } from "./listing.js";
import { Saver } from "./saver.js";
import { POINTS, actionWords, eventName, isAdded, isOpen } from "./words.js";

const isUnreported = (looked) => !looked.key || isAdded(looked);
const span = (event) => POINTS.map((point) => event[`${point}_frame`]).join("-");
let fresh = 0;

/**
 * Fires "events" (what is decided, or what is listed, changed), "select", "layers", "say" (detail: a line for the live
 * region), "moved" (a place to look at: detail frame), "pushed" (a change was made: detail {change, before}), "machine" (more or less of the machine's answer is shown),
 * "evidence" (pictures of an added event came, or are being made).
 */
export class Model extends EventTarget {
  selected = null;
  held = null; // index of the held-back movement that is looked at
  redoable = [];
  layers = { cells: false, flow: false, votes: false };
  listing = { show: "all", sort: "time" }; // which events are listed, and in which order
  others = []; // another coder's events beside one's own, once that is open
  othersName = "";
  pictures = true; // whether the video is there
  log = new Map(); // own decisions by number, in words
  #made = new Map(); // evidence of added events by their frames; a line where there is none

  /** @param {any} answer of the server's /review @param {any} rows the numbers of every frame @param {string} coder */
  constructor(answer, rows, coder) {
    super();
    const { recording, labels, analysis, review, shown, study = null, markers = [], summary = [], advice = [] } = answer;
    this.recording = recording;
    this.labels = labels;
    this.analysis = analysis;
    this.shown = shown;
    this.clock = new Clock(shown);
    this.rows = rows;
    this.coder = coder;
    this.blind = study?.mode === "blind";
    this.markers = markers;
    this.summary = summary; // first sentences about the recording
    this.advice = advice;
    this.scheme = readScheme(study?.scheme, labels);
    this.places = [...new Set([...labels, ...answer.machine_labels])];
    this.drafts = new Drafts(recording.id, coder);
    this.saver = new Saver(recording.id, coder, review);
    this.wasDone = review.done;
    this.#recount();
    this.saver.addEventListener("change", () => this.#recount());
    this.saver.addEventListener("saved", (event) => this.#saved(/** @type {CustomEvent} */ (event).detail));
    this.saver.addEventListener("refused", (event) => this.#refused(/** @type {CustomEvent} */ (event).detail));
  }

  /** Which of the classes a label is, the coder's first, then the machine's own, as `placeOf` says it. */
  place(label) {
    return placeOf(label, this.places);
  }

  get review() {
    return this.saver.review;
  }

  /** The machine's events that may be seen, each with its key. */
  get machineEvents() {
    return this.analysis.events.map((event, k) => event && { ...event, key: `m${k}` }).filter(Boolean);
  }

  /** The strongest movements that were not reported; while coding is blind they wait for its end. */
  get heldBack() {
    return this.blind && !this.done ? [] : this.shown.held_back ?? this.analysis.held_back ?? [];
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

  /** The same; where there is none, that one is to be chosen is said. */
  chosen(key = this.selected) {
    return this.event(key) ?? this.askToChoose();
  }

  askToChoose() {
    this.say("choose an event first: n is the next one");
    return null;
  }

  get listed() {
    return arranged(this.events, this.listing);
  }

  /** Narrows or orders the list: {show}, {sort}. */
  list(choice) {
    Object.assign(this.listing, choice);
    this.#fire("events");
  }

  /** What is looked at: an event, or a movement that was held back. */
  get looked() {
    return this.event() ?? (this.held === null ? null : this.heldBack[this.held] ?? null);
  }

  /** What is there of it to see: pictures, flow, votes. What the machine did not report has it once it was made. */
  evidence() {
    const { looked } = this;
    if (!looked || isMasked(looked)) return null;
    if (isUnreported(looked)) return this.#made.get(span(looked))?.found ?? null;
    const index = Number(looked.key.slice(1));
    const found = this.shown.events.find((entry) => entry?.index === index);
    return found ? { folder: `events/${index}`, ...found } : null;
  }

  /** Why there is no evidence (yet), or "". */
  evidenceLine() {
    const { looked } = this;
    if (isMasked(looked)) return "Pictures, flow and the machine’s answer are shown when you have decided.";
    return (looked && this.#made.get(span(looked))?.line) ?? "";
  }

  /** Whether evidence can be made of what is looked at. */
  get canMake() {
    const { looked } = this;
    if (!looked || !isUnreported(looked) || looked.unsaved || !this.pictures) return false;
    const { asking, found } = this.#made.get(span(looked)) ?? {};
    return !asking && !found;
  }

  /** Has pictures, flow, units and the magnified clip made; they are fired when they are there. */
  async askEvidence() {
    const { looked: event } = this;
    if (!this.canMake) return;
    const key = span(event);
    this.#made.set(key, { asking: true, line: "Pictures, flow and the magnified clip are being made …" });
    this.#fire("evidence");
    try {
      this.#made.set(key, { found: await fetchEvidence(this.recording.id, this.coder, event) });
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      this.#made.set(key, { line: error.message });
    }
    this.#fire("evidence");
  }

  select(key, { look = true } = {}) {
    if (key !== null && !this.event(key)) return;
    const other = key !== this.selected || this.held !== null;
    this.selected = key;
    this.held = null;
    if (other) this.#fire("select", { look });
    const event = this.event(key);
    if (look && event) this.#fire("moved", event.set?.length === 0 ? event.window[0] : event.apex_frame);
  }

  /** Looks at a held-back movement, by its place in the list. */
  selectHeld(index) {
    const movement = this.heldBack[index];
    if (!movement) return;
    this.selected = null;
    this.held = index;
    this.#fire("select", { look: false });
    this.#fire("moved", movement.apex_frame);
  }

  /** The next held-back movement, or the one before, from the one looked at or else from a frame. */
  stepHeld(step, frame) {
    const list = this.heldBack;
    if (this.blind && !this.done) return this.say("what the machine held back is shown when you are done with this recording");
    if (!list.length) return this.say("the machine held no movement back here");
    const ahead = list.map((_, k) => k).filter((k) => (this.held === null
      ? (step > 0 ? list[k].apex_frame >= frame : list[k].apex_frame <= frame) : (step > 0 ? k > this.held : k < this.held)));
    const next = step > 0 ? ahead[0] : ahead.at(-1);
    if (next === undefined) return this.say(step > 0 ? "this is the last held-back movement" : "this is the first held-back movement");
    return this.selectHeld(next);
  }

  /** The next or the previous event of the list, from the one selected or else from a frame; `open`: that waits. */
  neighbour(step, frame, open = false) {
    return neighbour(this.listed, this.selected, step, frame, open)?.key ?? null;
  }

  toggle(layer, on = !this.layers[layer]) {
    this.layers[layer] = on;
    this.#fire("layers");
  }

  decide(action, payload = {}, key = this.selected) {
    if (action === "relabel" && !this.event(key) && this.held !== null && this.looked) return this.#promote(payload.label);
    const event = this.chosen(key);
    if (!event) return undefined;
    if (action === "remove" && !isAdded(event)) return this.say("expected an event that you added, got the machine's; reject it instead");
    if (action === "accept" && event.status === "accepted") return this.say(`event ${eventName(key)} is accepted already`);
    if (action === "reject" && event.status === "rejected") return this.say(`event ${eventName(key)} is rejected already`);
    if (isMasked(event)) return this.#decideMasked(action, payload, event);
    if (action === "accept" && !this.labels.includes(event.label)) return this.say(`choose a class (${this.classKeys}): “${event.label}” is the machine's, and none of yours`, true);
    if (action === "relabel" && event.label === payload.label) {
      if (event.status === "accepted") return this.say(`event ${eventName(key)} is called ${payload.label} already`);
      action = "accept"; // the machine's class, confirmed
      payload = {};
    }
    return this.#push({ action, event: key, payload });
  }

  /** The keys that name a class, as "1 to 3". */
  get classKeys() {
    return `1 to ${Math.min(PLACES, this.labels.length)}`;
  }

  /** Blind: what is set waits for the acceptance, which carries all of it. */
  #decideMasked(action, payload, event) {
    if (action === "relabel") return this.#draft(event, { label: payload.label });
    if (action === "comment") return this.#draft(event, { note: payload.note });
    if (action !== "accept") return this.#push({ action, event: event.key, payload });
    const draft = this.drafts.of(event.key), lacks = missing(draft, this.classKeys);
    if (lacks.length) return this.say(`set ${lacks.join(", ")} first; then a accepts. The machine's answer is shown after that`, true);
    const { note, ...rest } = draft;
    return this.#push({ action, event: event.key, payload: note ? draft : rest });
  }

  #draft(event, values) {
    this.drafts.set(event.key, values);
    this.#recount();
    const lacks = missing(this.drafts.of(event.key), this.classKeys);
    this.say(lacks.length ? `noted; still to be set: ${lacks.join(", ")}` : "all is set: a accepts it");
  }

  /** A class with all that a template says beside it. */
  callAs(label, coded, key) {
    return this.#push({ action: "relabel", event: key, payload: { label, ...coded } });
  }

  /** Units, how sure one is, tags: of an event whatever its status. */
  code(payload, key = this.selected) {
    const event = this.chosen(key);
    if (!event) return undefined;
    return isMasked(event) ? this.#draft(event, payload) : this.#push({ action: "code", event: key, payload });
  }

  /** Moves points of an event: {onset: 12, apex: 20}; a line where the order would break. */
  move(points, key = this.selected) {
    const event = this.chosen(key);
    if (!event) return undefined;
    /** @type {any} */
    const payload = {};
    const masked = isMasked(event);
    for (const point of POINTS) {
      const frame = points[point];
      if (frame !== undefined && (masked || frame !== event[`${point}_frame`])) payload[`${point}_frame`] = this.clock.clamp(frame);
    }
    if (!Object.keys(payload).length) return this.say("the point is at this frame already");
    const problem = outOfOrder({ ...(masked ? this.drafts.of(key) : event), ...payload });
    if (problem) return this.say(problem, true);
    return masked ? this.#draft(event, payload) : this.#push({ action: "move", event: key, payload });
  }

  add(label, frames) {
    fresh += 1;
    const key = `new-${fresh}`;
    this.#push({ action: "add", event: key, payload: { label, ...frames } });
    this.select(key, { look: false });
  }

  /** The held-back movement that is looked at becomes an event with its own ends. */
  #promote(label) {
    const { onset_frame, apex_frame, offset_frame } = this.looked;
    this.add(label, { onset_frame, apex_frame, offset_frame });
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
    const before = this.event(change.event);
    this.redoable = [];
    this.saver.push(change);
    this.#fire("pushed", { change, before });
  }

  #saved({ change, review, before }) {
    if (change.action === "add" && this.selected === change.event) {
      this.selected = this.saver.renamed.to;
      this.#recount();
      this.#fire("select", { look: false });
    }
    const left = review.events.filter(isOpen).length;
    const words = this.#savedWords(change, before);
    this.log.set(review.number, words);
    this.say(`Saved: ${words}. ${left ? `${left} open` : "Every event is decided"}.`);
    if (this.blind) this.#reveal(review, change.event);
    this.#fire("saved");
  }

  #savedWords(change, { undoable, redoable }) {
    if (change.action === "undo") return `took back: ${this.log.get(undoable) ?? `decision ${undoable}`}`;
    if (change.action === "redo") return `brought back: ${this.log.get(redoable) ?? `decision ${redoable}`}`;
    return actionWords({ ...change, event: change.action === "add" ? "" : change.event });
  }

  /** Blind: after a decision the server shows the machine's answer to it, after an undo no more. */
  async #reveal(review, key) {
    const seen = review.events.every(({ key, masked }) => !key.startsWith("m") || Boolean(masked) === !this.analysis.events[key.slice(1)]);
    if (seen && review.done === this.wasDone) return;
    this.wasDone = review.done;
    try {
      const { analysis, shown } = await fetchReview(this.recording.id, this.coder);
      this.analysis = analysis;
      this.shown = shown;
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      return this.say(`The machine's answer is not here yet: ${error.message}`, true);
    }
    for (const name of ["machine", "events"]) this.#fire(name);
    this.#fire("select", { look: false });
    const { machine } = this.review.events.find((event) => event.key === key) ?? {};
    if (machine) this.say(`Saved. The machine called it ${machine.label}, frames ${span(machine).replaceAll("-", ", ")}.`);
  }

  #refused({ change, error }) {
    this.say(`Not saved (${actionWords(change)}): ${error.message}`, true);
    this.#recount();
  }

  #recount() {
    const { saver } = this;
    const given = saver.state === "conflict" ? [] : saver.queue;
    this.events = withChanges(saver.review, given).map((event) => withDraft(event, this.drafts));
    if (this.selected && !this.event()) {
      const to = saver.renamed?.from === this.selected ? saver.renamed.to : null;
      this.selected = this.event(to) ? to : null;
      this.#fire("select", { look: false });
    }
    this.#fire("events");
  }

  /** Hears several of its own events, named with spaces between. @param {string} names @param {(detail: any) => void} act */
  on(names, act) {
    for (const name of names.split(" ")) this.addEventListener(name, (event) => act(/** @type {CustomEvent} */ (event).detail));
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
