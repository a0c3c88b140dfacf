// The events, narrowed and ordered as the coder wants: one button each, its state as colour, sign and word.

import { all, byId, el, fill, formatTime, option, remember, remembered } from "/static/app.js";
import { pressing } from "./choices.js";
import { classMark, statusBadge } from "./inspector.js";
import { SHOW, SORT } from "./listing.js";
import { markChosen } from "./tabs.js";
import { countWords, eventName, isAdded, isLonger, progressWords, share } from "./words.js";

const options = (choices) => Object.entries(choices).map(([value, { words }]) => option(value, words));

function eventButton(event, model) {
  const { machine } = event;
  return el("button", { type: "button", class: ["event", event.status], dataset: { key: event.key }, onclick: pressing(() => model.select(event.key)) },
    el("span", { class: "count" }, eventName(event.key)),
    el("span", { class: "what" }, event.label ? [classMark(model, event.label), " ", event.label] : el("small", {}, "no class yet"),
      isLonger(event) && el("small", {}, " longer")),
    el("span", { class: "sure" }, machine && [share(machine.probabilities?.[machine.label]), el("small", {}, machine.uncertain ? " unsure" : " sure")],
      isAdded(event) && el("small", {}, "added")),
    el("span", { class: "when" }, formatTime(model.clock.time(event.apex_frame))),
    statusBadge(event), event.note && el("span", { class: "has-note", title: event.note }, "“”"),
    machine && event.label !== machine.label && el("small", { class: "other" }, `machine: ${machine.label}`));
}

export function eventList(model) {
  const narrowed = byId("show"), sort = byId("sort");
  let buttons = new Map();

  const mark = () => markChosen(buttons, model.selected);
  function show() {
    const focused = all("#events button:focus")[0]?.dataset.key;
    const { events, listed } = model;
    buttons = new Map(listed.map((event) => [event.key, eventButton(event, model)]));
    fill(byId("events"), [...buttons.values()].map((button) => el("li", {}, button)));
    byId("progress").textContent = progressWords(events);
    byId("events-none").hidden = listed.length > 0;
    byId("events-none").textContent = events.length ? "No such event here." : "No event here. Go to the apex of one that was missed and press e.";
    byId("events-count").textContent = events.length ? countWords(events) : "";
    narrowed.value = model.listing.show;
    narrowed.disabled = sort.disabled = !events.length;
    mark();
    buttons.get(focused)?.focus();
  }

  fill(narrowed, options(SHOW), el("optgroup", { label: "Class" }, model.labels.map((name) => option(`class ${name}`, name))));
  fill(sort, options(SORT));
  sort.value = remembered("list.sort") in SORT ? remembered("list.sort") : "time";
  model.listing.sort = sort.value;
  narrowed.addEventListener("change", () => model.list({ show: narrowed.value }));
  sort.addEventListener("change", () => {
    remember("list.sort", sort.value);
    model.list({ sort: sort.value });
  });
  model.on("events", show);
  model.on("select", mark);
  show();
}
