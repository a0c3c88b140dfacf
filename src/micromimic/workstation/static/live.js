// The live page: buttons, states and numbers around a LiveSession.

import { byId, el, fill, formatDuration, header, inNextFrame, ordinal, plural, sentence, sharp, showError, showLine } from "./app.js";
import { drawCells, ontoCanvas } from "/static/viewer/face.js";
import { consentFields } from "./lib/consent.js";
import { LiveCurve } from "./live/curve.js";
import { Events } from "./live/events.js";
import { Markers } from "./live/markers.js";
import { LiveSession } from "./live/session.js";

const STATES = {
  waiting: "waiting for frames", no_face: "no face in the picture", learning: "learning rest",
  watching: "watching", lost_source: "camera lost",
};

header("live");
const consent = consentFields();
const events = new Events();
const curve = new LiveCurve(byId("curve"), events.all, () => markers.all);
const markers = new Markers(() => curve.chart.redraw());
const now = { session: null, face: null, point: null, size: null };
const redraw = inNextFrame(drawFace);

function setState(words, kind = "") {
  byId("state").textContent = words;
  byId("state").className = `badge ${kind}`;
}

function setRunning(running) {
  byId("start").hidden = running;
  byId("stop").hidden = !running;
  byId("stop").disabled = false;
  for (const field of byId("keep").elements) field.disabled = running;
  byId("stage").classList.toggle("on", running);
  document.documentElement.dataset.live = running ? "on" : "off";
}

const rate = (value) => value.toFixed(value < 100 ? 1 : 0);

function resolves(seconds) {
  if (seconds === null) return ["too slow", "frames come too slowly for any micro-expression"];
  return [`from ${seconds.toFixed(2)} s`, seconds > 0.041 ? "shorter movements are missed" : "all that are called micro-expressions"];
}

/** Before the first status. */
const IDLE = { fps: 0, source_fps: 0, received: 0, dropped: 0, thinning: 1, shortest_s: null, latency_ms: {} };

/** Label, value, what it means, whether it needs attention. */
function numbers(status) {
  const [shortest, meaning] = resolves(status.shortest_s);
  const unsent = now.session?.unsent ?? 0;
  const lost = status.dropped + unsent;
  const thin = status.thinning > 1 ? `every ${ordinal(status.thinning)} frame is taken` : `of ${(status.received + unsent).toLocaleString("en-GB")}`;
  const latency = status.latency_ms.median ?? 0, slow = status.latency_ms.p95 ?? 0;
  return [
    ["Frame rate", `${rate(status.fps)} / s`, `camera gives ${rate(status.source_fps)} / s`, false],
    ["Resolves", shortest, meaning, status.shortest_s === null || status.shortest_s > 0.1],
    ["Dropped", lost.toLocaleString("en-GB"), thin, lost > 0],
    ["Latency", `${latency.toFixed(0)} ms`, `95 % within ${slow.toFixed(0)} ms`, slow > 250],
  ];
}

function showNumbers(status) {
  fill(byId("numbers"), numbers(status ?? IDLE).map(([label, value, more, bad]) => el("div", { class: status && bad && "attention" },
    el("dt", {}, label), el("dd", {}, el("b", { class: "number" }, status ? value : "–"), el("small", {}, status ? more : "\u00a0")))));
}

function take(message) {
  redraw();
  if (message.type === "curve") { now.point = message; curve.add(message); }
  else if (message.type === "face") now.face = message;
  else if (message.type === "event") events.add(message);
  else if (message.type === "confirmed" || message.type === "withdrawn") events.settle(message);
  else if (message.type === "error") trouble(message.message);
  else if (message.type === "start") byId("policy").textContent = sentence(message.policy);
  else if (message.type === "status") {
    setState(STATES[message.state] ?? message.state, message.state === "watching" ? "good" : "accent");
    showNumbers(message);
    showLine(byId("detail"), sentence(message.detail));
  }
}

