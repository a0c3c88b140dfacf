// Who decided what and when; and, once one's own review is marked done, how far two agree. Until then
// the server answers nothing that another coder decided, and nothing is asked for: coding stays blind.

import { api, byId, el, fill, formatMoment, plural, showError, showLine } from "/static/app.js";
import { agreementView } from "/static/lib/agreement.js";
import { fetchHistory, fetchReview } from "./data.js";
import { actionWords, clockTime, countWords, isAdded } from "./words.js";

const PAUSE_MS = 250;

export class Trail {
  #timer = 0;
  #asked = 0;

  constructor(model) {
    this.model = model;
    this.history = byId("history");
    this.everyone = byId("history-all");
    this.everyone.addEventListener("change", () => this.#load());
    this.wasDone = null;
    this.comparison = 0;
    model.addEventListener("saved", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#load(), PAUSE_MS);
    });
    model.addEventListener("events", () => this.#gate());
    this.#gate();
    this.#load();
  }

  async #load() {
    const { model } = this;
    const turn = ++this.#asked;
    const all = model.done && this.everyone.checked;
    try {
      const entries = await fetchHistory(model.recording.id, all ? null : model.coder, model.coder);
      if (turn === this.#asked) this.#show(entries, all);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (!this.history.childElementCount) fill(this.history, el("li", { class: "hint" }, error.message));
    }
  }

  #show(entries, all) {
    const { analysis, coder } = this.model;
    for (const entry of entries) if (entry.coder === coder) this.model.log.set(entry.number, actionWords(entry));
    const taken = new Set();
    for (const { action, target, coder: who } of entries) {
      if (action === "undo") taken.add(`${who} ${target}`);
      if (action === "redo") taken.delete(`${who} ${target}`);
    }
    const lines = entries.map((entry) => el("li", { class: taken.has(`${entry.coder} ${entry.number}`) && "taken" },
      el("span", { class: "number" }, entry.number),
      el("span", {}, all && el("b", {}, entry.coder === coder ? "you " : `${entry.coder} `), actionWords(entry),
        taken.has(`${entry.coder} ${entry.number}`) && el("small", {}, " (taken back)")),
      el("time", { datetime: entry.decided_at, title: formatMoment(entry.decided_at) }, clockTime(entry.decided_at))));
    const { name, version } = analysis.model;
    lines.unshift(el("li", {}, el("span", { class: "number" }, "–"),
      el("span", {}, `the machine (${name} ${version}) reported ${countWords(this.model.events.filter((event) => !isAdded(event))).replace("event", "candidate")}; its answer never changes`)));
    fill(this.history, lines.reverse());
  }

  /** Other coders: a line until one's own review is done, then a choice of whom to compare with. */
  #gate() {
    const { model } = this;
    if (model.done === this.wasDone) return;
    this.wasDone = model.done;
    byId("history-all-label").hidden = !model.done;
    if (model.done) return void this.#open();
    const others = model.recording.coders.filter((name) => name !== model.coder).length;
    const who = others ? `${plural(others, "other coder")} decided here too. ` : "";
    byId("compare").hidden = true;
    model.others = [];
    showLine(byId("blind"), `${who}Agreement with the machine${others ? " and with others" : ""} is shown when you are done with this recording, so that your own view comes first.`);
  }

  async #open() {
    const { model } = this;
    try {
      model.recording = await api(`/recordings/${model.recording.id}`);
    } catch (error) {
      return showError(error);
    }
    const others = model.recording.coders.filter((name) => name !== model.coder);
    const choice = byId("compare-with");
    fill(choice, el("option", { value: "machine" }, "the machine"), others.map((name) => el("option", { value: `coder ${name}` }, name)));
    choice.onchange = () => this.#compare(choice.value);
    byId("blind").hidden = true;
    byId("compare").hidden = false;
    return this.#compare(choice.value);
  }

  async #compare(choice) {
    const { model } = this;
    const other = choice.replace(/^coder /, "");
    const turn = ++this.comparison; // a slow answer must not replace a later choice's
    try {
      const [found, theirs] = await Promise.all([
        api(`/recordings/${model.recording.id}/agreement`, { query: { coder: model.coder, other } }),
        choice === "machine" ? null : fetchReview(model.recording.id, other, model.coder),
      ]);
      if (turn !== this.comparison || !model.done) return;
      fill(byId("agreement"), agreementView(found, "you", other));
      model.othersName = other;
      model.showOthers(theirs ? theirs.review.events : []);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      fill(byId("agreement"), el("p", { class: "problem" }, error.message));
    }
  }
}
