// Events for other tools, agreement of two coders, training data.

import { apiUrl, api, byId, coder as ownName, el, errorFrom, fill, formatDate, header, notice, offline, plural } from "./app.js";
import { fillSelect, loadRecordings, loadSessions, loadSubjects, sessionOptions } from "./lib/records.js";
import { agreementView } from "./export/agreement.js";

const MACHINE = "machine";
const FORMATS = [
  ["eaf", "ELAN (.eaf)", "tiers for the machine and each coder"],
  ["csv", "CSV", "one row an event"],
  ["json", "JSON", "everything"],
];

header("export");
const state = { recordings: [], sessions: [] };

function trouble(id, line) {
  byId(id).hidden = !line;
  byId(id).textContent = line ?? "";
}

const option = (value, words, more = {}) => el("option", { value, ...more }, words);
const chosen = () => state.recordings.find((r) => r.id === byId("recording").value) ?? null;

/** Saves an answer as a file, under the name that the server gives it. */
function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 30000);
}

async function open(path, query, signal) {
  let response;
  try {
    response = await fetch(apiUrl(path, query), { cache: "no-store", signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : offline();
  }
  if (!response.ok) throw errorFrom(response.status, await response.text());
  return response;
}

/* One recording */

function showChosen() {
  const recording = chosen();
  const coders = recording?.coders ?? [];
  fillSelect(byId("one-coder"), option("", "the machine"), coders.map((name) => option(name, name)));
  for (const id of ["first", "second"]) {
    fillSelect(byId(id), option(MACHINE, "the machine"), coders.map((name) => option(name, name)));
  }
  if (byId("first").value === byId("second").value && coders.length) {
    byId("first").value = coders[0];
    byId("second").value = coders[1] ?? MACHINE;
  }
  fill(byId("agreement"));
  trouble("agree-problem", "");
  trouble("one-problem", "");
  const ready = Boolean(recording);
  byId("one-note").textContent = !ready ? "Nothing has been analysed yet."
    : coders.length ? `${plural(recording.events, "candidate")}; decided by ${coders.join(", ")}.`
      : `${plural(recording.events, "candidate")}; nobody has decided anything here yet.`;
  for (const button of byId("formats").querySelectorAll("button")) button.disabled = !ready;
  byId("agree").querySelector("button").disabled = !ready || !coders.length;
}

async function download(format) {
  const recording = chosen();
  trouble("one-problem", "");
  try {
    const who = byId("one-coder").value;
    const response = await open(`/recordings/${recording.id}/export/${format}`, { coder: who, reader: ownName() });
    const given = /filename\*?=(?:UTF-8'')?"?([^";]+)"?/i.exec(response.headers.get("Content-Disposition") ?? "");
    const name = given ? decodeURIComponent(given[1]) : `${recording.name.replace(/\.[^.]*$/, "")}.${format}`;
    save(await response.blob(), name);
    notice(`${name} is downloaded.`);
  } catch (error) {
    trouble("one-problem", error.message);
  }
}

/* Agreement */

async function compare(event) {
  event.preventDefault();
  trouble("agree-problem", "");
  const [coder, other] = [byId("first").value, byId("second").value];
  if (coder === other) {
    trouble("agree-problem", `expected two different answers, got ${coder === MACHINE ? "the machine" : coder} twice; choose another`);
    return;
  }
  try {
    const found = await api(`/recordings/${chosen().id}/agreement`, { query: { coder, other, reader: ownName() } });
    fill(byId("agreement"), agreementView(found, coder, other));
  } catch (error) {
    trouble("agree-problem", error.message);
  }
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

/** Asks first, so that a refusal is a line here; the zip itself streams as a download. */
async function downloadTraining(event) {
  event.preventDefault();
  trouble("train-problem", "");
  const control = new AbortController();
  try {
    await open("/export/manifest.zip", trainingQuery(), control.signal);
    control.abort();
    const link = el("a", { href: apiUrl("/export/manifest.zip", trainingQuery()), download: "" });
    document.body.append(link);
    link.click();
    link.remove();
  } catch (error) {
    trouble("train-problem", error.message);
  }
}

async function prepare() {
  const [recordings, sessions, subjects] = await Promise.all([loadRecordings(), loadSessions(), loadSubjects()]);
  state.recordings = recordings.filter((r) => r.events !== null);
  state.sessions = sessions;
  const wanted = new URLSearchParams(location.search).get("recording");
  fillSelect(byId("recording"), state.recordings.map((r) =>
    option(r.id, `${r.name} · ${r.subject_code ?? "no subject"} · ${formatDate(r.uploaded_at)}`, { selected: r.id === wanted })));
  const coders = [...new Set(state.recordings.flatMap((r) => r.coders))].sort();
  fillSelect(byId("train-coder"), coders.map((name) => option(name, name)));
  fillSelect(byId("train-subject"), option("", "all"), subjects.map((s) => option(s.id, s.code)));
  showChosen();
  showTraining();
}

fill(byId("formats"), FORMATS.map(([format, label, what]) =>
  el("span", { class: "format" },
    el("button", { type: "button", disabled: true, dataset: { format }, onclick: () => download(format) }, label), el("small", {}, what))));
byId("recording").addEventListener("change", showChosen);
byId("one").addEventListener("submit", (event) => event.preventDefault());
byId("agree").addEventListener("submit", compare);
for (const id of ["train-coder", "train-subject", "train-session"]) byId(id).addEventListener("change", showTraining);
byId("train").addEventListener("submit", downloadTraining);
prepare().catch((error) => trouble("one-problem", error.message));
