// The chosen event: what the machine said beside what the coder says, and every decision as a button.

import { PLACES, byId, el, fill, formatTime, markOf } from "/static/app.js";
import { POINTS, STATUS, eventName, isLonger, share } from "./words.js";

const KEYS = { onset: "i", apex: "k", offset: "o" };

/** A button with its key, if it has one. Pressed by mouse it gives the focus back, so that space plays on. */
export function keyed(label, key, act, props = {}) {
  const button = el("button", { type: "button", "aria-keyshortcuts": key, title: `${props.title ?? label}${key ? ` (${key})` : ""}`, ...props }, props.icon, label, key && el("kbd", {}, key));
  button.addEventListener("click", (event) => {
    if (event.detail) button.blur();
    act();
  });
  return button;
}

/** A class's key: the first nine have one. */
export const classKey = (k) => (k < PLACES ? String(k + 1) : null);

export function classMark(model, label) {
  const place = model.place(label);
  return el("span", { class: ["mark", place], "aria-hidden": "true" }, markOf(place).sign);
}

export function statusBadge(event) {
  const { sign, word } = STATUS[event.status];
  return el("span", { class: ["status", event.status] }, el("b", { "aria-hidden": "true" }, sign), ` ${word}`);
}

export class Inspector {
  constructor(model, player) {
    this.model = model;
    this.player = player;
    this.root = byId("inspector");
    this.note = el("textarea", { id: "note", rows: "1", maxlength: "2000", placeholder: "Why, or what to ask about", "aria-keyshortcuts": "w" });
    this.note.addEventListener("keydown", (event) => this.#noteKey(event));
    this.note.addEventListener("change", () => this.#saveNote());
    this.noteOf = null;
    this.parts = this.#build();
    for (const name of ["events", "select"]) model.addEventListener(name, () => this.show());
    this.show();
  }

  focusNote() {
    if (!this.model.event()) return this.model.say("choose an event first: n is the next one");
    return this.note.focus();
  }

  show() {
    const event = this.model.event();
    this.parts.body.hidden = !event;
    this.parts.none.hidden = Boolean(event);
    if (!event) return;
    const { events } = this.model;
    fill(this.parts.title, `Event ${eventName(event.key)}`,
      el("small", {}, `${events.indexOf(event) + 1} of ${events.length}`));
    fill(this.parts.badges, statusBadge(event),
      event.changed && el("span", { class: "badge accent" }, "✎ differs from the machine’s"),
      !event.machine && el("span", { class: "badge accent" }, "+ added by you"),
      event.machine?.uncertain && el("span", { class: "badge warn" }, "machine unsure"),
      isLonger(event) && el("span", { class: "badge", title: "Longer than a micro-expression: it is listed and exported, and counts in no number. The model that names it was made for micro-expressions." }, "longer expression"),
      event.unsaved && el("span", { class: "badge warn" }, "not saved yet"));
    this.#row("class", event.machine && [classMark(this.model, event.machine.label), `${event.machine.label} ${share(event.machine.probabilities?.[event.machine.label])}`],
      [classMark(this.model, event.label), event.label], event.machine && event.label !== event.machine.label);
    for (const point of POINTS) this.#points(event, point);
    for (const [name, button] of this.choices) button.setAttribute("aria-pressed", String(event.status === "accepted" && event.label === name));
    this.parts.accept.setAttribute("aria-pressed", String(event.status === "accepted"));
    this.parts.reject.setAttribute("aria-pressed", String(event.status === "rejected"));
    this.parts.remove.hidden = Boolean(event.machine);
    if (document.activeElement !== this.note || this.noteOf !== event.key) this.note.value = event.note;
    this.noteOf = event.key;
  }

  #points(event, point) {
    const { clock } = this.model;
    const words = (frame) => [el("b", {}, frame), " ", el("span", { class: "time" }, formatTime(clock.time(frame)))];
    const own = event[`${point}_frame`], machine = event.machine?.[`${point}_frame`];
    this.#row(point, machine !== undefined && words(machine), words(own), machine !== undefined && machine !== own);
  }

  #row(name, machine, own, differs) {
    fill(this.parts[`${name}-machine`], machine || "–");
    fill(this.parts[`${name}-own`], own);
    this.parts[`${name}-own`].classList.toggle("differs", Boolean(differs));
  }

  #build() {
    const { model, player } = this;
    const parts = {};
    const cell = (key) => (parts[key] = el("td"));
    const rows = ["class", ...POINTS].map((name) => el("tr", {},
      el("th", { scope: "row" }, name[0].toUpperCase() + name.slice(1)), cell(`${name}-machine`), cell(`${name}-own`),
      el("td", {}, KEYS[name] && keyed("set here", KEYS[name], () => model.move({ [name]: player.shown }),
        { class: "small", title: `Set the ${name} to the frame on the screen` }))));
    parts.title = el("h2", { id: "inspector-title" });
    parts.badges = el("p", { class: "badges" });
    parts.accept = keyed("Accept", "a", () => model.decide("accept"), { class: "accept", icon: el("b", { "aria-hidden": "true" }, "✓") });
    parts.reject = keyed("Reject", "r", () => model.decide("reject"), { class: "reject", icon: el("b", { "aria-hidden": "true" }, "✕") });
    this.choices = new Map(model.labels.map((name, k) => [name, keyed(name, classKey(k), () => model.decide("relabel", { label: name }),
      { class: "class", icon: classMark(model, name), title: `Call it ${name}` })]));
    parts.remove = keyed("Remove", "Delete", () => model.decide("remove"), { class: "danger" });
    parts.none = el("p", { class: "empty" }, this.model.events.length
      ? "Choose an event on the timeline or in the list, or press n. Add one that the machine missed with e."
      : "The machine reported no candidate here. Add one that it missed: go to its apex and press e.");
    parts.body = el("div", {},
      el("div", { class: "bar" }, parts.title, parts.badges),
      el("div", { class: "decide", role: "group", "aria-label": "Decide" }, parts.accept, parts.reject, el("span", { class: "rule" }),
        [...this.choices.values()], parts.remove),
      el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("td"), el("th", { scope: "col" }, "Machine"), el("th", { scope: "col" }, "You"), el("td"))),
        el("tbody", {}, rows))),
      el("div", { class: "field" }, el("label", { for: "note" }, "Comment ", el("kbd", {}, "w")), this.note));
    this.root.replaceChildren(parts.none, parts.body);
    return parts;
  }

  #noteKey(event) {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.note.blur();
    } else if (event.key === "Escape") {
      this.note.value = this.model.event()?.note ?? "";
      this.note.blur();
    }
  }

  #saveNote() {
    const event = this.model.event(this.noteOf);
    const note = this.note.value.trim();
    if (event && note !== event.note) this.model.decide("comment", { note }, event.key);
  }
}
