// All events by onset: one button each, its state as colour, sign and word.

import { all, byId, el, fill, formatTime, pressed } from "/static/app.js";
import { classMark, statusBadge } from "./inspector.js";
import { countWords, eventName, isLonger, progressWords, share } from "./words.js";

export class EventList {
  constructor(model) {
    this.model = model;
    this.root = byId("events");
    this.buttons = new Map();
    this.kinds = all("[data-kinds]");
    for (const button of this.kinds) button.addEventListener("click", () => model.list(button.dataset.kinds));
    model.addEventListener("events", () => this.show());
    model.addEventListener("select", () => this.#mark());
    this.show();
  }

  show() {
    const { model } = this;
    const focused = all("#events button:focus")[0]?.dataset.key;
    const { events, listed } = model;
    this.buttons = new Map(listed.map((event) => [event.key, this.#button(event)]));
    fill(this.root, [...this.buttons.values()].map((button) => el("li", {}, button)));
    byId("progress").textContent = progressWords(model.events);
    byId("events-none").hidden = listed.length > 0;
    byId("events-count").textContent = events.length ? countWords(events) : "";
    byId("events-kinds").hidden = !events.some(isLonger) && model.kinds === "all";
    for (const button of this.kinds) pressed(button, button.dataset.kinds === model.kinds);
    this.#mark();
    this.buttons.get(focused)?.focus();
  }

  #button(event) {
    const { machine } = event;
    const differs = machine && event.label !== machine.label;
    const choose = (click) => {
      this.model.select(event.key);
      if (click.detail) this.buttons.get(event.key)?.blur();
    };
    return el("button", { type: "button", class: ["event", event.status], dataset: { key: event.key }, onclick: choose },
      el("span", { class: "count" }, eventName(event.key)),
      el("span", { class: "what" }, classMark(this.model, event.label), " ", event.label,
        isLonger(event) && el("small", {}, " longer"), differs && el("small", {}, ` machine: ${machine.label}`)),
      el("span", { class: "sure" }, machine ? [share(machine.probabilities?.[machine.label]), el("small", {}, machine.uncertain ? " unsure" : " sure")] : el("small", {}, "added")),
      el("span", { class: "when" }, formatTime(this.model.clock.time(event.apex_frame))),
      statusBadge(event), event.note && el("span", { class: "has-note", title: event.note }, "“”"));
  }

  #mark() {
    for (const [key, button] of this.buttons) {
      button.removeAttribute("aria-current");
      if (key !== this.model.selected) continue;
      button.setAttribute("aria-current", "true");
      const box = this.root, { offsetTop: top, offsetHeight: tall } = button.parentElement;
      if (top < box.scrollTop || top + tall > box.scrollTop + box.clientHeight) box.scrollTop = top - tall;
    }
  }
}
