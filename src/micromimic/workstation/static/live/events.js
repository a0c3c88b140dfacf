// Candidates as they come, newest first; withdrawn ones stay, struck through.

import { byId, el, formatTime, placeOf, plural } from "../app.js";
import { machineUnits } from "../lib/units.js";
import { cellName, shareList } from "/static/viewer/evidence.js";

const MOST = 200;
const WHY = {
  blink: "a blink", head: "the head moved", light: "the light changed", macro: "too long or large",
  speech: "speech", short: "too short", crowded: "one of many in a row", lost: "the face was lost",
  gone: "no longer stands out",
};

export const placeIn = (event, label = event.label) => placeOf(label, Object.keys(event.probabilities));

const probabilities = (event) => shareList(Object.entries(event.probabilities).map(([name, value]) =>
  ({ name, value, place: placeIn(event, name), best: name === event.label })), (value) => value.toFixed(2));

function card(event) {
  const length = Math.round(1000 * (event.offset_s - event.onset_s));
  const delay = `${Math.round(1000 * event.delay_s)} ms after its end${event.late ? " (late)" : ""}`;
  const [strongest] = Object.entries(event.regions ?? {}).sort((a, b) => b[1] - a[1]);
  const where = strongest ? `, most at the ${cellName(strongest[0])}` : "";
  const units = machineUnits(event);
  return el("li", { class: "event", dataset: { event: event.id, label: event.label } },
    el("div", { class: "event-head" }, el("span", { class: ["swatch", placeIn(event)] }),
      el("b", { class: "named" }, event.label),
      el("span", { class: ["badge", "sure", event.uncertain && "warn"] }, event.uncertain ? "the model is unsure" : "the model is sure"),
      el("span", { class: "when number" }, formatTime(event.apex_s))),
    probabilities(event),
    units && el("p", { class: "hint units" }, `Looks like ${units}.`),
    el("small", { class: "number" }, `${length} ms, ${event.strength.toFixed(1)} times this face's own noise${where}. Out ${delay}.`));
}

/** The list in the page; `all` maps ids to {event, withdrawn} for the curve. */
export class Events {
  all = new Map();

  clear() {
    this.all.clear();
    byId("events").replaceChildren();
    this.#count();
  }

  add(event) {
    this.all.set(event.id, { event, withdrawn: false });
    const list = byId("events");
    list.prepend(card(event));
    while (list.children.length > MOST) list.lastChild.remove();
    this.#count();
  }

  settle({ type, id, reason }) {
    const entry = this.all.get(id);
    const node = byId("events").querySelector(`[data-event="${Number(id)}"]`);
    if (entry) entry.withdrawn = type === "withdrawn";
    if (node && type === "withdrawn") {
      node.classList.add("withdrawn");
      const badge = node.querySelector(".sure");
      badge.className = "badge sure";
      badge.textContent = "withdrawn";
      node.append(el("small", { class: "why" }, `Withdrawn: ${WHY[reason] ?? reason}.`));
    } else if (node) {
      node.classList.add("confirmed");
    }
    this.#count();
  }

  #count() {
    byId("no-events").hidden = this.all.size > 0;
    byId("events-count").textContent = this.all.size ? this.words : "";
  }

  get words() {
    const gone = [...this.all.values()].filter((entry) => entry.withdrawn).length;
    return plural(this.all.size - gone, "candidate") + (gone ? `, ${gone} withdrawn` : "");
  }
}
