// All events by onset: one button each, its state as colour, sign and word.

import { byId, el, fill, formatTime } from "/static/app.js";
import { classMark, statusBadge } from "./inspector.js";
import { countWords, eventName, isLonger, progressWords, share } from "./words.js";

export class EventList {
  constructor(model) {
    this.model = model;
    this.root = byId("events");
    this.buttons = new Map();
    this.kinds = [...document.querySelectorAll("[data-kinds]")];
    for (const button of this.kinds) button.addEventListener("click", () => model.list(button.dataset.kinds));
    model.addEventListener("events", () => this.show());
    model.addEventListener("select", () => this.#mark());
    this.show();
  }

  show() {
    const { model } = this;
    const focused = document.activeElement?.closest?.("#events button")?.dataset.key;
    const { events, listed } = model;
    this.buttons = new Map(listed.map((event) => [event.key, this.#button(event)]));
    fill(this.root, [...this.buttons.values()].map((button) => el("li", {}, button)));
    byId("progress").textContent = progressWords(model.events);
    byId("events-none").hidden = listed.length > 0;
    byId("events-count").textContent = events.length ? countWords(events) : "";
    byId("events-kinds").hidden = !events.some(isLonger) && model.kinds === "all";
    for (const button of this.kinds) button.setAttribute("aria-pressed", String(button.dataset.kinds === model.kinds));
    this.#mark();
    this.buttons.get(focused)?.focus();
  }

  #button(event) {
    const { machine } = event;
    const differs = machine && event.label !== machine.label;
    return el("button", { type: "button", class: ["event", event.status], dataset: { key: event.key }, onclick: (click) => this.#choose(event.key, click) },
      el("span", { class: "count" }, eventName(event.key)),
      el("span", { class: "what" }, classMark(this.model, event.label), " ", event.label,
        isLonger(event) && el("small", {}, " longer"), differs && el("small", {}, ` machine: ${machine.label}`)),
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
