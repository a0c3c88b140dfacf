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

/** The faces at onset and apex. Gives what turns from one to the other. */
export function faces(model, player) {
  const canvas = byId("face"), note = byId("face-note"), buttons = all("[data-face]");
  let timer = 0, side = "apex", folder = null, evidence = null, pictures = {};

  function choose(which) {
    clearInterval(timer);
    const flicker = which === "flicker" && !still.matches;
    if (flicker) timer = setInterval(() => show(side === "apex" ? "onset" : "apex"), FLICKER_MS);
    for (const button of buttons) {
      const mine = button.dataset.face;
      button.hidden = mine === "flicker" && still.matches;
      pressed(button, mine === (flicker ? "flicker" : which));
    }
    show(flicker ? "onset" : which === "flicker" ? side : which);
  }

  function show(which) {
    side = which;
    draw();
  }

  function load() {
    const event = model.event(), held = model.heldBack[model.held], before = folder;
    evidence = player.pictures ? model.evidence() : null;
    folder = evidence?.folder ?? (player.pictures && held?.picture ? `held-back/${model.held}` : null);
    byId("faces").hidden = buttons[0].parentElement.hidden = !folder;
    byId("faces-none").hidden = Boolean(folder);
    if (!folder) {
      note.textContent = "";
      clearInterval(timer);
      fill(byId("faces-none"), whyNone(event), model.canMake && [" ", makeButton(model, "Make them")]);
      return;
    }
    note.textContent = event ? facesOf(event) : `Held back (${reasonWords(held.reason)}): onset (frame ${held.onset_frame}) and apex (${held.apex_frame}), head held still.`;
    if (folder !== before) fetchPictures();
    draw();
  }

  function fetchPictures() {
    const [width, height] = evidence?.size ?? [1, 1];
    canvas.style.aspectRatio = `${width} / ${height}`;
    pictures = Object.fromEntries(["onset", "apex"].map((name) => {
      const picture = new Image();
      picture.addEventListener("load", draw);
      picture.addEventListener("error", () => { note.textContent = "The pictures cannot be loaded."; });
      picture.src = pictureUrl(model.recording.id, folder, `${name}.jpg`, model.coder);
      return [name, picture];
    }));
  }

  function facesOf(event) {
    const from = event.machine ?? event;
    return `Event ${eventName(event.key)} at ${event.machine ? "the machine’s" : "your"} onset (frame ${from.onset_frame}) and apex (${from.apex_frame}), head held still.`;
  }

  function whyNone(event) {
    if (!player.pictures) return "The pictures were removed with the video; the numbers stay.";
    if (!event && model.held === null) return "Choose an event to see its onset and apex.";
    return model.evidenceLine() || "Pictures, flow, units and the magnified clip of what the machine did not report are made when you ask for them.";
  }

  function draw() {
    const picture = pictures[side];
    if (!folder || !picture?.complete || !picture.naturalWidth || !canvas.clientWidth) return;
    const { context: c, width, height } = sharp(canvas);
    c.imageSmoothingQuality = "high";
    c.drawImage(picture, 0, 0, width, height);
    if (evidence) drawLayers(c, model.layers, cropTransform(evidence, width / evidence.size[0]), evidence);
    canvas.setAttribute("aria-label", `The face at the ${side}`);
  }

  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.face));
  model.on("select evidence machine saved", load);
  model.on("layers", draw);
  new ResizeObserver(draw).observe(canvas);
  still.addEventListener("change", () => choose(side));
  document.addEventListener("visibilitychange", () => document.hidden && choose(side));
  load();
  choose("apex");

  /** Onset against apex: the pictures where there are any, else the video's own frames. */
  return function toggle() {
    const event = model.looked;
    if (!event) return model.askToChoose();
    if (folder) return choose(side === "apex" ? "onset" : "apex");
    return player.seek(player.shown === event.apex_frame ? event.onset_frame : event.apex_frame);
  };
}

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
