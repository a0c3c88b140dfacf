// The whole study, agreement of two coders, rates by condition, single recordings, training data.

import {
  all, api, apiUrl, attempt, byId, coder as ownName, downloadFrom, fill, fillSelect, header, invalid, notice, onSubmit, option, plural, saveAs, showLine,
} from "./app.js";
import { conditionsView, studyAgreement } from "./export/study.js";
import { finishedBy, loadRecordings, loadSessions, loadSubjects, sessionName, sessionOptions } from "./lib/records.js";

const MACHINE = "machine";

header("export");
const state = { recordings: [], sessions: [] };

const chosen = () => state.recordings.find((r) => r.id === byId("recording").value) ?? null;

/* The whole study */

const downloadStudy = () => downloadFrom("/export/study.zip", { reader: ownName(), frames: byId("study-frames").value });

function showStudy() {
  const name = ownName();
  const unfinished = state.recordings.filter((r) => r.coders.some((other) => other !== name) && !finishedBy(r, name));
  const hidden = name && unfinished.length ? ` Decisions of others on ${plural(unfinished.length, "recording")} that you have not finished are left out.` : "";
  byId("study-note").textContent = name ? `As ${name} may see it.${hidden}` : "As somebody without a name may see it: recordings that a coder is still at show nobody's decisions. Give your name above.";
}

/* Agreement */

function showCoders() {
  const counts = new Map();
  for (const { progress } of state.recordings) for (const one of progress) if (one.done) counts.set(one.coder, (counts.get(one.coder) ?? 0) + 1);
  const names = [...counts.keys()].sort();
  const options = () => [names.map((name) => option(name, `${name} (finished ${counts.get(name)})`)), option(MACHINE, "the machine")];
  for (const id of ["first", "second", "rates-coder"]) fillSelect(byId(id), options());
  if (byId("first").value === byId("second").value) byId("second").value = names[1] ?? MACHINE;
  byId("agree").querySelector("button").disabled = !names.length;
  byId("rates").querySelector("button").disabled = !state.recordings.length;
}

async function compare() {
  const [coder, other] = [byId("first").value, byId("second").value];
  fill(byId("agreement"));
  byId("agree-files").hidden = true;
  if (coder === other) throw invalid(`expected two different coders, got ${coder === MACHINE ? "the machine" : coder} twice; choose another`);
  if (!byId("overlap").checkValidity()) throw invalid(`expected an overlap from 0.05 to 1, got ${byId("overlap").value || "nothing"}; 0.5 is usual`);
  const query = { coder, other, overlap: byId("overlap").value, tier: byId("tier").value, reader: ownName() };
  const [found, picture] = await Promise.all([api("/agreement", { query }), api("/agreement.svg", { query, raw: true })]);
  fill(byId("agreement"), studyAgreement(found, await picture.text()));
  for (const kind of ["csv", "svg"]) {
    byId(`agree-${kind}`).href = apiUrl(`/agreement.${kind}`, query);
    byId(`agree-${kind}`).download = `agreement.${kind}`;
  }
  byId("agree-files").hidden = !found.recordings;
}

/* Rates by condition */

async function compareConditions() {
  fill(byId("conditions"));
  const query = { measure: byId("measure").value, coder: byId("rates-coder").value, by: byId("by").value, reader: ownName() };
  fill(byId("conditions"), conditionsView(await api("/conditions", { query })));
}

/** Blinks are counted by the machine alone. */
function chooseMeasure() {
  const blinks = byId("measure").value === "blinks";
  if (blinks) byId("rates-coder").value = MACHINE;
  byId("rates-coder").disabled = blinks;
}

/* One recording */

function showChosen() {
  const recording = chosen();
  const coders = recording?.coders ?? [];
  fillSelect(byId("one-coder"), option("", "the machine"), coders.map((name) => option(name)));
  showLine(byId("one-problem"), "");
  const decided = coders.length ? `decided by ${coders.join(", ")}` : "nobody has decided anything here yet";
  byId("one-note").textContent = recording ? `${plural(recording.events, "candidate")}; ${decided}.` : "Nothing has been analysed yet.";
  for (const button of formats) button.disabled = !recording;
}

/** Saves an answer as a file, under the name that the server gives it. */
async function save(format) {
  const { id, name } = chosen();
  const response = await api(`/recordings/${id}/export/${format}`, { query: { coder: byId("one-coder").value, reader: ownName() }, raw: true });
  const given = /filename\*?=(?:UTF-8'')?"?([^";]+)"?/i.exec(response.headers.get("Content-Disposition") ?? "");
  const file = given ? decodeURIComponent(given[1]) : `${name.replace(/\.[^.]*$/, "")}.${format}`;
  saveAs(await response.blob(), file);
  notice(`${file} is downloaded.`);
}

/* Training data */

function trainingQuery() {
  return { coder: byId("train-coder").value, reader: ownName(), subject_id: byId("train-subject").value, session_id: byId("train-session").value };
}

function showTraining() {
  const subject = byId("train-subject").value;
  fillSelect(byId("train-session"), option("", "all"), sessionOptions(state.sessions.filter((s) => !subject || s.subject_id === subject)));
  const { coder, subject_id, session_id } = trainingQuery();
  const fits = state.recordings.filter((r) => r.media === "kept" && r.coders.includes(coder) &&
    (!subject_id || r.subject_id === subject_id) && (!session_id || r.session_id === session_id));
  byId("train-note").textContent = !coder ? "Nobody has decided anything yet: review a recording first."
    : `${plural(fits.length, "recording")} with decisions of ${coder} and its video.`;
  byId("train").querySelector("button").disabled = !fits.length;
}

const downloadTraining = () => downloadFrom("/export/manifest.zip", trainingQuery());

async function prepare() {
  const [recordings, sessions, subjects, study, { tiers }] = await Promise.all(
    [loadRecordings(), loadSessions(), loadSubjects(), api("/study"), api("/conditions/tiers")]);
  state.recordings = recordings.filter((r) => r.events !== null);
  state.sessions = sessions;
  byId("overlap").value = study.overlap;
  fillSelect(byId("by"), option("", "the session's condition"), tiers.map((tier) => option(tier, `markers: ${tier}`)));
  const wanted = new URLSearchParams(location.search).get("recording");
  const where = (r) => (r.session_id ? sessionName(r) : "no subject");
  fillSelect(byId("recording"), state.recordings.map((r) => option(r.id, `${r.name} · ${where(r)}`, { selected: r.id === wanted })));
  const coders = [...new Set(state.recordings.flatMap((r) => r.coders))].sort();
  fillSelect(byId("train-coder"), coders.map((name) => option(name)));
  fillSelect(byId("train-subject"), option("", "all"), subjects.map((s) => option(s.id, s.code)));
  showStudy();
  showCoders();
  showChosen();
  showTraining();
}

const formats = all("#formats button");
for (const button of formats) button.addEventListener("click", () => attempt("one", () => save(button.dataset.format)));
byId("recording").addEventListener("change", showChosen);
byId("measure").addEventListener("change", chooseMeasure);
document.addEventListener("coder", showStudy);
onSubmit("study", downloadStudy);
onSubmit("agree", compare);
onSubmit("rates", compareConditions);
onSubmit("one", () => {}); // each of its formats has a button
onSubmit("train", downloadTraining);
for (const id of ["train-coder", "train-subject", "train-session"]) byId(id).addEventListener("change", showTraining);
attempt("one", prepare);
