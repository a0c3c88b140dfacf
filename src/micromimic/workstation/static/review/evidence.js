// The chosen event's faces at onset and apex, to be looked at in turn, and what the machine makes of it:
// of its own events at its own frames, of an added one at the coder's, made when it is asked for.

import { all, byId, el, fill, pressed, sharp, term } from "/static/app.js";
import { cellName, shareList } from "/static/viewer/evidence.js";
import { cropTransform, drawLayers } from "/static/viewer/face.js";
import { machineUnits } from "/static/lib/units.js";
import { pictureUrl } from "./data.js";
import { isMasked } from "./draft.js";
import { eventName, isAdded, reasonWords, share } from "./words.js";

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
    this.none = byId("faces-none");
    for (const name of ["select", "evidence", "machine", "saved"]) model.addEventListener(name, () => this.#load());
    model.addEventListener("layers", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    still.addEventListener("change", () => this.#choose(this.side));
    document.addEventListener("visibilitychange", () => document.hidden && this.#choose(this.side));
    this.#load();
    this.#choose("apex");
  }

  /** Onset against apex: the pictures where there are any, else the video's own frames. */
  toggle() {
    const event = this.model.looked;
    if (!event) return this.model.say("choose an event first: n is the next one");
    if (this.folder) return this.#choose(this.side === "apex" ? "onset" : "apex");
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
    const { model } = this, event = model.event(), held = model.heldBack[model.held];
    this.evidence = this.player.pictures ? model.evidence() : null;
    const folder = this.evidence?.folder ?? (this.player.pictures && held?.picture ? `held-back/${model.held}` : null);
    byId("faces").hidden = !folder;
    this.none.hidden = Boolean(folder);
    this.buttons[0].parentElement.hidden = !folder;
    if (!folder) {
      this.folder = null;
      this.note.textContent = "";
      clearInterval(this.#timer);
      fill(this.none, this.#whyNone(event), model.canMake && [" ", makeButton(model, "Make them")]);
      return;
    }
    this.note.textContent = event ? this.#facesOf(event) : `Held back (${reasonWords(held.reason)}): onset (frame ${held.onset_frame}) and apex (${held.apex_frame}), head held still.`;
    if (folder === this.folder) return void this.#draw();
    this.folder = folder;
    this.#pictures = {};
    const [width, height] = this.evidence?.size ?? [1, 1];
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    for (const side of ["onset", "apex"]) {
      const picture = new Image();
      picture.addEventListener("load", () => this.#draw());
      picture.addEventListener("error", () => { this.note.textContent = "The pictures cannot be loaded."; });
      picture.src = pictureUrl(model.recording.id, folder, `${side}.jpg`, model.coder);
      this.#pictures[side] = picture;
    }
    this.#draw();
  }

  #facesOf(event) {
    const from = event.machine ?? event;
    return `Event ${eventName(event.key)} at ${event.machine ? "the machine’s" : "your"} onset (frame ${from.onset_frame}) and apex (${from.apex_frame}), head held still.`;
  }

  #whyNone(event) {
    if (!this.player.pictures) return "The pictures were removed with the video; the numbers stay.";
    if (!event && this.model.held === null) return "Choose an event to see its onset and apex.";
    return this.model.evidenceLine() || "Pictures, flow, units and the magnified clip of what the machine did not report are made when you ask for them.";
  }

  #draw() {
    const picture = this.#pictures[this.side];
    if (!this.folder || !picture?.complete || !picture.naturalWidth || !this.canvas.clientWidth) return;
    const { context: c, width, height } = sharp(this.canvas);
    c.imageSmoothingQuality = "high";
    c.drawImage(picture, 0, 0, width, height);
    if (this.evidence) drawLayers(c, this.model.layers, cropTransform(this.evidence, width / this.evidence.size[0]), this.evidence);
    this.canvas.setAttribute("aria-label", `The face at the ${this.side}`);
  }
}

/** Has the evidence of what is looked at made. */
function makeButton(model, words) {
  return el("button", { type: "button", class: "small", onclick: () => model.askEvidence() }, `${words} `, el("kbd", {}, "m"));
}

/** Probabilities, where on the face, and a few numbers: the machine's, whatever the coder decided. */
function machineCard(machine, model) {
  const shares = Object.entries(machine.probabilities ?? {}).map(([name, value]) => ({
    name, value, place: model.place(name), best: name === machine.label,
  }));
  const regions = Object.entries(machine.regions ?? {}).filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]);
  const most = regions[0]?.[1] ?? 1;
  // analyses from before action units were measured have none, and say nothing of them
  const units = machine.action_units && (machineUnits(machine) || "no action unit stands out");
  return [
    shareList(shares, share, { "aria-label": "The machine’s probabilities" }),
    regions.length > 0 && el("div", { class: "regions" },
      el("h4", {}, `Where ${machine.label} comes from`),
      shareList(regions.slice(0, REGIONS).map(([cell, value]) => ({ name: cellName(cell), value, bar: value / most })), share)),
    units && el("p", { class: "units" }, el("b", {}, "Looks like "), units),
    el("dl", { class: "numbers" },
      number("Length", `${Math.round(1000 * (machine.offset_s - machine.onset_s))} ms`),
      number("Rise", `${Math.round(1000 * (machine.apex_s - machine.onset_s))} ms`),
      number("Strength", [`${machine.strength.toFixed(1)} times this face’s own `, term("noise")])),
  ];
}

const number = (term, value) => el("div", {}, el("dt", {}, term), el("dd", {}, value));
const hint = (line) => el("p", { class: "hint" }, line);

/** What the machine answered to the chosen event, or would answer to one that the coder added. */
function answerOf(event, model) {
  const made = model.evidence();
  if (!event && model.held === null) return hint("Choose an event to see why the machine reported it.");
  if (!event) return [hint("The machine saw this movement and did not report it."), made ? machineCard(made.machine, model)
    : model.canMake && model.looked.picture && makeButton(model, "See its flow, units and magnified clip"), hint(model.evidenceLine())];
  if (isMasked(event)) return hint("Hidden until you have decided: this study is coded blind.");
  if (event.machine) return machineCard(event.machine, model);
  if (!isAdded(event)) return hint("The machine’s answer comes when your decision is saved.");
  if (made) return [hint("You added this event; this is what the machine makes of your stretch."), machineCard(made.machine, model)];
  return hint("You added this event; the machine did not report it.");
}

export function showMachine(model) {
  fill(byId("machine"), answerOf(model.event(), model));
}
