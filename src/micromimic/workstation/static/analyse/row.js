// One recording in the list.

import { all, apiUrl, coder, el, fill, formatDate, formatDuration, formatMoment, formatSize, ordinal, plural } from "../app.js";
import { personWords } from "../lib/persons.js";
import { finishedBy, sessionName } from "../lib/records.js";

/** Is its job still to end? */
export const active = (recording) => ["queued", "running"].includes(recording.job?.status);

// Names of the worker's stages, in the order in which they come.
const STAGES = {
  people: "looking who is in it", tracking: "following the face", evidence: "naming movements", writing: "writing the results",
  pictures: "making pictures for the review",
};

/** "about 40 s", "about 12 min": an estimate is no exact number. */
function about(seconds) {
  if (seconds < 60) return `about ${Math.max(5, 5 * Math.round(seconds / 5))} s`;
  return seconds < 3600 ? `about ${Math.round(seconds / 60)} min` : `about ${formatDuration(60 * Math.round(seconds / 60))}`;
}

/** A job's progress in words and as a share of 1: 0 while it waits, null while it is not known. */
function progressOf({ status, stage, done, total, place, seconds_left: left }) {
  const soon = left === null ? "" : `, ${about(left)}`;
  if (status === "queued") return { words: `${place === 1 ? "next in the queue" : `${ordinal(place)} in the queue`}${soon}`, share: 0 };
  const words = STAGES[stage] ?? (stage || "starting").replaceAll("_", " ");
  const share = total ? Math.min(1, done / total) : null;
  return { words: `${words}${share === null ? "" : `, ${Math.floor(100 * share)} %`}${soon}${soon && " left"}`, share };
}

/** The status in a few words, for a screen reader's announcement. */
export function statusWords({ job, events, longer }) {
  if (job?.status === "done") return plural(events ?? 0, "candidate") + (longer ? `, ${plural(longer, "longer expression")}` : "");
  if (job?.status === "failed") return `failed: ${job.error}`;
  return job?.status === "cancelled" ? "cancelled" : "in progress";
}

function kept(recording) {
  if (recording.media === "expired") return "video removed, results kept";
  if (recording.media === "none") return "no video";
  return recording.expires_at ? `video kept until ${formatDate(recording.expires_at)}` : "video kept until deleted";
}

/** How much of it could be judged, where anything is known of that. */
function observed({ observed_s: seconds, duration_s: whole }) {
  if (seconds === null || whole === null) return null;
  return `${formatDuration(seconds)} of ${formatDuration(whole)} could be judged`;
}

/** Every coder's progress: "kim 3 of 5", "lee done". */
function progress({ progress: coders }) {
  if (!coders.length) return el("small", {}, "not reviewed yet");
  return el("ul", { class: "coders" }, coders.map(({ coder: name, decided, candidates, done }) =>
    el("li", { class: ["badge", done && "good"] }, done ? `✓ ${name} done` : `${name} ${decided} of ${candidates}`)));
}

function state(recording) {
  const job = recording.job;
  if (active(recording)) {
    const { words, share } = progressOf(job);
    const bar = el("progress", { max: "1", value: share, "aria-label": `Analysis of ${recording.name}` });
    return [bar, el("small", { class: "number" }, words)];
  }
  if (job?.status === "failed") return [el("span", { class: "badge bad" }, "failed"), el("p", { class: "problem" }, job.error)];
  if (job?.status === "cancelled") return [el("span", { class: "badge" }, "cancelled")];
  const seen = observed(recording);
  return [el("span", { class: "found" }, el("b", { class: "number" }, statusWords(recording)), seen && el("small", {}, seen)), progress(recording)];
}

function doings(recording, act, blind) {
  const button = (name, label, kind = "") =>
    el("button", { class: ["small", kind], type: "button", dataset: { act: name }, "aria-label": `${label} ${recording.name}`, onclick: () => act[name](recording) }, label);
  const link = (label, href, kind, more = {}) =>
    el("a", { class: ["button small", kind], href, dataset: { act: label }, "aria-label": `${label} ${recording.name}`, ...more }, label);
  const status = recording.job?.status, kept = recording.media === "kept";
  const id = encodeURIComponent(recording.id);
  return [
    status === "done" && link("Review", `/review?recording=${id}`, finishedBy(recording, coder()) ? "" : "primary"),
    status === "done" && kept && (!blind || finishedBy(recording, coder())) &&
      link("Report", apiUrl(`/recordings/${id}/files/report.html`, { coder: coder() }), "", { target: "_blank", rel: "noopener" }),
    active(recording) && button("cancel", "Cancel"),
    ["failed", "cancelled"].includes(status) && kept && recording.job.stage !== "refused" && button("again", "Try again"),
    status === "done" && kept && recording.others > 0 && button("person", "Another person"),
    button("edit", "Edit"),
    button("delete", "Delete", "danger"),
  ];
}

const whose = (recording) =>
  recording.subject_code
    ? el("a", { href: `/subjects?subject=${encodeURIComponent(recording.subject_id)}` }, sessionName(recording)) : "no session";

/** A row that can be shown anew without losing the keyboard's place. `act`: cancel, again, edit, delete. */
export class Row {
  node = el("li", { class: "row" });
  shown = "";

  constructor(act) {
    this.act = act;
  }

  /** @param {any} recording @param {any} same the recording of the same file that came before, if any @param {boolean} blind is the study? */
  show(recording, same, blind) {
    const text = JSON.stringify([recording, same?.name, coder(), blind]);
    if (text === this.shown) return;
    this.shown = text;
    const { act: focused } = /** @type {HTMLElement} */ (this.node.querySelector(":focus"))?.dataset ?? {};
    const source = recording.origin === "live" ? "live" : formatSize(recording.size_bytes);
    this.node.dataset.recording = recording.id;
    this.node.dataset.status = recording.job?.status ?? "";
    fill(this.node,
      el("div", { class: "what" }, el("b", {}, recording.name),
        el("small", {}, whose(recording), ` · ${formatMoment(recording.uploaded_at)} · ${source}`),
        el("small", {}, kept(recording)),
        personWords(recording) && el("small", { class: "people" }, personWords(recording)),
        same && el("small", { class: "same" }, `the same file as ${same.name}${same.subject_code ? ` (${sessionName(same)})` : ""}`)),
      el("div", { class: "state" }, state(recording)),
      el("div", { class: "doings" }, doings(recording, this.act, blind)));
    if (focused) all(`[data-act="${focused}"]`, this.node)[0]?.focus();
  }
}
