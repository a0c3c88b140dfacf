// The desk: the parts of the page, what its buttons do, and what is said aloud.

import { all, byId, formatTime, pressed, remember, rememberedJson, showLine } from "/static/app.js";
import { Faces, showMachine } from "./evidence.js";
import { Inspector, askClass } from "./inspector.js";
import { listen } from "./keys.js";
import { EventList } from "./list.js";
import { Pair } from "./pair.js";
import { SavingLine } from "./saving.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";
import { Trail } from "./trail.js";

const SPEEDS = [1, 0.25, 0.1];
const AROUND_S = 0.1; // shown before and after a looped event
const ZOOM = 1.5;
const CHOOSE = "choose an event first: n is the next one";

export class Desk {
  constructor(model, player) {
    this.model = model;
    this.player = player;
    this.timeline = new Timeline(byId("timeline"), model, player);
    this.stage = new Stage(model, player);
    this.faces = new Faces(model, player);
    this.pair = new Pair(model, player);
    this.inspector = new Inspector(model);
    this.list = new EventList(model);
    this.trail = new Trail(model);
    this.saving = new SavingLine(model);
    this.place = `place.${model.recording.id}`;
    this.looping = false;
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
    this.player.setLoop(this.looping ? this.#stretch() : null);
    return this.player.play();
  }

  slower() {
    this.setSpeed(SPEEDS[(SPEEDS.indexOf(this.player.speed) + 1) % SPEEDS.length]);
  }

  setSpeed(speed) {
    this.player.setSpeed(speed);
    for (const button of all("[data-speed]")) pressed(button, Number(button.dataset.speed) === speed);
  }

  toggleLoop(on = !this.looping) {
    if (on && !this.model.event()) return this.model.say(CHOOSE);
    this.looping = on;
    pressed(byId("loop"), on);
    return this.player.setLoop(on ? this.#stretch() : null);
  }

  /** The event over and over at a tenth of its speed, as it was beside magnified. */
  toggleMagnified() {
    const on = !this.pair.open;
    if (on && !this.model.event()) return this.model.say(CHOOSE);
    this.pair.show(on);
    pressed(byId("magnified"), on);
    this.toggleLoop(on);
    if (!on) return this.player.pause();
    if (this.player.speed === 1) this.setSpeed(0.1);
    return this.player.playing || this.player.play();
  }

  toggleLayer(layer) {
    this.model.toggle(layer);
    pressed(byId(layer), this.model.layers[layer]);
  }

  zoom(key) {
    const { view } = this.timeline;
    const at = this.model.clock.time(this.player.shown);
    if (key === "0") view.all();
    else view.zoom(key === "+" ? 1 / ZOOM : ZOOM, at >= view.from && at <= view.to ? at : undefined);
  }

  async addHere() {
    this.player.pause();
    const frame = this.player.shown;
    const label = await askClass(frame, this.model);
    if (label) this.model.add(label, frame);
  }

  #stretch() {
    const event = this.model.event();
    if (!event) return null;
    const around = this.model.clock.span(AROUND_S);
    return [this.model.clock.clamp(event.onset_frame - around), this.model.clock.clamp(event.offset_frame + around)];
  }

  #fields() {
    for (const button of all("[data-speed]")) {
      button.addEventListener("click", (event) => {
        if (event.detail) button.blur();
        this.setSpeed(Number(button.dataset.speed));
      });
    }
    const [menu] = all(".menu");
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
    field.addEventListener("keydown", (event) => ["Enter", "Escape"].includes(event.key) && field.blur());
  }

  #connect() {
    const { model, player } = this;
    player.addEventListener("frame", () => this.#showFrame());
    player.addEventListener("play", () => {
      byId("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
      byId("play").dataset.playing = player.playing;
    });
    player.addEventListener("gone", () => showLine(byId("no-video"),
      "The video cannot be played here; the curve, the events and the pictures still work. Reload the page to try again."));
    model.addEventListener("moved", ({ detail }) => {
      if (this.looping && player.playing) player.play(); // on, around the event that was chosen
      else player.seek(detail);
      this.timeline.view.show(model.clock.time(detail));
    });
    model.addEventListener("select", () => {
      showMachine(model);
      if (this.looping) this.toggleLoop(Boolean(model.event()));
    });
    model.addEventListener("say", ({ detail: { line, bad } }) => {
      byId("say").classList.toggle("bad", bad);
      // The same line again is said again: a screen reader speaks only what changed.
      byId("say").textContent = byId("say").textContent === line ? `${line}\u00a0` : line;
    });
  }

  #showFrame() {
    const { shown } = this.player;
    if (document.activeElement !== byId("frame")) byId("frame").value = shown;
    byId("frames").textContent = `of ${this.model.clock.frames - 1}`;
    byId("moment").textContent = formatTime(this.model.clock.time(shown));
    byId("stage").dataset.frame = shown;
  }
}
