// The desk: the parts of the page, what its buttons do, and what is said aloud.

import { all, byId, formatTime, pressed, remember, remembered, rememberedJson, showError, showLine } from "/static/app.js";
import { nextRecording } from "/static/lib/records.js";
import { Coding } from "./coding.js";
import { faces, showMachine } from "./evidence.js";
import { heldList, stretchAround } from "./held.js";
import { askClass, inspector } from "./inspector.js";
import { listen } from "./keys.js";
import { eventList } from "./list.js";
import { pair } from "./pair.js";
import { savingLine } from "./saving.js";
import { sound } from "./sound.js";
import { stage } from "./stage.js";
import { tabs } from "./tabs.js";
import { Timeline } from "./timeline.js";
import { comparison, history } from "./trail.js";
import { isLonger, isOpen } from "./words.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const MAGNIFIED_SPEED = 0.1;
const NEWS_MS = 8000; // how long a line of no trouble stays
const AROUND_S = 0.1; // shown before and after a looped event
const ZOOM = 1.5;

export class Desk {
  constructor(model, player, waveform = null) {
    this.model = model;
    this.player = player;
    model.pictures = player.pictures;
    this.timeline = new Timeline(byId("timeline"), model, player, { waveform, mark: (from, to) => this.#addStretch(from, to) });
    stage(model, player);
    this.turnFace = faces(model, player);
    this.showPair = pair(model, player);
    this.coding = new Coding(model);
    this.focusNote = inspector(model);
    heldList(model, player);
    eventList(model);
    this.showTab = tabs(byId("tabs"));
    history(model);
    comparison(model);
    savingLine(model);
    this.toggleSound = sound(model, player);
    this.place = `place.${model.recording.id}.${model.coder}`; // another coder begins at the beginning
    this.looping = false;
    this.before = null; // speed and loop that were set when magnification began
    listen(this);
    this.#fields();
    this.#connect();
  }

  /** Where this person left off in this tab, and what an earlier visit could not save. */
  begin() {
    const { frame, selected, from, to } = rememberedJson(this.place, "sessionStorage") ?? {};
    if (to > from) this.timeline.view.set(from, to);
    if (selected) this.model.select(selected, { look: false });
    if (frame) this.player.seek(frame);
    addEventListener("pagehide", () => {
      const { from: first, to: last } = this.timeline.view;
      const place = { frame: this.player.shown, selected: this.model.selected, from: first, to: last };
      remember(this.place, JSON.stringify(place), "sessionStorage");
    });
    showMachine(this.model);
    this.#showFrame();
    this.model.saver.restore();
    const open = () => { document.documentElement.dataset.open = "review"; };
    if (this.player.ready) open();
    else for (const name of ["ready", "gone"]) this.player.addEventListener(name, open, { once: true });
  }

  playPause() {
    if (this.player.playing) return this.player.pause();
    this.player.set({ loop: this.looping ? this.#stretch() : null });
    return this.player.play();
  }

  faster(step) {
    const at = SPEEDS.indexOf(this.player.speed) + step;
    this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))]);
  }

  /** The coder's own choice: it outlasts magnification. */
  setSpeed(speed) {
    if (this.before) this.before.speed = speed;
    this.player.set({ speed });
  }

