// Events for other tools, agreement of two coders, training data.

import { all, api, apiUrl, byId, coder as ownName, el, fill, formatDate, header, notice, plural, showLine } from "./app.js";
import { agreementView } from "./lib/agreement.js";
import { fillSelect, loadRecordings, loadSessions, loadSubjects, sessionOptions } from "./lib/records.js";

const MACHINE = "machine";

header("export");
const state = { recordings: [], sessions: [] };

const option = (value, words = value, more = {}) => el("option", { value, ...more }, words);
const chosen = () => state.recordings.find((r) => r.id === byId("recording").value) ?? null;

/** Runs what a form asks for; what goes wrong is a line in its place. */
async function attempt(id, what) {
  showLine(byId(id), "");
  try {
    await what();
  } catch (error) {
    showLine(byId(id), error.message);
  }
}

function download(href, name) {
  const link = el("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/* One recording */

function showChosen() {
  const recording = chosen();
  const coders = recording?.coders ?? [];
  fillSelect(byId("one-coder"), option("", "the machine"), coders.map((name) => option(name)));
  for (const id of ["first", "second"]) fillSelect(byId(id), option(MACHINE, "the machine"), coders.map((name) => option(name)));
  if (byId("first").value === byId("second").value && coders.length) {
    byId("first").value = coders[0];
    byId("second").value = coders[1] ?? MACHINE;
  }
  fill(byId("agreement"));
  showLine(byId("agree-problem"), "");
  showLine(byId("one-problem"), "");
  const decided = coders.length ? `decided by ${coders.join(", ")}` : "nobody has decided anything here yet";
  byId("one-note").textContent = recording ? `${plural(recording.events, "candidate")}; ${decided}.` : "Nothing has been analysed yet.";
  for (const button of formats) button.disabled = !recording;
  byId("agree").querySelector("button").disabled = !coders.length;
}

/** Saves an answer as a file, under the name that the server gives it. */
const save = (format) => attempt("one-problem", async () => {
  const { id, name } = chosen();
  const response = await api(`/recordings/${id}/export/${format}`, { query: { coder: byId("one-coder").value, reader: ownName() }, raw: true });
  const given = /filename\*?=(?:UTF-8'')?"?([^";]+)"?/i.exec(response.headers.get("Content-Disposition") ?? "");
  const file = given ? decodeURIComponent(given[1]) : `${name.replace(/\.[^.]*$/, "")}.${format}`;
  const url = URL.createObjectURL(await response.blob());
  download(url, file);
  setTimeout(() => URL.revokeObjectURL(url), 30000);
  notice(`${file} is downloaded.`);
});

/* Agreement */

const compare = () => attempt("agree-problem", async () => {
  const [coder, other] = [byId("first").value, byId("second").value];
  if (coder === other) throw new Error(`expected two different answers, got ${coder === MACHINE ? "the machine" : coder} twice; choose another`);
  const found = await api(`/recordings/${chosen().id}/agreement`, { query: { coder, other, reader: ownName() } });
  fill(byId("agreement"), agreementView(found, coder, other));
});

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

/** Asks first, so that a refusal is a line here; the zip itself streams as a download. */
const downloadTraining = () => attempt("train-problem", async () => {
  const control = new AbortController();
  await api("/export/manifest.zip", { query: trainingQuery(), signal: control.signal, raw: true });
  control.abort();
  download(apiUrl("/export/manifest.zip", trainingQuery()), "");
});

async function prepare() {
  const [recordings, sessions, subjects] = await Promise.all([loadRecordings(), loadSessions(), loadSubjects()]);
  state.recordings = recordings.filter((r) => r.events !== null);
  state.sessions = sessions;
  const wanted = new URLSearchParams(location.search).get("recording");
  fillSelect(byId("recording"), state.recordings.map((r) =>
    option(r.id, `${r.name} · ${r.subject_code ?? "no subject"} · ${formatDate(r.uploaded_at)}`, { selected: r.id === wanted })));
  const coders = [...new Set(state.recordings.flatMap((r) => r.coders))].sort();
  fillSelect(byId("train-coder"), coders.map((name) => option(name)));
  fillSelect(byId("train-subject"), option("", "all"), subjects.map((s) => option(s.id, s.code)));
  showChosen();
  showTraining();
}

const formats = all("#formats button");
for (const button of formats) button.addEventListener("click", () => save(button.dataset.format));
byId("recording").addEventListener("change", showChosen);
for (const [id, submit] of Object.entries({ one: () => {}, agree: compare, train: downloadTraining })) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
}
for (const id of ["train-coder", "train-subject", "train-session"]) byId(id).addEventListener("change", showTraining);
attempt("one-problem", prepare);
