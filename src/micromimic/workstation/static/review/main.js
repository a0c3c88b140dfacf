// The review page: fetches one recording, builds the desk, connects its parts.

import { api, apiUrl, askCoder, byId, coder, el, fill, formatDate, formatDuration, formatTime, header, showError, showLine } from "/static/app.js";
import { personWords } from "/static/lib/persons.js";
import { nextRecording, sessionName } from "/static/lib/records.js";
import { fetchReview, fetchRows } from "./data.js";
import { Desk } from "./desk.js";
import { Model } from "./model.js";
import { NumbersPlayer, VideoPlayer } from "./player.js";
import { markerWords } from "./rows.js";
import { fetchWaveform } from "./sound.js";

const POLL_MS = 2000;
const MOST_MARKERS = 400; // listed as buttons
const ALL = el("p", {}, el("a", { href: "/" }, "All recordings"));
const RECORDING = new URLSearchParams(location.search).get("recording") ?? "";

function problem(line, ...more) {
  byId("loading").hidden = true;
  byId("desk").hidden = true;
  fill(byId("problem"), el("p", {}, line), ...more);
  byId("problem").hidden = false;
}

async function start() {
  header("review");
  if (RECORDING && !/^[0-9a-f]{32}$/.test(RECORDING)) {
    return problem(`expected a recording, got ${RECORDING.slice(0, 40)}; choose one on the page Analyse`, ALL);
  }
  if (!(coder() || (await askCoder()))) {
    const again = el("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Give a name");
    return problem("Decisions are kept under the name of who made them. Give yours, or a pseudonym, to begin.", el("p", {}, again));
  }
  document.addEventListener("coder", () => location.reload()); // another person's review begins at its own
  if (!RECORDING) return openNext();
  const answer = await fetchReview(RECORDING, coder());
  if (!answer.analysis) return waitFor(answer.recording);
  const [rows, waveform] = await Promise.all([fetchRows(RECORDING, answer.shown.frames_bin), fetchWaveform(answer)]);
  return open(answer, rows, waveform);
}

/** What this coder has not finished. */
async function openNext() {
  const next = await nextRecording(coder());
  if (next) return location.replace(`?recording=${next.id}`);
  return problem("Nothing waits for you: no recording is analysed that you have not finished.", ALL);
}

function waitFor({ name, job }) {
  if (job?.status === "failed" || job?.status === "cancelled") {
    return problem(`The analysis of ${name} ${job.status === "failed" ? "failed" : "was cancelled"}. ${job.error}`, ALL);
  }
  const share = job?.total ? ` ${Math.round((100 * job.done) / job.total)} %` : "";
  problem(`${name} is not analysed yet${job?.stage ? `: ${job.stage}${share}` : ""}. This page opens by itself when it is.`, ALL);
  return setTimeout(async () => {
    try {
      const recording = await api(`/recordings/${RECORDING}`);
      if (recording.job?.status === "done") location.reload();
      else waitFor(recording);
    } catch (error) {
      problem(error.message, ALL);
    }
  }, POLL_MS);
}

function open(answer, rows, waveform) {
  const model = new Model(answer, rows, coder());
  const { recording, clock } = model;
  const kept = recording.media === "kept";
  const player = kept ? new VideoPlayer(byId("video"), clock, apiUrl(`/recordings/${recording.id}/video`)) : new NumbersPlayer(clock);
  describe(model);
  listMarkers(model, player);
  byId("loading").hidden = true;
  byId("desk").hidden = false;
  byId("video").hidden = !kept;
  const why = recording.media === "expired" ? "The video was removed when its retention ended." : "There is no video of this recording.";
  showLine(byId("no-video"), kept ? "" : `${why} Numbers, events and decisions stay; the face is drawn from its landmarks.`);
  new Desk(model, player, waveform).begin();
}

/** Markers by time, to be gone to without a mouse. */
function listMarkers({ markers, clock }, player) {
  byId("markers").hidden = !markers.length;
  fill(byId("markers-list"), markers.slice(0, MOST_MARKERS).map((marker) =>
    el("li", {}, el("button", { type: "button", onclick: () => player.seek(clock.nearest(marker.onset_s)) },
      el("time", {}, formatTime(marker.onset_s)), markerWords(marker)))),
  markers.length > MOST_MARKERS && el("li", { class: "hint" }, `${markers.length - MOST_MARKERS} more: on the timeline, and by [ and ]`));
}

function describe({ recording, shown, analysis, scheme, blind, coder: who }) {
  document.title = `${recording.name} - Review - micromimic`;
  byId("name").textContent = recording.name;
  const facts = [
    formatDuration(shown.duration_s),
    `${Math.round(shown.fps * 100) / 100} frames/s`, `${shown.width} × ${shown.height}`, `${shown.frames.toLocaleString("en-GB")} frames`,
    `${analysis.model.name} ${analysis.model.version}`,
    scheme.name && `coding scheme: ${scheme.name}`, blind && "coded blind to the machine",
    recording.media === "kept" && recording.expires_at && `video kept until ${formatDate(recording.expires_at)}`,
  ].filter(Boolean);
  fill(byId("of"), [recording.subject_code && sessionName(recording), formatDuration(shown.duration_s), personWords(recording)].filter(Boolean).join(" · "));
  fill(byId("facts"), facts.map((fact) => el("li", {}, fact)));
  if (analysis.warnings.length) {
    byId("limits").hidden = false;
    fill(byId("limits-list"), analysis.warnings.map(({ message }) => el("li", {}, message)));
  }
  const at = (path, query) => apiUrl(`/recordings/${recording.id}/${path}`, query);
  const links = (name) => el("p", {}, [["json", "JSON"], ["csv", "CSV"], ["eaf", "ELAN"]].map(([format, words]) =>
    el("a", { href: at(`export/${format}`, { coder: name, reader: who }), download: true }, words)));
  const page = (path, words) => el("p", {}, el("a", { href: at(path, { coder: who }), target: "_blank", rel: "noopener" }, words));
  fill(byId("export-links"), el("h4", {}, "Your review"), links(who), page("decisions.html", "Decisions, to read and print"),
    el("h4", {}, "The machine’s answer"), links(""), recording.media === "kept" && page("files/report.html", "Report"));
}

start().catch((error) => {
  if (error?.name === "ApiError") problem(error.message, ALL);
  else showError(error);
});
