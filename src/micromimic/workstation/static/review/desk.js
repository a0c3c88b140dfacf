// The desk: the parts of the page, the buttons under the video, and what is said aloud.

import { byId, formatTime } from "/static/app.js";
import { Faces, showMachine } from "./evidence.js";
import { Inspector } from "./inspector.js";
import { Keys } from "./keys.js";
import { EventList } from "./list.js";
import { Pair } from "./pair.js";
import { SavingLine } from "./saving.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";
import { Trail } from "./trail.js";
import { askClass } from "./adding.js";

const SPEEDS = [1, 0.25, 0.1];
const AROUND_S = 0.1; // shown before and after a looped event
const ZOOM = 1.5;

export class Desk {
  constructor(model, player) {
    this.model = model;
    this.player = player;
    this.timeline = new Timeline(byId("timeline"), model, player);
    this.stage = new Stage(model, player);
    this.faces = new Faces(model, player);
    this.pair = new Pair(model, player);
    this.inspector = new Inspector(model, player);
    this.list = new EventList(model);
    this.trail = new Trail(model);
    this.saving = new SavingLine(model);
    this.keys = new Keys(this);
    this.#buttons();
    this.#connect();
  }

  /** Where this person left off in this tab, and what an earlier visit could not save. */
  begin() {
    let place = null;
    try {
      place = JSON.parse(sessionStorage.getItem(this.#placeKey()) ?? "null");
    } catch (error) {
      console.info(`place not restored: ${error.message}`);
    }
    if (place) {
      if (place.to > place.from) this.timeline.view.set(place.from, place.to);
      this.model.select(place.selected, { look: false });
      this.player.seek(place.frame);
    }
    addEventListener("pagehide", () => this.#keepPlace());
    showMachine(this.model);
    this.#showFrame();
    this.model.saver.restore();
    const open = () => { document.documentElement.dataset.open = "review"; };
    if (this.player.ready) open();
    else for (const name of ["ready", "gone"]) this.player.addEventListener(name, open, { once: true });
  }

  playPause() {
    if (this.player.playing) return this.player.pause();
    this.player.setLoop(this.looping ? this.#stretch() : null);
    return this.player.play();
  }

  slower() {
    this.setSpeed(SPEEDS[(SPEEDS.indexOf(this.player.speed) + 1) % SPEEDS.length]);
  }

  setSpeed(speed) {
    this.player.setSpeed(speed);
    for (const button of document.querySelectorAll("[data-speed]")) button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === speed));
  }

  toggleLoop(on = !this.looping) {
    if (on && !this.model.event()) return this.model.say("choose an event first: n is the next one");
    this.looping = on;
    byId("loop").setAttribute("aria-pressed", String(on));
    this.player.setLoop(on ? this.#stretch() : null);
    return undefined;
  }

  /** The event over and over at a tenth of its speed, as it was beside magnified. */
  toggleMagnified() {
    const on = !this.pair.open;
    if (on && !this.model.event()) return this.model.say("choose an event first: n is the next one");
    this.pair.show(on);
    byId("magnified").setAttribute("aria-pressed", String(on));
    if (on) {
      if (this.player.speed === 1) this.setSpeed(0.1);
      this.toggleLoop(true);
      if (!this.player.playing) this.player.play();
    } else {
      this.toggleLoop(false);
      this.player.pause();
    }
    return undefined;
  }

  toggleLayer(layer) {
    this.model.toggle(layer);
    byId(layer).setAttribute("aria-pressed", String(this.model.layers[layer]));
  }

  zoom(key) {
    const { view } = this.timeline;
    const at = this.model.clock.time(this.player.shown);
    const about = at >= view.from && at <= view.to ? at : undefined;
    if (key === "0") view.all();
    else view.zoom(key === "+" ? 1 / ZOOM : ZOOM, about);
  }

  async addHere() {
    this.player.pause();
    const frame = this.player.shown;
    const label = await askClass(frame, this.model);
    if (label) this.model.add(label, frame);
  }

  help() {
    this.keys.help();
  }

  #stretch() {
    const event = this.model.event();
    if (!event) return null;
    const around = this.model.clock.span(AROUND_S);
    return [this.model.clock.clamp(event.onset_frame - around), this.model.clock.clamp(event.offset_frame + around)];
  }

  #buttons() {
    const acts = {
      play: () => this.playPause(), back: () => this.player.step(-1), on: () => this.player.step(1),
      loop: () => this.toggleLoop(), magnified: () => this.toggleMagnified(), add: () => this.addHere(),
      cells: () => this.toggleLayer("cells"), flow: () => this.toggleLayer("flow"), votes: () => this.toggleLayer("votes"),
      undo: () => this.model.undo(), redo: () => this.model.redo(), done: () => this.model.finish(), help: () => this.help(),
      "zoom-in": () => this.zoom("+"), "zoom-out": () => this.zoom("-"), "zoom-all": () => this.zoom("0"),
    };
    const act = (button, run) => button.addEventListener("click", (event) => {
      if (event.detail) button.blur(); // pressed by mouse: space plays on
      run();
    });
    for (const [id, run] of Object.entries(acts)) act(byId(id), run);
    for (const button of document.querySelectorAll("[data-speed]")) act(button, () => this.setSpeed(Number(button.dataset.speed)));
    const menu = document.querySelector(".menu");
    document.addEventListener("pointerdown", (event) => menu.contains(event.target) || menu.removeAttribute("open"));
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.firstElementChild.focus();
    });
    const field = byId("frame");
    field.max = this.model.clock.frames - 1;
    field.addEventListener("change", () => {
      if (field.value !== "" && Number.isFinite(field.valueAsNumber)) this.player.seek(field.valueAsNumber);
      this.#showFrame();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") field.blur();
    });
  }

  #connect() {
    const { model, player } = this;
    player.addEventListener("frame", () => this.#showFrame());
    player.addEventListener("play", () => this.#showPlaying());
    player.addEventListener("gone", () => this.#noVideo());
    model.addEventListener("moved", ({ detail }) => {
      if (this.looping && player.playing) player.play(); // on, around the event that was chosen
      else player.seek(detail);
      this.timeline.view.show(model.clock.time(detail));
    });
    model.addEventListener("select", () => {
      showMachine(model);
      if (this.looping) model.event() ? player.setLoop(this.#stretch()) : this.toggleLoop(false);
    });
    model.addEventListener("say", ({ detail }) => this.#say(detail));
  }

  #showFrame() {
    const { shown } = this.player;
    const field = byId("frame");
    if (document.activeElement !== field) field.value = shown;
    byId("frames").textContent = `of ${this.model.clock.frames - 1}`;
    byId("moment").textContent = formatTime(this.model.clock.time(shown));
    byId("stage").dataset.frame = shown;
  }

  #showPlaying() {
    const { playing } = this.player;
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    byId("play").dataset.playing = playing;
  }

  #noVideo() {
    byId("no-video").hidden = false;
    byId("no-video").textContent = "The video cannot be played here; the curve, the events and the pictures still work. Reload the page to try again.";
  }

  /** Twice the same line is said twice: a screen reader speaks only what changed. */
  #say({ line, bad }) {
    const place = byId("say");
    place.classList.toggle("bad", Boolean(bad));
    place.textContent = place.textContent === line ? `${line}\u00a0` : line;
  }

  #placeKey() {
    return `micromimic.place.${this.model.recording.id}`;
  }

  #keepPlace() {
    const { from, to } = this.timeline.view;
    const place = { frame: this.player.shown, selected: this.model.selected, from, to };
    try {
      sessionStorage.setItem(this.#placeKey(), JSON.stringify(place));
    } catch (error) {
      console.info(`place not kept: ${error.message}`);
    }
  }
}