  /** The event over and over; where none is chosen, the stretch that the timeline is zoomed to. */
  toggleLoop(on = !this.looping) {
    if (on && !this.#stretch()) return this.model.say("choose an event first (n), or zoom the timeline to a stretch");
    this.looping = on;
    pressed(byId("loop"), on);
    return this.player.set({ loop: on ? this.#stretch() : null });
  }

  /** The event over and over at a tenth of its speed, as it was beside magnified; then all is as it was before. */
  toggleMagnified() {
    const on = !this.before;
    if (on && !this.model.looked) return this.model.askToChoose();
    this.showPair(on);
    pressed(byId("magnified"), on);
    if (!on) {
      const { speed, looping } = this.before;
      this.before = null;
      this.player.pause();
      this.player.set({ speed });
      return this.toggleLoop(looping && Boolean(this.model.looked));
    }
    this.before = { speed: this.player.speed, looping: this.looping };
    this.toggleLoop(true);
    this.player.set({ speed: Math.min(this.player.speed, MAGNIFIED_SPEED) });
    return this.player.playing || this.player.play();
  }

  toggleLayer(layer) {
    this.model.toggle(layer);
    pressed(byId(layer), this.model.layers[layer]);
  }

  async openNext() {
    try {
      const next = await nextRecording(this.model.coder, this.model.recording.id);
      if (next) location.assign(`/review?recording=${next.id}`);
      else this.model.say("nothing else waits for you: you have finished every recording that is analysed");
    } catch (error) {
      showError(error);
    }
  }

  zoom(key) {
    const { view } = this.timeline;
    const at = this.model.clock.time(this.player.aim); // where a seek under way will end
    if (key === "0") view.all();
    else view.zoom(key === "+" ? 1 / ZOOM : ZOOM, at >= view.from && at <= view.to ? at : undefined);
  }

  async addHere() {
    this.player.pause();
    const frame = this.player.shown;
    const label = await askClass(frame, this.model);
    if (label) this.model.add(label, stretchAround(this.model, frame));
  }

  /** An event of a stretch that was marked out on the timeline; its apex is where the curve is highest, blind its middle. */
  async #addStretch(from, to) {
    const { clock, rows, blind } = this.model;
    const onset = clock.nearest(from), offset = clock.nearest(to), score = rows?.get("score");
    let apex = Math.round((onset + offset) / 2);
    for (let k = onset; !blind && k <= offset; k += 1) if (score?.[k] > (score[apex] || 0)) apex = k;
    this.player.seek(apex);
    const label = await askClass(apex, this.model);
    if (label) this.model.add(label, { onset_frame: onset, apex_frame: apex, offset_frame: offset });
  }

  #stretch() {
    const event = this.model.looked, { view } = this.timeline;
    if (!event) return view.whole ? null : [this.model.clock.nearest(view.from), this.model.clock.nearest(view.to)];
    const around = this.model.clock.span(AROUND_S);
    return [this.model.clock.clamp(event.onset_frame - around), this.model.clock.clamp(event.offset_frame + around)];
  }

  #fields() {
    const speed = byId("speed"), advance = byId("advance");
    speed.addEventListener("change", () => this.setSpeed(Number(speed.value)));
    advance.checked = remembered("advance") !== "no" && !this.model.blind; // blind, the machine's answer appears beside first
    advance.addEventListener("change", () => remember("advance", advance.checked ? "" : "no"));
    for (const menu of all(".menu")) {
      document.addEventListener("pointerdown", (event) => menu.contains(event.target) || menu.removeAttribute("open"));
      menu.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !menu.open) return;
        menu.open = false;
        menu.firstElementChild.focus();
      });
    }
    byId("note").addEventListener("focus", () => byId("note").scrollIntoView({ block: "nearest" })); // it grows
    const field = byId("frame");
    field.max = this.model.clock.frames - 1;
    field.addEventListener("change", () => {
      if (field.value !== "" && Number.isFinite(field.valueAsNumber)) this.player.seek(field.valueAsNumber);
      this.#showFrame();
    });
    field.addEventListener("keydown", (event) => ["Enter", "Escape"].includes(event.key) && field.blur());
  }

  #connect() {
    const { model, player } = this;
    player.addEventListener("frame", () => this.#showFrame());
    player.addEventListener("play", () => {
      byId("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
      byId("play").dataset.playing = player.playing;
      byId("speed").value = player.speed;
    });
    player.addEventListener("gone", () => showLine(byId("no-video"),
      "The video cannot be played here; the curve, the events and the pictures still work. Reload the page to try again."));
    model.on("moved", (frame) => {
      if (this.looping && player.playing) player.play(); // on, around the event that was chosen
      else player.seek(frame);
      this.timeline.view.show(model.clock.time(frame));
    });
    model.on("select machine evidence saved", () => showMachine(model));
    model.on("select", () => {
      if (this.looping) this.toggleLoop(Boolean(this.#stretch()));
    });
    this.timeline.view.addEventListener("view", () => {
      if (this.looping && !model.looked && !player.playing) this.toggleLoop(Boolean(this.#stretch()));
    });
    let { done } = model;
    byId("next").hidden = !done;
    model.on("events", () => {
      if (model.done && !done) this.showTab("tab-agreement"); // what the end of a review opens
      done = model.done;
      byId("next").hidden = !done;
    });
    let known = model.review.events;
    model.saver.addEventListener("saved", ({ detail: { change, review } }) => {
      if (["undo", "redo"].includes(change.action)) this.#toChanged(known, review.events);
      known = review.events;
    });
    model.on("pushed", ({ change, before }) => this.#advance(change, before));
    new IntersectionObserver(([{ isIntersecting }]) => byId("say").classList.toggle("away", !isIntersecting)).observe(byId("say").parentElement);
    model.on("say", ({ line, bad }) => {
      clearTimeout(this.news);
      if (line && !bad) this.news = setTimeout(() => { byId("say").textContent = ""; }, NEWS_MS);
      byId("say").classList.toggle("bad", bad);
      // The same line again is said again: a screen reader speaks only what changed.
      byId("say").textContent = byId("say").textContent === line ? `${line}\u00a0` : line;
    });
  }

  /** After an undo or a redo: to the event that it changed, which need not be the one that is chosen. */
  #toChanged(before, after) {
    const was = new Map(before.map((event) => [event.key, JSON.stringify(event)]));
    const changed = after.find((event) => was.get(event.key) !== JSON.stringify(event));
    if (changed) queueMicrotask(() => this.model.select(changed.key)); // once the model knows of it
  }

  /** What was decided just now is done with: the next open event. A correction stays where it is. */
  #advance({ action, event }, before) {
    if (!byId("advance").checked || !["accept", "reject", "relabel"].includes(action)) return;
    if (event !== this.model.selected || before?.status !== "pending") return;
    const next = this.model.neighbour(1, this.player.shown, true);
    if (next && (isOpen(this.model.event(next)) || isLonger(before))) this.model.select(next);
  }

  #showFrame() {
    const { shown } = this.player;
    if (document.activeElement !== byId("frame")) byId("frame").value = shown;
    byId("frames").textContent = `of ${this.model.clock.frames - 1}`;
    byId("moment").textContent = formatTime(this.model.clock.time(shown));
    byId("stage").dataset.frame = shown;
  }
}
