// What a person can do here, listed once: the keyboard, the buttons and the help dialog go by it.

import { PLACES, all, el, openDialog } from "/static/app.js";
import { pressing } from "./choices.js";
import { Coding } from "./coding.js";

const NO_TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const OWN_SPACE = "button, summary, a, input, [role=button]";
const OWN_ARROWS = ".history"; // what scrolls by them

const SHOWN = {
  ArrowLeft: "←", ArrowRight: "→", "Shift+ArrowLeft": "Shift ←", "Shift+ArrowRight": "→", ArrowUp: "↑", ArrowDown: "↓",
  PageUp: "Page Up", PageDown: "Page Down",
  "Shift+Z": "Shift z", "Shift+H": "Shift h", "Shift+S": "Shift s", "Shift+N": "Shift n", "Shift+<": "<", "Shift+>": ">", "Control+z": "Ctrl z", "Control+y": "Ctrl y",
};

/** Groups of [keys, words, act]; keys as event.key says them, "Shift+" before where it counts. */
function table(desk, help) {
  const { model, player, timeline } = desk;
  const look = (step, open = false) => {
    const key = model.neighbour(step, player.shown, open);
    if (key) model.select(key);
    else if (!model.listed.length) model.say(model.events.length ? "the list shows no event now: choose All events above it" : "no event here: go to the apex of one that was missed and press e");
    else model.say(step > 0 ? "this is the last event" : "this is the first event");
  };
  const named = model.labels.slice(0, PLACES);
  return Object.entries({
    Look: [
      [["Space"], "play or pause", () => desk.playPause()],
      [["ArrowLeft", "ArrowRight"], "one frame back, one on", (key) => player.step(key === "ArrowLeft" ? -1 : 1)],
      [["Shift+ArrowLeft", "Shift+ArrowRight"], "ten frames", (key) => player.step(key.endsWith("Left") ? -10 : 10)],
      [[",", "."], "one second", (key) => player.skip(key === "," ? -1 : 1)],
      [["PageUp", "PageDown"], "five seconds", (key) => player.skip(key === "PageUp" ? -5 : 5)],
      [["[", "]"], "previous marker, next marker", (key) => timeline.toMarker(key === "]" ? 1 : -1)],
      [["Home", "End"], "first frame, last frame", (key) => player.seek(key === "Home" ? 0 : model.clock.frames - 1)],
      [["n", "p"], "next open event, previous one", (key) => look(key === "n" ? 1 : -1, true)],
      [["h", "Shift+H"], "next held-back movement, previous one", (key) => model.stepHeld(key === "h" ? 1 : -1, player.shown)],
      [["ArrowDown", "ArrowUp"], "next event of the list, previous one", (key) => look(key === "ArrowDown" ? 1 : -1)],
      [["s", "Shift+S"], "slower, faster: 1/10 to 2", (key) => desk.faster(key === "s" ? -1 : 1)],
      [["q"], "sound on or off", () => desk.toggleSound()],
      [["l"], "loop the event, or the stretch that the timeline shows", () => desk.toggleLoop()],
      [["m"], "play with the motion magnified", () => desk.toggleMagnified()],
      [["t"], "onset against apex", () => desk.turnFace()],
      [["f", "c", "v"], "flow arrows, ten face regions, where the class comes from", (key) => desk.toggleLayer({ f: "flow", c: "cells", v: "votes" }[key])],
      [["+", "-", "0"], "zoom in, zoom out, show all", (key) => desk.zoom(key)],
      [["Shift+<", "Shift+>"], "pan the timeline", (key) => timeline.view.pan((key.endsWith("<") ? -0.25 : 0.25) * timeline.view.span)],
    ],
    Decide: [
      [["a"], "accept", () => model.decide("accept")],
      [["r"], "reject", () => model.decide("reject")],
      [named.map((_, k) => String(k + 1)), named.join(", "), (key) => model.decide("relabel", { label: named[Number(key) - 1] })],
      ...Coding.keys(desk),
      [["i", "k", "o"], "onset, apex, offset to this frame", (key) => model.move({ [{ i: "onset", k: "apex", o: "offset" }[key]]: player.shown })],
      [["e"], "add an event with its apex here", () => desk.addHere()],
      [["Delete", "Backspace"], "remove an event that you added", () => model.decide("remove")],
      [["w"], "write a comment", () => desk.focusNote()],
      [["d"], "I have watched it all: the end of this review", () => model.finish()],
      [["Shift+N"], "the next recording that you have not finished", () => desk.openNext()],
      [["z", "Control+z"], "undo", () => model.undo()],
      [["Shift+Z", "Control+y"], "redo", () => model.redo()],
      [["?"], "this list", help],
    ],
  });
}

