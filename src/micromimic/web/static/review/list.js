// All events by onset: one button each, its state as colour, sign and word.

import { byId, el, fill, formatTime, plural } from "/static/app.js";
import { classMark, statusBadge } from "./inspector.js";
import { eventName, progressWords, share } from "./words.js";

export class EventList {
  constructor(model) {
    this.model = model;
    this.root = byId("events");
    this.buttons = new Map();
    model.addEventListener("events", () => this.show());
    model.addEventListener("select", () => this.#mark());
    this.show();
  }

  show() {
    const { model } = this;
    const focused = document.activeElement?.closest?.("#events button")?.dataset.key;
    this.buttons = new Map(model.events.map((event) => [event.key, this.#button(event)]));
    fill(this.root, [...this.buttons.values()].map((button) => el("li", {}, button)));
    byId("progress").textContent = progressWords(model.events);
    byId("events-none").hidden = model.events.length > 0;
    byId("events-count").textContent = model.events.length ? plural(model.events.length, "event") : "";
    this.#mark();
    this.buttons.get(focused)?.focus();
  }

  #button(event) {
    const { machine } = event;
    const differs = machine && event.label !== machine.label;
    return el("button", { type: "button", class: ["event", event.status, event.label], dataset: { key: event.key }, onclick: (click) => this.#choose(event.key, click) },
      el("span", { class: "count" }, eventName(event.key)),
      el("span", { class: "what" }, classMark(event.label), " ", event.label,
        differs && el("small", {}, ` machine: ${machine.label}`)),
      el("span", { class: "sure" }, machine ? [share(machine.probabilities?.[machine.label]), el("small", {}, machine.uncertain ? " unsure" : " sure")] : el("small", {}, "added")),
      el("span", { class: "when" }, formatTime(this.model.clock.time(event.apex_frame))),
      statusBadge(event), event.note && el("span", { class: "has-note", title: event.note }, "“”"));
  }

  #choose(key, click) {
    this.model.select(key);
    if (click.detail) this.buttons.get(key)?.blur();
  }

  #mark() {
    for (const [key, button] of this.buttons) {
      const on = key === this.model.selected;
      button.toggleAttribute("aria-current", on);
      if (on) {
        button.setAttribute("aria-current", "true");
        const box = this.root, { offsetTop: top, offsetHeight: tall } = button.parentElement;
        if (top < box.scrollTop || top + tall > box.scrollTop + box.clientHeight) box.scrollTop = top - tall;
      }
    }
  }
}
