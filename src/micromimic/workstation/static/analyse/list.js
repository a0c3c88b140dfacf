// All recordings: loaded whole, so that what is looked for and how it is sorted takes no time.

import { byId, coder, el, fill, plural, remember, rememberedJson, showLine } from "../app.js";
import { finishedBy, loadRecordings, sessionName } from "../lib/records.js";
import { Row, active, statusWords } from "./row.js";

const PAGE = 50;
const BUSY_MS = 700, IDLE_MS = 8000, OFFLINE_MS = 3000;
const SHARE = 10; // of the time goes by between two loads for each that a load takes
const FIELDS = ["find", "filter", "which", "sort"];

const WHICH = {
  all: () => true,
  mine: (r) => r.events !== null && !finishedBy(r, coder()),
  unfinished: (r) => r.events !== null && !r.progress.some((one) => one.done),
  running: active,
  failed: (r) => ["failed", "cancelled"].includes(r.job?.status),
  copies: (r) => r.same_as !== null,
};

const text = new Intl.Collator("en", { numeric: true }).compare;
const session = (r) => (r.subject_code ? `${r.subject_code} ${r.held_on} ${r.condition} ${r.session_title}` : "\uffff");
const finished = (r) => r.progress.filter((one) => one.done).length;
/** What runs, then what waits in its order, then the rest. */
const queuePlace = (r) => (r.job?.status === "running" ? 0 : r.job?.status === "queued" ? r.job.place : Infinity);

// Each keeps the order of the server, newest first, where it says nothing.
const SORT = {
  newest: (a, b) => (queuePlace(a) === queuePlace(b) ? 0 : queuePlace(a) - queuePlace(b)),
  session: (a, b) => text(session(a), session(b)) || text(a.name, b.name),
  name: (a, b) => text(a.name, b.name),
  candidates: (a, b) => (b.events ?? -1) - (a.events ?? -1),
  review: (a, b) => finished(a) - finished(b) || text(session(a), session(b)),
};

export class List {
  recordings = [];
  blind = true; // until the study's mode is known
  #byId = new Map();
  #byFile = new Map();
  #rows = new Map();
  #status = new Map();
  #wanted = PAGE;
  #timer = 0;
  #run = 0;
  #subject = ""; // chosen, though its recordings may not have come yet

  /** `act`: what a row's buttons do. */
  constructor(act) {
    this.act = act;
    const kept = rememberedJson("list", "sessionStorage") ?? {};
    for (const id of FIELDS) {
      if (kept[id] && id !== "filter") byId(id).value = kept[id];
      byId(id).addEventListener("input", () => {
        this.#wanted = PAGE;
        this.#subject = byId("filter").value;
        remember("list", JSON.stringify(Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]))), "sessionStorage");
        this.show();
      });
    }
    this.#subject = kept.filter ?? "";
    byId("more").addEventListener("click", () => { this.#wanted += PAGE; this.show(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
    document.addEventListener("coder", () => this.show());
  }

  /** The recording that a file of this name and size is likely to be. */
  known = (file) => this.#byFile.get(`${file.size} ${file.name}`);

  get = (id) => this.#byId.get(id);

  /** Loads the list and asks again later: soon while anything is running. Only the newest call shows. */
  async refresh() {
    clearTimeout(this.#timer);
    const run = ++this.#run, began = performance.now();
    let wait = IDLE_MS;
    try {
      // At first the newest are shown while the others come.
      const recordings = await loadRecordings({}, (some) => { if (run === this.#run && some.length > this.recordings.length) this.#take(some); });
      if (run !== this.#run) return;
      this.#take(recordings);
      showLine(byId("list-problem"), "");
      if (recordings.some(active)) wait = BUSY_MS;
      wait = Math.max(wait, SHARE * (performance.now() - began));
    } catch (error) {
      if (run !== this.#run) return;
      showLine(byId("list-problem"), error.status === 0 ? "The server does not answer; trying again." : error.message);
      wait = OFFLINE_MS;
    }
    this.#timer = setTimeout(() => { if (!document.hidden) this.refresh(); }, wait);
  }

  #take(recordings) {
    this.recordings = recordings;
    this.#byId = new Map(recordings.map((r) => [r.id, r]));
    this.#byFile = new Map(recordings.map((r) => [`${r.size_bytes} ${r.name}`, r]));
    for (const recording of recordings) this.#announce(recording);
    this.#offerSubjects();
    this.show();
  }

  #announce(recording) {
    const before = this.#status.get(recording.id), now = recording.job?.status;
    this.#status.set(recording.id, now);
    if (before && before !== now && !active(recording)) byId("say").textContent = `${recording.name}: ${statusWords(recording)}`;
  }

  #offerSubjects() {
    const codes = [...new Set(this.recordings.map((r) => r.subject_code))].filter(Boolean).sort(text);
    const offered = [...byId("filter").options].slice(1).map((option) => option.value);
    if (codes.join("\n") === offered.join("\n")) return;
    fill(byId("filter"), el("option", { value: "" }, "every subject"), codes.map((code) => el("option", { value: code, selected: code === this.#subject }, code)));
  }

  show() {
    const subject = byId("filter").value, words = byId("find").value.trim().toLowerCase();
    const named = (r) => `${r.name} ${r.subject_code ? `${sessionName(r)} ${r.session_title}` : ""}`.toLowerCase();
    const found = this.recordings
      .filter((r) => (!subject || r.subject_code === subject) && WHICH[byId("which").value](r) && (!words || named(r).includes(words)))
      .sort(SORT[byId("sort").value]);
    const total = this.recordings.length, shown = found.slice(0, this.#wanted), list = byId("recordings");
    const ids = new Set(shown.map((r) => r.id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) { row.node.remove(); this.#rows.delete(id); }
    shown.forEach((recording, place) => {
      if (!this.#rows.has(recording.id)) this.#rows.set(recording.id, new Row(this.act));
      const row = this.#rows.get(recording.id);
      row.show(recording, this.#byId.get(recording.same_as), this.blind);
      if (list.children[place] !== row.node) list.insertBefore(row.node, list.children[place] ?? null);
    });
    byId("count").textContent = found.length < total ? `${found.length.toLocaleString("en-GB")} of ${plural(total, "recording")}` : total ? plural(total, "recording") : "";
    byId("empty").hidden = total > 0;
    byId("controls").hidden = total === 0;
    showLine(byId("none"), total && !found.length ? "No recording fits." : "");
    byId("more").hidden = found.length <= shown.length;
    byId("more").textContent = `Show ${Math.min(PAGE, found.length - shown.length)} more`;
  }
}
