// What is to be uploaded: videos, where each belongs, and what has to be added for it.

import { api, byId, el, fill, formatSize, plural, showLine } from "../app.js";
import { sessionName } from "../lib/records.js";
import { chosen, dropped, isWorkbook, sorted } from "./files.js";
import { HEAD, looksLikeTable, tableOfFolders } from "./table.js";

const PAUSE_MS = 250; // of typing, after which a table is checked

/** What the table says, as the server reads it: where each video goes, what is to be made, what moves. */
class Plan {
  /** @param {any[]} rows of an answer of /assignments @param {Map<string, any>} sessions @param {import("./list.js").List} list */
  constructor(rows = [], sessions = new Map(), list = null) {
    const named = (row) => ({ subject_code: row.subject, title: row.session, condition: row.condition, held_on: row.date });
    this.of = new Map(rows.filter((row) => row.state === "coming").map((row) => [row.name, { id: row.session_id, name: sessionName(sessions.get(row.session_id) ?? named(row)) }]));
    this.moved = rows.filter((row) => row.state === "there" && list.get(row.recording_id)?.session_id !== row.session_id).length;
    const fresh = rows.filter((row) => row.session_id === null);
    this.made = new Set(fresh.map((row) => JSON.stringify([row.subject, row.session || row.condition]))).size;
    this.subjects = [...new Set(fresh.filter((row) => !row.subject_known).map((row) => row.subject))];
  }
}

export class Staging {
  /** @type {import("./files.js").Found[]} */
  videos = [];
  others = 0;
  plan = new Plan();
  /** What is wrong with the table, or null; while it is checked, that. */
  fault = null;
  #timer = 0;
  #run = 0;

