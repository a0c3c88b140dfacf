// The page that takes videos in and lists what came of them.

import { api, byId, confirmThat, el, fill, formatDuration, formatSize, header, notice, plural, showError, showLine } from "./app.js";
import { Row, active, statusWords } from "./analyse/row.js";
import { Uploads } from "./analyse/uploads.js";
import { consentFields } from "./lib/consent.js";
import { fillSelect, loadSubjects } from "./lib/records.js";

const PAGE = 50;
const BUSY_MS = 700, IDLE_MS = 8000, OFFLINE_MS = 3000;

header("analyse");
const consent = consentFields();
const rows = new Map();
const status = new Map();
const state = { limits: null, staged: [], wanted: PAGE, timer: 0, run: 0 };
const uploads = new Uploads(byId("uploads"), () => refresh());

/* What is to be uploaded */

function fault(file) {
  if (file.size === 0) return "expected a video, got a file of 0 bytes; copy or record it again";
  const most = state.limits?.max_bytes;
  if (most && file.size > most) return `expected at most ${formatSize(most)}, got ${formatSize(file.size)}; cut it into parts`;
  return null;
}

function stage(files) {
  for (const file of files) {
    const same = (other) => other.name === file.name && other.size === file.size && other.lastModified === file.lastModified;
    if (!state.staged.some(same)) state.staged.push(file);
  }
  showStaged();
}

function showStaged() {
  const drop = (file) => {
    state.staged = state.staged.filter((other) => other !== file);
    showStaged();
    byId("choose").focus();
  };
  fill(byId("staged"), state.staged.map((file) => {
    const line = fault(file);
    return el("li", {}, el("span", { class: "name" }, file.name), el("small", {}, formatSize(file.size)),
      line && el("span", { class: "problem" }, line),
      el("button", { class: "quiet small", type: "button", "aria-label": `Remove ${file.name}`, onclick: () => drop(file) }, "Remove"));
  }));
  const good = state.staged.filter((file) => !fault(file));
  byId("start").disabled = !good.length;
  byId("start").textContent = good.length > 1 ? `Analyse ${good.length} recordings` : "Analyse";
}

function numberIn(id, { least, most, whole, what }) {
  const field = byId(id), text = field.value.trim().replace(",", ".");
  const value = Number(text);
  const bad = text !== "" && !(value >= least && value <= most && (!whole || Number.isInteger(value)));
  field.setAttribute("aria-invalid", String(bad));
  if (bad) { field.closest("details").open = true; field.focus(); }
  return { value: text === "" ? "" : value, line: bad ? `expected ${what} from ${least} to ${most}, got ${field.value}; correct it` : null };
}

function submit(event) {
  event.preventDefault();
  const fps = numberIn("fps", { least: 1, most: 10000, whole: false, what: "frames a second" });
  const days = numberIn("days", { least: 0, most: 36500, whole: true, what: "a whole number of days" });
  const line = consent.problem() ?? fps.line ?? days.line;
  showLine(byId("add-problem"), line);
  if (line) return;
  const query = { ...consent.values(), fps: fps.value, retention_days: days.value };
  const good = state.staged.filter((file) => !fault(file));
  state.staged = state.staged.filter((file) => fault(file));
  for (const file of good) uploads.add(file, query);
  showStaged();
  byId("list-title").scrollIntoView({ block: "nearest" });
}

function listenForFiles() {
  const drop = byId("drop");
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", (event) => { stage(event.target.files); event.target.value = ""; });
  byId("add").addEventListener("submit", submit);
  // A file that misses the zone must not replace the page.
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
  addEventListener("dragover", () => drop.classList.add("over"));
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => { drop.classList.remove("over"); stage(event.dataTransfer.files); });
}

/* What is there */

const act = {
  cancel: ({ id }) => attempt(() => api(`/recordings/${id}/cancel`, { method: "POST" })),
  again: ({ id }) => attempt(() => api(`/recordings/${id}/analyze`, { method: "POST" })),
  delete: ({ id, name, coders }) => attempt(async () => {
    const decided = coders.length ? `The decisions of ${coders.join(", ")} go with it.` : "Nobody has reviewed it.";
    const body = el("p", {}, `Its video, pictures and results are removed and cannot be brought back. ${decided}`);
    if (!(await confirmThat({ title: `Delete ${name}?`, body, action: "Delete" }))) return;
    await api(`/recordings/${id}`, { method: "DELETE" });
    notice(`${name} is deleted.`);
  }),
};

async function attempt(what) {
  try {
    await what();
  } catch (error) {
    showError(error);
  }
  await refresh();
}

function announce(recording) {
  const before = status.get(recording.id), now = recording.job?.status;
  status.set(recording.id, now);
  if (before && before !== now && !active(recording)) byId("say").textContent = `${recording.name}: ${statusWords(recording)}`;
}

function show(recordings, total) {
  const list = byId("recordings");
  const ids = new Set(recordings.map((r) => r.id));
  for (const [id, row] of rows) if (!ids.has(id)) { row.node.remove(); rows.delete(id); }
  recordings.forEach((recording, place) => {
    if (!rows.has(recording.id)) rows.set(recording.id, new Row(act));
    const row = rows.get(recording.id);
    row.show(recording);
    announce(recording);
    if (list.children[place] !== row.node) list.insertBefore(row.node, list.children[place] ?? null);
  });
  byId("count").textContent = total ? plural(total, "recording") : "";
  byId("empty").hidden = total > 0 || byId("filter").value !== "";
  byId("more").hidden = total <= recordings.length;
}

/** Loads the list and asks again later: soon while anything is running. Only the newest call shows. */
async function refresh() {
  clearTimeout(state.timer);
  const run = ++state.run;
  let wait = IDLE_MS;
  try {
    const query = { limit: state.wanted, offset: 0, subject_id: byId("filter").value };
    const { recordings, total } = await api("/recordings", { query });
    if (run !== state.run) return;
    show(recordings, total);
    showLine(byId("list-problem"), "");
    if (recordings.some(active)) wait = BUSY_MS;
  } catch (error) {
    if (run !== state.run) return;
    showLine(byId("list-problem"), error.status === 0 ? "The server does not answer; trying again." : error.message);
    wait = OFFLINE_MS;
  }
  state.timer = setTimeout(() => { if (!document.hidden) refresh(); }, wait);
}

async function prepare() {
  const { limits } = await api("/info");
  state.limits = limits;
  byId("limits").textContent = `MP4, MOV, AVI, MKV or WebM; up to ${formatSize(limits.max_bytes)} and ${formatDuration(limits.max_seconds)} each.`;
  byId("days").placeholder = limits.retention_days ? String(limits.retention_days) : "until deleted";
  await consent.refresh();
  const subjects = await loadSubjects();
  fillSelect(byId("filter"), el("option", { value: "" }, "all"), subjects.map((s) => el("option", { value: s.id }, s.code)));
  byId("by-subject").hidden = !subjects.length;
}

listenForFiles();
byId("filter").addEventListener("change", refresh);
byId("more").addEventListener("click", () => { state.wanted += PAGE; refresh(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
refresh();
prepare().catch(showError);