export function listen(desk) {
  const groups = table(desk, () => help(groups));
  const acts = new Map(groups.flatMap(([, rows]) => rows).flatMap(([keys, , act]) => keys.map((key) => [key, act])));
  for (const button of all("#desk button[id][aria-keyshortcuts]")) {
    const [key] = button.getAttribute("aria-keyshortcuts").split(" ");
    button.addEventListener("click", pressing(() => acts.get(key)(key)));
  }
  for (const select of all("#desk select")) giveBack(select);
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const target = /** @type {Element} */ (event.target);
    const key = event.key === " " ? "Space" : event.key;
    if (target.closest(NO_TYPING) || (key === "Space" && target.closest(OWN_SPACE)) || (key.length > 5 && target.closest(OWN_ARROWS))) return;
    const name = event.ctrlKey || event.metaKey ? command(key, event.shiftKey) : find(acts, key, event.shiftKey);
    if (!name || (event.repeat && !/^Arrow|^Page|^[,.]$/.test(key))) return;
    event.preventDefault();
    acts.get(name)(name);
  });
}

/** A menu that was used by mouse gives the focus back, so that keys go on; used by keys it stays where one is. */
function giveBack(select) {
  let mouse = false;
  select.addEventListener("pointerdown", () => { mouse = true; });
  select.addEventListener("keydown", () => { mouse = false; });
  select.addEventListener("change", () => mouse && select.blur());
}

/** What editors have for undo and redo; the other keys with Ctrl or Cmd are the browser's. */
function command(key, shift) {
  const name = `${shift ? "Shift+" : ""}${key.toLowerCase()}`;
  return { z: "z", "Shift+z": "Shift+Z", y: "Shift+Z" }[name];
}

/** With Caps Lock or a layout that needs Shift for a sign, the sign itself counts. */
function find(acts, key, shift) {
  const names = shift ? [`Shift+${key}`, `Shift+${key.toUpperCase()}`] : [key, key.toLowerCase()];
  if (!/^[a-z]$/i.test(key)) names.push({ "=": "+", _: "-", "<": "Shift+<", ">": "Shift+>" }[key] ?? key);
  return names.find((one) => acts.has(one) && !(shift && /^(Arrow|Page|Control)/.test(one)));
}

function help(groups) {
  const close = el("button", { type: "submit", class: "primary" }, "Close");
  openDialog({ title: "Keys", kind: "big help" },
    el("div", { class: "columns" }, groups.map(([title, rows]) => el("section", {}, el("h3", {}, title),
      el("dl", { class: "keys" }, rows.map(([keys, words]) =>
        el("div", {}, el("dt", {}, keys.map((key) => el("kbd", {}, SHOWN[key] ?? key))), el("dd", {}, words))))))),
    el("p", { class: "hint" }, "Onset, apex and offset can be dragged on the timeline too, or chosen with Tab and moved ",
      "with the arrow keys. The wheel and two fingers zoom there; a drag pans; a drag with Shift held marks out a new event."),
    el("form", { method: "dialog", class: "actions" }, close));
  close.focus();
}
