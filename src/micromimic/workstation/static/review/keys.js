// What a person can do here, listed once: the keyboard, the buttons and the help dialog go by it.

import { PLACES, byId, el, openDialog } from "/static/app.js";

const NO_TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const OWN_SPACE = "button, summary, a, input, [role=button]";

/** Buttons of the page by their id, and the key that does the same. */
const BUTTONS = {
  play: "Space", back: "ArrowLeft", on: "ArrowRight", loop: "l", magnified: "m", add: "e", cells: "c", flow: "f", votes: "v",
  undo: "z", redo: "Shift+Z", done: "d", help: "?", accept: "a", reject: "r", remove: "Delete",
  "set-onset": "i", "set-apex": "k", "set-offset": "o", "zoom-in": "+", "zoom-out": "-", "zoom-all": "0",
};

const SHOWN = {
  ArrowLeft: "←", ArrowRight: "→", "Shift+ArrowLeft": "Shift ←", "Shift+ArrowRight": "→",
  "Shift+Z": "Shift z", "Shift+<": "<", "Shift+>": ">",
};

/** Groups of [keys, words, act]; keys as event.key says them, "Shift+" before where it counts. */
function table(desk, help) {
  const { model, player, timeline } = desk;
  const look = (step) => {
    const key = model.neighbour(step, player.shown);
    if (key) model.select(key);
    else model.say(step > 0 ? "this is the last event" : "this is the first event");
  };
  const named = model.labels.slice(0, PLACES);
  return Object.entries({
    Look: [
      [["Space"], "play or pause", () => desk.playPause()],
      [["ArrowLeft", "ArrowRight"], "one frame back, one on", (key) => player.step(key === "ArrowLeft" ? -1 : 1)],
      [["Shift+ArrowLeft", "Shift+ArrowRight"], "ten frames", (key) => player.step(key.endsWith("Left") ? -10 : 10)],
      [["Home", "End"], "first frame, last frame", (key) => player.seek(key === "Home" ? 0 : model.clock.frames - 1)],
      [["n", "p"], "next event, previous event", (key) => look(key === "n" ? 1 : -1)],
      [["s"], "slow motion: 1/4, 1/10, full speed", () => desk.slower()],
      [["l"], "loop the event", () => desk.toggleLoop()],
      [["m"], "play with the motion magnified", () => desk.toggleMagnified()],
      [["t"], "onset against apex", () => desk.faces.toggle()],
      [["f", "c", "v"], "flow arrows, ten cells, votes", (key) => desk.toggleLayer({ f: "flow", c: "cells", v: "votes" }[key])],
      [["+", "-", "0"], "zoom in, zoom out, show all", (key) => desk.zoom(key)],
      [["Shift+<", "Shift+>"], "pan the timeline", (key) => timeline.view.pan((key.endsWith("<") ? -0.25 : 0.25) * timeline.view.span)],
    ],
    Decide: [
      [["a"], "accept", () => model.decide("accept")],
      [["r"], "reject", () => model.decide("reject")],
      [named.map((_, k) => String(k + 1)), named.join(", "), (key) => model.decide("relabel", { label: named[Number(key) - 1] })],
      [["i", "k", "o"], "onset, apex, offset to this frame", (key) => model.move({ [{ i: "onset", k: "apex", o: "offset" }[key]]: player.shown })],
      [["e"], "add an event with its apex here", () => desk.addHere()],
      [["Delete", "Backspace"], "remove an event that you added", () => model.decide("remove")],
      [["w"], "write a comment", () => desk.inspector.focusNote()],
      [["d"], "done with this recording", () => model.finish()],
      [["z", "Shift+Z"], "undo, redo", (key) => (key === "z" ? model.undo() : model.redo())],
      [["?"], "this list", help],
    ],
  });
}

/** Makes keys and buttons work. */
export function listen(desk) {
  const groups = table(desk, () => help(groups));
  const acts = new Map(groups.flatMap(([, rows]) => rows).flatMap(([keys, , act]) => keys.map((key) => [key, act])));
  for (const [id, key] of Object.entries(BUTTONS)) {
    byId(id).addEventListener("click", (event) => {
      if (event.detail) byId(id).blur(); // pressed by mouse: space plays on
      acts.get(key)(key);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const target = /** @type {Element} */ (event.target);
    const key = event.key === " " ? "Space" : event.key;
    if (target.closest(NO_TYPING) || (key === "Space" && target.closest(OWN_SPACE))) return;
    const name = find(acts, key, event.shiftKey);
    if (!name || (event.repeat && !key.startsWith("Arrow"))) return;
    event.preventDefault();
    acts.get(name)(name);
  });
}

/** With Caps Lock or a layout that needs Shift for a sign, the sign itself counts. */
function find(acts, key, shift) {
  const names = shift ? [`Shift+${key}`, `Shift+${key.toUpperCase()}`] : [key, key.toLowerCase()];
  if (!/^[a-z]$/i.test(key)) names.push({ "=": "+", _: "-", "<": "Shift+<", ">": "Shift+>" }[key] ?? key);
  return names.find((one) => acts.has(one) && !(shift && one.startsWith("Arrow")));
}

function help(groups) {
  const close = el("button", { type: "submit", class: "primary" }, "Close");
  openDialog({ title: "Keys", kind: "big help" },
    el("div", { class: "columns" }, groups.map(([title, rows]) => el("section", {}, el("h3", {}, title),
      el("dl", { class: "keys" }, rows.map(([keys, words]) =>
        el("div", {}, el("dt", {}, keys.map((key) => el("kbd", {}, SHOWN[key] ?? key))), el("dd", {}, words))))))),
    el("p", { class: "hint" }, "Onset, apex and offset can be dragged on the timeline too, or chosen with Tab and moved ",
      "with the arrow keys. The wheel and two fingers zoom there; a drag pans."),
    el("form", { method: "dialog", class: "actions" }, close));
  close.focus();
}
