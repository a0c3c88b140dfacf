// Who decided what and when; and, once one's own review is marked done, how far two agree. Until then
// the server answers nothing that another coder decided, and nothing is asked for: coding stays blind.

import { api, byId, el, fill, formatMoment, option, plural, showError, showLine } from "/static/app.js";
import { agreementView } from "/static/lib/agreement.js";
import { fetchHistory, fetchReview } from "./data.js";
import { actionWords, clockTime, countWords, isAdded } from "./words.js";

const PAUSE_MS = 250;

/** The trail of decisions: one's own, and everybody's once one is done. */
export function history(model) {
  const list = byId("history"), everyone = byId("history-all");
  let timer = 0, asked = 0;

  async function load() {
    const turn = ++asked, all = model.done && everyone.checked;
    try {
      const entries = await fetchHistory(model.recording.id, all ? null : model.coder, model.coder);
      if (turn === asked) show(entries, all);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      if (!list.childElementCount) fill(list, el("li", { class: "hint" }, error.message));
    }
  }

  function show(entries, all) {
    const taken = new Set();
    for (const entry of entries) {
      const { action, target, coder, number } = entry;
      if (coder === model.coder) model.log.set(number, actionWords(entry));
      if (action === "undo") taken.add(`${coder} ${target}`);
      if (action === "redo") taken.delete(`${coder} ${target}`);
    }
    const lines = entries.map((entry) => {
      const isTaken = taken.has(`${entry.coder} ${entry.number}`);
      return el("li", { class: isTaken && "taken" }, el("span", { class: "number" }, entry.number),
        el("span", {}, all && el("b", {}, entry.coder === model.coder ? "you " : `${entry.coder} `), actionWords(entry), isTaken && el("small", {}, " (taken back)")),
        el("time", { datetime: entry.decided_at, title: formatMoment(entry.decided_at) }, clockTime(entry.decided_at)));
    });
    const { name, version } = model.analysis.model;
    lines.unshift(el("li", {}, el("span", { class: "number" }, "–"),
      el("span", {}, `the machine (${name} ${version}) reported ${countWords(model.events.filter((event) => !isAdded(event))).replace("event", "candidate")}; its answer never changes`)));
    fill(list, lines.reverse());
  }

  everyone.addEventListener("change", load);
  model.on("saved", () => {
    clearTimeout(timer);
    timer = setTimeout(load, PAUSE_MS);
  });
  load();
}

/** Other coders: a line until one's own review is done, then a choice of whom to compare with. */
export function comparison(model) {
  const choice = byId("compare-with");
  let wasDone = null, asked = 0;

  function gate() {
    if (model.done === wasDone) return;
    wasDone = model.done;
    byId("history-all-label").hidden = !model.done;
    if (model.done) return void open();
    const others = model.recording.coders.filter((name) => name !== model.coder).length;
    const who = others ? `${plural(others, "other coder")} decided here too. ` : "";
    byId("compare").hidden = true;
    model.others = [];
    showLine(byId("blind"), `${who}Agreement with the machine${others ? " and with others" : ""} is shown when you are done with this recording, so that your own view comes first.`);
  }

  async function open() {
    try {
      model.recording = await api(`/recordings/${model.recording.id}`);
    } catch (error) {
      return showError(error);
    }
    const others = model.recording.coders.filter((name) => name !== model.coder);
    fill(choice, option("machine", "the machine"), others.map((name) => option(`coder ${name}`, name)));
    byId("blind").hidden = true;
    byId("compare").hidden = false;
    return compare();
  }

  async function compare() {
    const other = choice.value.replace(/^coder /, "");
    const turn = ++asked; // a slow answer must not replace a later choice's
    try {
      const [found, theirs] = await Promise.all([
        api(`/recordings/${model.recording.id}/agreement`, { query: { coder: model.coder, other } }),
        choice.value === "machine" ? null : fetchReview(model.recording.id, other, model.coder),
      ]);
      if (turn !== asked || !model.done) return;
      fill(byId("agreement"), agreementView(found, "you", other));
      model.othersName = other;
      model.showOthers(theirs ? theirs.review.events : []);
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      fill(byId("agreement"), el("p", { class: "problem" }, error.message));
    }
  }

  choice.addEventListener("change", compare);
  model.on("events", gate);
  gate();
}
