// The chosen event's faces at the machine's onset and apex, to be looked at in turn, and its numbers.

import { all, byId, el, fill, pressed, sharp } from "/static/app.js";
import { cellName, shareList, unitNames } from "/static/viewer/evidence.js";
import { cropTransform, drawLayers } from "/static/viewer/face.js";
import { pictureUrl } from "./data.js";
import { eventName, share } from "./words.js";

const FLICKER_MS = 500;
const REGIONS = 4;
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Faces {
  #timer = 0;
  #pictures = {};

  constructor(model, player) {
    this.model = model;
    this.player = player;
    this.side = "apex";
    this.canvas = byId("face");
    this.note = byId("face-note");
    this.buttons = all("[data-face]");
    for (const button of this.buttons) button.addEventListener("click", () => this.#choose(button.dataset.face));
    model.addEventListener("select", () => this.#load());
    model.addEventListener("layers", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    still.addEventListener("change", () => this.#choose(this.side));
    document.addEventListener("visibilitychange", () => document.hidden && this.#choose(this.side));
    this.#load();
    this.#choose("apex");
  }

  /** Onset against apex: the pictures where there are any, else the video's own frames. */
  toggle() {
    const event = this.model.event();
    if (!event) return this.model.say("choose an event first: n is the next one");
    if (this.evidence) return this.#choose(this.side === "apex" ? "onset" : "apex");
    const { onset_frame: onset, apex_frame: apex } = event;
    return this.player.seek(this.player.shown === apex ? onset : apex);
  }

  #choose(which) {
    clearInterval(this.#timer);
    const flicker = which === "flicker" && !still.matches;
    if (flicker) this.#timer = setInterval(() => this.#turn(this.side === "apex" ? "onset" : "apex"), FLICKER_MS);
    for (const button of this.buttons) {
      const mine = button.dataset.face;
      button.hidden = mine === "flicker" && still.matches;
      pressed(button, mine === (flicker ? "flicker" : which));
    }
    this.#turn(flicker ? "onset" : which === "flicker" ? this.side : which);
  }

  #turn(side) {
    this.side = side;
    this.#draw();
  }

  #load() {
    this.evidence = this.player.pictures ? this.model.evidence() : null;
    this.#pictures = {};
    const event = this.model.event();
    byId("faces").hidden = !this.evidence;
    byId("faces-none").hidden = Boolean(this.evidence);
    if (!this.evidence) {
      clearInterval(this.#timer);
      byId("faces-none").textContent = this.#whyNone(event);
      return;
    }
    const [width, height] = this.evidence.size;
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    for (const side of ["onset", "apex"]) {
      const picture = new Image();
      picture.addEventListener("load", () => this.#draw());
      picture.addEventListener("error", () => { this.note.textContent = "The pictures cannot be loaded."; });
      picture.src = pictureUrl(this.model.recording.id, this.evidence.index, `${side}.jpg`);
      this.#pictures[side] = picture;
    }
    this.note.textContent = `Event ${eventName(event.key)} at the machine’s onset (frame ${event.machine.onset_frame}) and apex (${event.machine.apex_frame}), head held still.`;
    this.#draw();
  }

  #whyNone(event) {
    if (!event) return "Choose an event to see its onset and apex.";
    if (!this.player.pictures) return "The pictures were removed with the video; the numbers stay.";
    return "An added event has no pictures of its own: t steps the video between its onset and its apex.";
  }

  #draw() {
    const picture = this.#pictures[this.side];
    if (!this.evidence || !picture?.complete || !picture.naturalWidth || !this.canvas.clientWidth) return;
    const { context: c, width, height } = sharp(this.canvas);
    c.imageSmoothingQuality = "high";
    c.drawImage(picture, 0, 0, width, height);
    drawLayers(c, this.model.layers, cropTransform(this.evidence, width / this.evidence.size[0]), this.evidence);
    this.canvas.setAttribute("aria-label", `The face at the ${this.side}`);
  }
}

/** Probabilities, where on the face, and a few numbers: the machine's, whatever the coder decided. */
function machineCard(event, model) {
  const machine = event.machine;
  if (!machine) return el("p", { class: "hint" }, "You added this event; the machine did not report it.");
  const shares = model.labels.map((name) => ({
    name, value: machine.probabilities?.[name] ?? 0, place: model.place(name), best: name === machine.label,
  }));
  const regions = Object.entries(machine.regions ?? {}).filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]);
  const most = regions[0]?.[1] ?? 1;
  // analyses from before action units were measured have none, and say nothing of them
  const units = machine.action_units && (unitNames(machine) || "no action unit stands out");
  return [
    shareList(shares, share, { "aria-label": "The machine’s probabilities" }),
    regions.length > 0 && el("div", { class: "regions" },
      el("h4", {}, `Where ${machine.label} comes from`),
      shareList(regions.slice(0, REGIONS).map(([cell, value]) => ({ name: cellName(cell), value, bar: value / most })), share)),
    units && el("p", { class: "units" }, el("b", {}, "Looks like "), units),
    el("dl", { class: "numbers" },
      number("Length", `${Math.round(1000 * (machine.offset_s - machine.onset_s))} ms`),
      number("Rise", `${Math.round(1000 * (machine.apex_s - machine.onset_s))} ms`),
      number("Strength", `${machine.strength.toFixed(1)} × noise`)),
  ];
}

const number = (term, value) => el("div", {}, el("dt", {}, term), el("dd", {}, value));

export function showMachine(model) {
  const event = model.event();
  fill(byId("machine"), event ? machineCard(event, model) : el("p", { class: "hint" }, "Choose an event to see why the machine reported it."));
}