/** The cells over the picture, those that move just now lit. */
function drawFace() {
  const { context, width } = sharp(byId("overlay"));
  const { session, face, point, size } = now;
  if (!session || !byId("cells").checked || !face || !size || !point?.found || point.segment !== face.segment || !point.transform) return;
  const strongest = Math.max(1e-9, ...(point.cells ?? []).map(Math.abs));
  const lit = (k) => point.cells && point.score > 4 && Math.abs(point.cells[k]) > 0.6 * strongest;
  drawCells(context, face.cells, ontoCanvas(point.transform.flat(), width / size[0]), lit);
}

function trouble(line) {
  byId("trouble").hidden = !line;
  showLine(byId("trouble-words"), sentence(line));
}

function keeping() {
  const keep = new FormData(byId("keep")).get("keep");
  if (keep !== "video") return { line: null, keep: { keep: "nothing" } };
  return { line: consent.problem(), keep: { keep, ...consent.values() } };
}

async function start() {
  if (now.session) return;
  const { line, keep } = keeping();
  showLine(byId("keep-problem"), line);
  if (line) return;
  trouble("");
  byId("kept").hidden = byId("summary").hidden = true;
  Object.assign(now, { face: null, point: null, size: null });
  curve.clear();
  events.clear();
  showNumbers(null);
  setState("asking for the camera", "accent");
  const sized = (width, height) => {
    now.size = [width, height];
    byId("stage").style.setProperty("--ratio", String(width / height));
    setState("waiting for a face", "accent");
  };
  now.session = new LiveSession(byId("video"), keep, { message: take, size: sized });
  setRunning(true);
  markers.follow(now.session);
  byId("stop").focus();
  try {
    const { kept } = await now.session.run();
    setState("stopped");
    if (kept) showKept(kept);
  } catch (error) {
    setState("stopped", "bad");
    trouble(error.message);
  }
  now.session = null;
  markers.follow(null);
  showLine(byId("detail"), "");
  redraw();
  setRunning(false);
  showSummary();
}

/** What stays to be read when it has ended: all of the curve, the numbers, and what came of it in a line. */
function showSummary() {
  const { seconds, lost } = curve.sums;
  if (!seconds) return;
  curve.end();
  byId("stage").classList.add("over"); // what came of it stands where the picture was
  showLine(byId("summary"), `${formatDuration(seconds)} watched, the face in view for ${(100 * (1 - lost)).toFixed(0)} % of it: ${events.words}, ${plural(markers.all.length, "marker")}. The numbers are those of its last seconds; the curve shows all of it.`);
}

function showKept({ recording_id: id, left_out: missing = 0, markers: marked = 0 }) {
  byId("kept").hidden = false;
  fill(byId("kept"), `The video is kept${marked ? ` with ${plural(marked, "marker")}` : ""} and is being analysed. `,
    missing > 0 && `${plural(missing, "frame")} could not be written in time and ${missing === 1 ? "is" : "are"} missing from it. `,
    el("a", { href: `/review?recording=${encodeURIComponent(id)}` }, "Review it"), " or see ",
    el("a", { href: "/" }, "all recordings"), ".");
}

function stop() {
  byId("stop").disabled = true;
  setState("finishing", "accent");
  now.session?.stop();
}

byId("start").addEventListener("click", start);
byId("retry").addEventListener("click", start);
byId("stop").addEventListener("click", stop);
byId("mirror").addEventListener("change", (event) => byId("stage").classList.toggle("mirrored", event.target.checked));
byId("cells").addEventListener("change", redraw);
byId("keep").addEventListener("change", () => {
  byId("consent").hidden = new FormData(byId("keep")).get("keep") !== "video";
  byId("keep-problem").hidden = true;
});
byId("keep").addEventListener("submit", (event) => event.preventDefault());
new ResizeObserver(redraw).observe(byId("stage"));
addEventListener("pagehide", () => now.session?.stop());
showNumbers(null);
setRunning(false);
consent.refresh().catch(showError);
