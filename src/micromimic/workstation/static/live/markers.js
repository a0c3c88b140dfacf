// Moments that somebody marks while a session runs: by key, or by a button for each name.

import { byId, el, fill, formatTime, remember, remembered } from "../app.js";

const MOST = 9; // names with a key of their own
const FIRST = "stimulus, question, answer";

/** The list in the page; `all` are the markers as the timeline's rows take them, with the frames' clock in `time`. */
export class Markers {
  all = [];
  session = null;

  /** `changed()` is called when one more or less is there. */
  constructor(changed) {
    this.changed = changed;
    this.field = byId("marker-names");
    this.field.value = remembered("live-markers") || FIRST;
    this.field.addEventListener("input", () => {
      remember("live-markers", this.field.value);
      this.#buttons();
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    this.#buttons();
  }

  get names() {
    return this.field.value.split(",").map((name) => name.trim()).filter(Boolean).slice(0, MOST);
  }

  /** A session has begun, or, with null, has ended: what was marked stays to be read. */
  follow(session) {
    this.session = session;
    if (session) this.all = [];
    this.#show();
  }

  #buttons() {
    fill(byId("marker-buttons"), this.names.map((name, k) =>
      el("button", { type: "button", class: "small", disabled: !this.session, onclick: () => this.#mark(name) }, el("kbd", {}, String(k + 1)), ` ${name}`)));
  }

  #key(event) {
    const name = /^[1-9]$/.test(event.key) && this.names[Number(event.key) - 1];
    if (!name || !this.session || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, dialog")) return;
    event.preventDefault();
    this.#mark(name);
  }

  #mark(label) {
    const at = this.session.clock();
    if (!at) return;
    this.session.send({ type: "marker", label, time: at.time });
    this.all.push({ tier: "live", label, onset_s: at.seconds, offset_s: at.seconds, time: at.time });
    this.#show();
  }

  #remove(marker) {
    this.session?.send({ type: "unmark", label: marker.label, time: marker.time });
    this.all = this.all.filter((other) => other !== marker);
    this.#show();
  }

  #show() {
    this.#buttons();
    byId("no-markers").hidden = this.all.length > 0;
    fill(byId("markers"), this.all.toReversed().map((marker) => el("li", {},
      el("span", { class: "number" }, formatTime(marker.onset_s)), el("b", {}, marker.label),
      this.session && el("button", { type: "button", class: "small", "aria-label": `Remove ${marker.label} at ${formatTime(marker.onset_s)}`, onclick: () => this.#remove(marker) }, "Remove"))));
    this.changed();
  }
}
