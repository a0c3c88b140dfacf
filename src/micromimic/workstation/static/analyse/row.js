// One recording in the list.

import { API, all, el, fill, formatDate, formatMoment, formatSize, plural } from "../app.js";

/** Is its job still to end? */
export const active = (recording) => ["queued", "running"].includes(recording.job?.status);

// Names of the worker's stages, in the order in which they come.
const STAGES = {
  tracking: "following the face", evidence: "naming movements", writing: "writing the results",
  pictures: "making pictures for the review",
};

/** A job's progress in words and as a share of 1, or null while that is unknown. */
function progressOf({ status, stage, done, total }) {
  if (status === "queued") return { words: "waiting for its turn", share: null };
  const words = STAGES[stage] ?? (stage || "starting").replaceAll("_", " ");
  const share = total ? Math.min(1, done / total) : null;
  return { words: share === null ? words : `${words}, ${Math.floor(100 * share)} %`, share };
}

/** The status in a few words, for a screen reader's announcement. */
export function statusWords({ job, events }) {
  if (job?.status === "done") return plural(events ?? 0, "candidate");
  if (job?.status === "failed") return `failed: ${job.error}`;
  return job?.status === "cancelled" ? "cancelled" : "in progress";
}

function kept(recording) {
  if (recording.media === "expired") return "video removed, results kept";
  if (recording.media === "none") return "no video";
  return recording.expires_at ? `video kept until ${formatDate(recording.expires_at)}` : "video kept until deleted";
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
  const reviewed = recording.coders.length ? `reviewed by ${recording.coders.join(", ")}` : "not reviewed yet";
  return [el("b", { class: "number" }, statusWords(recording)), el("small", {}, reviewed)];
}

function doings(recording, act) {
  const button = (name, label, kind = "") =>
    el("button", { class: ["small", kind], type: "button", dataset: { act: name }, "aria-label": `${label} ${recording.name}`, onclick: () => act[name](recording) }, label);
  const link = (label, href, kind, more = {}) =>
    el("a", { class: ["button small", kind], href, dataset: { act: label }, "aria-label": `${label} ${recording.name}`, ...more }, label);
  const status = recording.job?.status, kept = recording.media === "kept";
  const id = encodeURIComponent(recording.id);
  return [
    status === "done" && link("Review", `/review?recording=${id}`, "primary"),
    status === "done" && kept && link("Report", `${API}/recordings/${id}/files/report.html`, "", { target: "_blank", rel: "noopener" }),
    active(recording) && button("cancel", "Cancel"),
    ["failed", "cancelled"].includes(status) && kept && button("again", "Try again"),
    button("delete", "Delete", "danger"),
  ];
}

const whose = (recording) =>
  recording.subject_code
    ? el("a", { href: `/subjects?subject=${encodeURIComponent(recording.subject_id)}` }, recording.subject_code) : "no subject";

/** A row that can be shown anew without losing the keyboard's place. `act`: cancel, again, delete. */
export class Row {
  node = el("li", { class: "row" });
  shown = "";

  constructor(act) {
    this.act = act;
  }

  show(recording) {
    const text = JSON.stringify(recording);
    if (text === this.shown) return;
    this.shown = text;
    const { act: focused } = /** @type {HTMLElement} */ (this.node.querySelector(":focus"))?.dataset ?? {};
    const source = recording.origin === "live" ? "live" : formatSize(recording.size_bytes);
    this.node.dataset.recording = recording.id;
    this.node.dataset.status = recording.job?.status ?? "";
    fill(this.node,
      el("div", { class: "what" }, el("b", {}, recording.name),
        el("small", {}, whose(recording), ` · ${formatMoment(recording.uploaded_at)} · ${source}`),
        el("small", {}, kept(recording))),
      el("div", { class: "state" }, state(recording)),
      el("div", { class: "doings" }, doings(recording, this.act)));
    if (focused) all(`[data-act="${focused}"]`, this.node)[0]?.focus();
  }
}
