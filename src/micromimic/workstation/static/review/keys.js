// One key for each thing, listed once: what the keyboard does is what the help dialog says.

import { PLACES, el } from "/static/app.js";

const NO_TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const OWN_SPACE = "button, summary, a, input, [role=button]";

/** Groups of [keys, words, act]; keys as event.key says them, "Shift+" before where it counts. */
function table(desk) {
  const { model, player, timeline } = desk;
  const look = (step) => {
    const key = model.neighbour(step, player.shown);
    if (key) model.select(key);
    else model.say(step > 0 ? "this is the last event" : "this is the first event");
  };
  const point = (name) => () => model.move({ [name]: player.shown });
  const named = model.labels.slice(0, PLACES);
  return [
    ["Look", [
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
    ]],
    ["Decide", [
      [["a"], "accept", () => model.decide("accept")],
      [["r"], "reject", () => model.decide("reject")],
      [named.map((_, k) => String(k + 1)), named.join(", "), (key) => model.decide("relabel", { label: named[Number(key) - 1] })],
      [["i", "k", "o"], "onset, apex, offset to this frame", (key) => point({ i: "onset", k: "apex", o: "offset" }[key])()],
      [["e"], "add an event with its apex here", () => desk.addHere()],
      [["Delete", "Backspace"], "remove an event that you added", () => model.decide("remove")],
      [["w"], "write a comment", () => desk.inspector.focusNote()],
      [["d"], "done with this recording", () => model.finish()],
      [["z", "Shift+Z"], "undo, redo", (key) => (key === "z" ? model.undo() : model.redo())],
      [["?"], "this list", () => desk.help()],
    ]],
  ];
}

const shown = (key) => ({
  ArrowLeft: "←", ArrowRight: "→", "Shift+ArrowLeft": "Shift ←", "Shift+ArrowRight": "→",
  "Shift+Z": "Shift z", "Shift+<": "<", "Shift+>": ">",
}[key] ?? key);

export class Keys {
  constructor(desk) {
    this.groups = table(desk);
    this.acts = new Map();
    for (const [, rows] of this.groups) for (const [keys, , act] of rows) for (const key of keys) this.acts.set(key, act);
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target.closest?.(NO_TYPING)) return;
    const key = event.key === " " ? "Space" : event.key;
    if (key === "Space" && target.closest?.(OWN_SPACE)) return;
    const act = this.#find(key, event.shiftKey);
    if (!act || (event.repeat && !key.startsWith("Arrow"))) return;
    event.preventDefault();
    act();
  }

  /** With Caps Lock or a layout that needs Shift for a sign, the sign itself counts. */
  #find(key, shift) {
    const names = shift ? [`Shift+${key}`, `Shift+${key.toUpperCase()}`] : [key, key.toLowerCase()];
    if (!/^[a-z]$/i.test(key)) names.push(key === "=" ? "+" : key === "_" ? "-" : key === "<" || key === ">" ? `Shift+${key}` : key);
    const name = names.find((one) => this.acts.has(one) && !(shift && one.startsWith("Arrow")));
    return name && (() => this.acts.get(name)(name));
  }

  /** The list as a dialog. */
  help() {
    const groups = this.groups.map(([title, rows]) => el("section", {}, el("h3", {}, title),
      el("dl", { class: "keys" }, rows.map(([keys, words]) => el("div", {}, el("dt", {}, keys.map((key) => el("kbd", {}, shown(key)))), el("dd", {}, words))))));
    const close = el("button", { type: "submit", class: "primary" }, "Close");
    const dialog = el("dialog", { class: "big help", "aria-labelledby": "help-title" },
      el("h2", { id: "help-title" }, "Keys"), el("div", { class: "columns" }, groups),
      el("p", { class: "hint" }, "Onset, apex and offset can be dragged on the timeline too, or chosen with Tab and moved ",
        "with the arrow keys. The wheel and two fingers zoom there; a drag pans."),
      el("form", { method: "dialog", class: "actions" }, close));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    close.focus();
  }
}