  constructor(consent, list) {
    this.consent = consent;
    this.list = list;
    this.limits = null;
    for (const id of ["files", "folder"]) {
      byId(`choose-${id}`).addEventListener("click", () => byId(id).click());
      byId(id).addEventListener("change", ({ target }) => { this.take(chosen(target)); target.value = ""; });
    }
    byId("choose-table").addEventListener("click", () => {
      this.#write(byId("table").value || `${HEAD}\n`);
      byId("table").focus();
    });
    byId("table").addEventListener("input", () => this.#check(PAUSE_MS));
    byId("session").addEventListener("change", () => this.show());
    byId("from-folders").addEventListener("click", () => this.#write(tableOfFolders(this.videos)));
    byId("leave-out").addEventListener("click", () => {
      this.#leave(({ file }) => !this.list.known(file));
      byId("start").focus();
    });
    byId("clear").addEventListener("click", () => this.clear());
    this.#listenForDrops();
  }

  #listenForDrops() {
    const zone = byId("drop"), over = (on) => zone.classList.toggle("over", on);
    // A file that misses the zone must not replace the page.
    for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
    addEventListener("dragover", () => over(true));
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(false); });
    addEventListener("drop", async (event) => {
      over(false);
      try {
        await this.take(await dropped(event.dataTransfer));
      } catch (error) {
        showLine(byId("add-problem"), `expected files that can be read, got: ${error.message}; drop them again`);
      }
    });
  }

  /** Takes videos, and a table for them. */
  async take(found) {
    const { videos, tables, others } = sorted(found);
    for (const one of videos) {
      const same = ({ file, path }) => path === one.path && file.size === one.file.size && file.lastModified === one.file.lastModified;
      if (!this.videos.some(same)) this.videos.push(one);
    }
    this.others += others;
    showLine(byId("add-problem"), null);
    for (const { file, path } of tables) {
      if (isWorkbook(path)) {
        if (path.includes("/")) this.others += 1;
        else showLine(byId("add-problem"), `expected a table as text, got ${path}; save it as CSV, or copy its cells and paste them`);
        continue;
      }
      const text = await file.text();
      // In a folder other tables may lie; one that was chosen by itself is meant.
      if (looksLikeTable(text) || !path.includes("/")) this.#write(text);
      else this.others += 1;
    }
    this.#check();
  }

  #write(text) {
    byId("table-box").open = true;
    byId("table").value = text;
    this.#check();
  }

  #leave(kept) {
    this.videos = this.videos.filter(kept);
    this.#check();
  }

  clear() {
    this.videos = [];
    this.others = 0;
    byId("table").value = "";
    byId("table-box").open = false;
    this.consent.reset();
    this.#check();
  }

  /** Asks the server what the table does with these videos. Nothing starts before it has said so. */
  #check(pause = 0) {
    clearTimeout(this.#timer);
    const run = ++this.#run;
    this.fault = this.tabled ? "expected a table that is checked, got one that is not yet; wait a moment" : null;
    this.plan = new Plan();
    this.show();
    if (!this.tabled) return;
    this.#timer = setTimeout(async () => {
      let plan = new Plan(), fault = null;
      try {
        plan = await this.#ask();
      } catch (error) {
        fault = error.message;
      }
      if (run !== this.#run) return;
      Object.assign(this, { plan, fault });
      this.show();
      showLine(byId("table-problem"), fault);
    }, pause);
  }

  /** @param {{apply?: boolean, consent?: any}} [more] */
  async #ask(more = {}) {
    const coming = this.good.map(({ path }) => path);
    const { rows } = await api("/assignments", { method: "POST", json: { table: byId("table").value, coming, new_subjects: true, ...more } });
    return new Plan(rows, new Map(this.consent.sessions.map((session) => [session.id, session])), this.list);
  }

  #tooLarge(file) {
    if (file.size === 0) return "expected a video, got a file of 0 bytes; copy or record it again";
    const most = this.limits?.max_bytes;
    if (most && file.size > most) return `expected at most ${formatSize(most)}, got ${formatSize(file.size)}; cut it into parts`;
    return null;
  }

  get good() {
    return this.videos.filter(({ file }) => !this.#tooLarge(file));
  }

  get tabled() {
    return byId("table").value.trim().split(/\r|\n/).length > 1;
  }

  /** Videos that no table names go to the session chosen in the form. */
  get rest() {
    return this.good.filter(({ path }) => !this.plan.of.has(path));
  }

  /** Is a consent beside that of sessions needed? */
  needsConsent() {
    return this.plan.made > 0 || (this.rest.length > 0 && !byId("session").value);
  }

  /** Reads the sessions anew. */
  async refresh() {
    await this.consent.refresh();
    this.#check();
  }

  show() {
    const { plan, good, rest } = this;
    byId("details").hidden = !this.videos.length && !byId("table-box").open && !this.others;
    byId("choice").hidden = good.length > 0 && !rest.length;
    byId("session-label").textContent = plan.of.size && rest.length ? `Subject and session of ${plural(rest.length, "video")} that the table does not name` : "Subject and session";
    byId("agreed-words").textContent = good.length > 1
      ? "Everybody filmed has agreed to these recordings and their analysis." : "The person filmed has agreed to this recording and its analysis.";
    this.consent.show();
    this.#list();
    const known = good.filter(({ file }) => this.list.known(file)).length;
    byId("leave-out").hidden = !known;
    byId("leave-out").textContent = `Leave out ${known} already here`;
    showLine(byId("others"), this.others ? `${plural(this.others, "other file")} in the folders left out: no videos by their names.` : "");
    byId("from-folders").hidden = this.tabled || !this.videos.some(({ path }) => path.includes("/"));
    this.#table();
    byId("start").disabled = !good.length && !plan.moved;
    byId("start").textContent = this.#action();
  }

  #list() {
    const remove = (one) => {
      this.#leave((other) => other !== one);
      byId("choose-files").focus();
    };
    const session = byId("session"), [option] = session.selectedOptions;
    fill(byId("staged"), this.videos.map((one) => {
      const line = this.#tooLarge(one.file), known = !line && this.list.known(one.file), own = this.plan.of.get(one.path);
      const where = own?.name ?? (session.value ? option.textContent : "no session");
      return el("li", {}, el("span", { class: "name" }, one.path), el("small", {}, formatSize(one.file.size)),
        line ? el("span", { class: "problem" }, line) : el("span", { class: "goes" }, `→ ${where}`, own && own.id === null && " (new)"),
        known && el("span", { class: "badge warn" }, `a recording of this name and size is here${known.subject_code ? `: ${sessionName(known)}` : ""}`),
        el("button", { class: "quiet small", type: "button", "aria-label": `Remove ${one.path}`, onclick: () => remove(one) }, "Remove"));
    }));
  }

  #table() {
    const { of, moved, made, subjects } = this.plan;
    const parts = [
      of.size && `${plural(of.size, "video")} assigned`, moved && `${plural(moved, "recording")} to be moved`,
      subjects.length && `new here: ${subjects.join(", ")}`, made && plural(made, "new session"),
    ].filter(Boolean);
    showLine(byId("table-says"), this.tabled && !this.fault ? `${parts.join("; ") || "Everything is as the table says"}.` : "");
    showLine(byId("table-problem"), null);
  }

  /** What the button does: "Add 2 subjects and 2 sessions, move 1 recording, analyse 3 recordings". */
  #action() {
    const { made, moved, subjects } = this.plan, count = this.good.length;
    const added = [subjects.length && plural(subjects.length, "subject"), made && plural(made, "session")].filter(Boolean).join(" and ");
    const parts = [added && `add ${added}`, moved && `move ${plural(moved, "recording")}`, count > 1 ? `analyse ${plural(count, "recording")}` : (count || !moved) && "analyse"];
    const words = parts.filter(Boolean).join(", ");
    return words[0].toUpperCase() + words.slice(1);
  }

  /** What keeps the uploads from starting, a line or null. */
  problem() {
    if (this.fault) byId("table").focus();
    return this.fault ?? this.consent.problem();
  }

  /** Does what the table says, then gives each video with the parameters of its upload. */
  async begin() {
    const { good } = this, others = this.consent.values();
    const consent = this.plan.made ? { given: true, ...this.consent.noted() } : null;
    const { of } = this.tabled ? await this.#ask({ apply: true, consent }) : this.plan;
    const kept = this.videos.filter((one) => !good.includes(one));
    this.clear();
    this.videos = kept;
    this.show();
    return good.map(({ file, path }) => ({ file, query: of.has(path) ? { session_id: of.get(path).id } : others }));
  }
}
