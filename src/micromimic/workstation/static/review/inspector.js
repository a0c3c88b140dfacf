// The chosen event: what the machine said beside what the coder says, and every decision as a button.

import { PLACES, byId, el, fill, formatTime, openDialog, pressed, signOf } from "/static/app.js";
import { POINTS, STATUS, eventName, frameWords, isLonger, share } from "./words.js";

/**
 * A button with its key, if it has one. Pressed by mouse it gives the focus back, so that space plays on.
 * @param {string} label @param {string | null} key @param {() => any} act @param {Record<string, any>} [props]
 */
function keyed(label, key, act, { icon = null, title = label, ...props } = {}) {
  const press = (event) => {
    if (event.detail) event.currentTarget.blur();
    act();
  };
  return el("button", { type: "button", "aria-keyshortcuts": key, title: `${title}${key ? ` (${key})` : ""}`, onclick: press, ...props },
    icon, label, key && el("kbd", {}, key));
}

/** A class's key: the first nine have one. */
const classKey = (k) => (k < PLACES ? String(k + 1) : null);

export function classMark(model, label) {
  const place = model.place(label);
  return el("span", { class: ["mark", place], "aria-hidden": "true" }, signOf(place));
}

export function statusBadge({ status }) {
  return el("span", { class: ["status", status] }, el("b", { "aria-hidden": "true" }, STATUS[status].sign), ` ${STATUS[status].word}`);
}

/** The class of a new event at a frame, or null when it is not to be: one question, answered by a key or a button. */
export async function askClass(frame, model) {
  let label = null;
  const choose = (name) => {
    label = name;
    dialog.close();
  };
  const buttons = model.labels.map((name, k) => keyed(name, classKey(k), () => choose(name), { class: "class", icon: classMark(model, name) }));
  const { dialog, closed } = openDialog({ title: "Add an event" },
    el("p", { class: "hint" }, `Apex at ${frameWords(frame, model.clock)}. Onset and offset are set around it; drag them, or use i and o.`),
    el("div", { class: "actions" }, keyed("Cancel ", "Esc", () => dialog.close(), { "aria-keyshortcuts": "Escape" }), buttons));
  dialog.addEventListener("keydown", (event) => {
    const name = model.labels.find((_, k) => classKey(k) === event.key);
    if (!name || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // else the desk's own keys would name the chosen event, too
    choose(name);
  });
  buttons[0].focus();
  await closed;
  return label;
}

export class Inspector {
  constructor(model) {
    this.model = model;
    this.note = byId("note");
    this.note.addEventListener("keydown", (event) => this.#noteKey(event));
    this.note.addEventListener("change", () => this.#saveNote());
    this.noteOf = null;
    this.choices = model.labels.map((name, k) => keyed(name, classKey(k), () => model.decide("relabel", { label: name }),
      { class: "class", icon: classMark(model, name), title: `Call it ${name}`, dataset: { label: name } }));
    byId("choices").append(...this.choices);
    byId("inspector-none").textContent = model.events.length
      ? "Choose an event on the timeline or in the list, or press n. Add one that the machine missed with e."
      : "The machine reported no candidate here. Add one that it missed: go to its apex and press e.";
    for (const name of ["events", "select"]) model.addEventListener(name, () => this.show());
    this.show();
  }

  focusNote() {
    if (!this.model.event()) return this.model.say("choose an event first: n is the next one");
    return this.note.focus();
  }

  show() {
    const { model } = this, { events } = model, event = model.event();
    byId("inspector-body").hidden = !event;
    byId("inspector-none").hidden = Boolean(event);
    if (!event) return;
    const { machine, status, label } = event;
    fill(byId("inspector-title"), `Event ${eventName(event.key)}`, el("small", {}, `${events.indexOf(event) + 1} of ${events.length}`));
    fill(byId("badges"), statusBadge(event),
      event.changed && el("span", { class: "badge accent" }, "✎ differs from the machine’s"),
      !machine && el("span", { class: "badge accent" }, "+ added by you"),
      machine?.uncertain && el("span", { class: "badge warn" }, "machine unsure"),
      isLonger(event) && el("span", { class: "badge", title: "Longer than a micro-expression: it is listed and exported, and counts in no number. The model that names it was made for micro-expressions." }, "longer expression"),
      event.unsaved && el("span", { class: "badge warn" }, "not saved yet"));
    this.#row("class", machine?.label, label, (name) => [classMark(model, name), name],
      machine && ` ${share(machine.probabilities?.[machine.label])}`);
    for (const point of POINTS) {
      this.#row(point, machine?.[`${point}_frame`], event[`${point}_frame`],
        (frame) => [el("b", {}, frame), " ", el("span", { class: "time" }, formatTime(model.clock.time(frame)))]);
    }
    for (const button of this.choices) pressed(button, status === "accepted" && label === button.dataset.label);
    pressed(byId("accept"), status === "accepted");
    pressed(byId("reject"), status === "rejected");
    byId("remove").hidden = Boolean(machine);
    if (document.activeElement !== this.note || this.noteOf !== event.key) this.note.value = event.note;
    this.noteOf = event.key;
  }

  #row(name, machine, own, words, more = null) {
    fill(byId(`${name}-machine`), machine === undefined ? "–" : [words(machine), more]);
    fill(byId(`${name}-own`), words(own));
    byId(`${name}-own`).classList.toggle("differs", machine !== undefined && machine !== own);
  }

  #noteKey(event) {
    if (event.key === "Escape") this.note.value = this.model.event()?.note ?? "";
    else if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.note.blur();
  }

  #saveNote() {
    const event = this.model.event(this.noteOf);
    const note = this.note.value.trim();
    if (event && note !== event.note) this.model.decide("comment", { note }, event.key);
  }
}
