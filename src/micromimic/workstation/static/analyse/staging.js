// What is to be uploaded: videos, where each belongs, and what has to be added for it.

import { api, byId, el, fill, formatSize, plural, showLine } from "../app.js";
import { loadSubjects, sessionName } from "../lib/records.js";
import { subjectOf } from "../lib/people.js";
import { chosen, dropped, sorted } from "./files.js";
import { HEAD, assign, looksLikeTable, tableOfFolders } from "./table.js";

export class Staging {
  /** @type {import("./files.js").Found[]} */
  videos = [];
  codes = [];
  others = 0;
  plan = { problems: [], of: new Map(), made: [], subjects: [] };

  /** `known(file)`: the recording of that name and size that is here already, or undefined. */
  constructor(consent, known) {
    this.consent = consent;
    this.known = known;
    this.limits = null;
    for (const id of ["files", "folder"]) {
      byId(`choose-${id}`).addEventListener("click", () => byId(id).click());
      byId(id).addEventListener("change", ({ target }) => { this.take(chosen(target)); target.value = ""; });
    }
    byId("choose-table").addEventListener("click", () => this.#openTable());
    byId("table").addEventListener("input", () => this.show());
    byId("session").addEventListener("change", () => this.show());
    byId("from-folders").addEventListener("click", () => this.#write(tableOfFolders(this.videos)));
    byId("leave-out").addEventListener("click", () => this.#leaveOutKnown());
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
    for (const { file, path } of tables) {
      const text = await file.text();
      // In a folder other tables may lie; one that was chosen by itself is meant.
      if (looksLikeTable(text) || !path.includes("/")) this.#write(text);
      else this.others += 1;
    }
    this.show();
  }

  #openTable() {
    byId("table-box").open = true;
    byId("table").value ||= `${HEAD}\n`;
    this.show();
    byId("table").focus();
  }

  #write(text) {
    byId("table-box").open = true;
    byId("table").value = text;
    this.show();
  }

  #leaveOutKnown() {
    this.videos = this.videos.filter(({ file }) => !this.known(file));
    this.show();
    byId("start").focus();
  }

  clear() {
    this.videos = [];
    this.others = 0;
    byId("table").value = "";
    byId("table-box").open = false;
    this.consent.reset();
    this.show();
  }

  #fault(file) {
    if (file.size === 0) return "expected a video, got a file of 0 bytes; copy or record it again";
    const most = this.limits?.max_bytes;
    if (most && file.size > most) return `expected at most ${formatSize(most)}, got ${formatSize(file.size)}; cut it into parts`;
    return null;
  }

  get good() {
    return this.videos.filter(({ file }) => !this.#fault(file));
  }

  get tabled() {
    return byId("table").value.trim().split(/\r|\n/).length > 1;
  }

  /** Videos that no table names go to the session chosen in the form. */
  get rest() {
    return this.good.filter((one) => !this.plan.of.has(one));
  }

  /** Is a consent beside that of sessions needed? */
  needsConsent() {
    return this.plan.made.length > 0 || (this.rest.length > 0 && !byId("session").value);
  }

  /** Reads the subjects and sessions anew, which a table names. */
  async refresh() {
    this.codes = (await loadSubjects()).map(({ code }) => code);
    await this.consent.refresh();
    this.show();
  }

  show() {
    const nothing = { problems: [], of: new Map(), made: [], subjects: [] };
    this.plan = this.tabled ? assign(byId("table").value, this.good, this.consent.sessions, this.codes) : nothing;
    const { plan, good, rest } = this;
    byId("details").hidden = !this.videos.length && !byId("table-box").open && !this.others;
    byId("choice").hidden = good.length > 0 && !rest.length;
    byId("session-label").textContent = plan.of.size && rest.length ? `Subject and session of ${plural(rest.length, "video")} that the table does not name` : "Subject and session";
    byId("agreed-words").textContent = good.length > 1
      ? "Everybody filmed has agreed to these recordings and their analysis." : "The person filmed has agreed to this recording and its analysis.";
    this.consent.show();
    this.#list();
    const known = good.filter(({ file }) => this.known(file)).length;
    byId("leave-out").hidden = !known;
    byId("leave-out").textContent = `Leave out ${known} already here`;
    showLine(byId("others"), this.others ? `${plural(this.others, "other file")} in the folders left out: no videos by their names.` : "");
    byId("from-folders").hidden = this.tabled || !this.videos.some(({ path }) => path.includes("/"));
    this.#table();
    byId("start").disabled = !good.length;
    byId("start").textContent = this.#action();
  }

  #list() {
    const remove = (one) => {
      this.videos = this.videos.filter((other) => other !== one);
      this.show();
      byId("choose-files").focus();
    };
    const session = byId("session"), [option] = session.selectedOptions;
    fill(byId("staged"), this.videos.map((one) => {
      const line = this.#fault(one.file), known = !line && this.known(one.file), own = this.plan.of.get(one);
      const where = own ? sessionName(own) : session.value ? option.textContent : "no session";
      return el("li", {}, el("span", { class: "name" }, one.path), el("small", {}, formatSize(one.file.size)),
        line ? el("span", { class: "problem" }, line) : el("span", { class: "goes" }, `→ ${where}`, own && own.id === null && " (new)"),
        known && el("span", { class: "badge warn" }, `a recording of this name and size is here${known.subject_code ? `: ${sessionName(known)}` : ""}`),
        el("button", { class: "quiet small", type: "button", "aria-label": `Remove ${one.path}`, onclick: () => remove(one) }, "Remove"));
    }));
  }

  #table() {
    const { problems, of, made, subjects } = this.plan;
    const fresh = [subjects.length && `${plural(subjects.length, "new subject")} (${subjects.join(", ")})`, made.length && plural(made.length, "new session")].filter(Boolean);
    showLine(byId("table-says"), this.tabled && !problems.length ? `${plural(of.size, "video")} assigned${fresh.length ? `; to be added: ${fresh.join(" and ")}` : ""}.` : "");
    fill(byId("table-problems"), problems.slice(0, 8).map((line) => el("li", {}, line)), problems.length > 8 && el("li", {}, `and ${problems.length - 8} more`));
  }

  #action() {
    const { made, subjects } = this.plan, count = this.good.length;
    const added = [subjects.length && plural(subjects.length, "subject"), made.length && plural(made.length, "session")].filter(Boolean).join(" and ");
    const words = count > 1 ? `nalyse ${plural(count, "recording")}` : "nalyse";
    return added ? `Add ${added}, a${words}` : `A${words}`;
  }

  /** What keeps the uploads from starting, a line or null. */
  problem() {
    const [first, ...more] = this.plan.problems;
    if (first) byId("table").focus();
    return first ? `${first}${more.length ? ` (and ${more.length} more)` : ""}` : this.consent.problem();
  }

  /** Adds the subjects and sessions that the table needs, then gives each video with the parameters of its upload. */
  async begin() {
    const { good, plan } = this, others = this.consent.values(), consent = { given: true, ...this.consent.noted() };
    for (const session of plan.made) {
      const { subject_code: code, title, condition, held_on } = session;
      const subject = await subjectOf(code);
      session.id = (await api("/sessions", { method: "POST", json: { subject_id: subject.id, title, condition, held_on, consent } })).id;
    }
    const uploads = good.map((one) => ({ file: one.file, query: plan.of.has(one) ? { session_id: plan.of.get(one).id } : others }));
    this.videos = this.videos.filter((one) => !good.includes(one));
    const kept = this.videos;
    this.clear();
    this.videos = kept;
    this.show();
    return uploads;
  }
}
