// The events, narrowed and ordered as the coder wants: one button each, its state as colour, sign and word.

import { all, byId, el, fill, formatTime, remember, remembered } from "/static/app.js";
import { classMark, statusBadge } from "./inspector.js";
import { SHOW, SORT } from "./listing.js";
import { showInPane } from "./tabs.js";
import { countWords, eventName, isAdded, isLonger, progressWords, share } from "./words.js";

const options = (choices) => Object.entries(choices).map(([value, { words }]) => el("option", { value }, words));

export class EventList {
  constructor(model) {
    this.model = model;
    this.root = byId("events");
    this.buttons = new Map();
    const show = byId("show"), sort = byId("sort");
    fill(show, options(SHOW), el("optgroup", { label: "Class" }, model.labels.map((name) => el("option", { value: `class ${name}` }, name))));
    fill(sort, options(SORT));
    sort.value = remembered("list.sort") in SORT ? remembered("list.sort") : "time";
    model.listing.sort = sort.value;
    show.addEventListener("change", () => model.list({ show: show.value }));
    sort.addEventListener("change", () => {
      remember("list.sort", sort.value);
      model.list({ sort: sort.value });
    });
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
    byId("events-none").textContent = events.length ? "No such event here." : "No event here. Go to the apex of one that was missed and press e.";
    byId("events-count").textContent = events.length ? countWords(events) : "";
    byId("show").value = model.listing.show;
    for (const name of ["show", "sort"]) byId(name).disabled = !events.length;
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
      el("span", { class: "what" }, event.label ? [classMark(this.model, event.label), " ", event.label] : el("small", {}, "no class yet"),
        isLonger(event) && el("small", {}, " longer")),
      el("span", { class: "sure" }, machine && [share(machine.probabilities?.[machine.label]), el("small", {}, machine.uncertain ? " unsure" : " sure")],
        isAdded(event) && el("small", {}, "added")),
      el("span", { class: "when" }, formatTime(this.model.clock.time(event.apex_frame))),
      statusBadge(event), event.note && el("span", { class: "has-note", title: event.note }, "“”"),
      differs && el("small", { class: "other" }, `machine: ${machine.label}`));
  }

  #mark() {
    for (const [key, button] of this.buttons) {
      button.removeAttribute("aria-current");
      if (key !== this.model.selected) continue;
      button.setAttribute("aria-current", "true");
      showInPane(button);
    }
  }
}
