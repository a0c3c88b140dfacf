// The page that takes videos in and lists what came of them.

import { api, byId, confirmThat, el, formatDuration, formatSize, header, invalid, notice, onSubmit, plural, showError } from "./app.js";
import { editRecording } from "./analyse/edit.js";
import { List } from "./analyse/list.js";
import { Staging } from "./analyse/staging.js";
import { Uploads } from "./analyse/uploads.js";
import { consentFields } from "./lib/consent.js";
import { analyseAnother } from "./lib/persons.js";
import { sessionName } from "./lib/records.js";

header("analyse");
const list = new List({
  cancel: ({ id }) => attempt(() => api(`/recordings/${id}/cancel`, { method: "POST" })),
  again: ({ id }) => attempt(() => api(`/recordings/${id}/analyze`, { method: "POST" })),
  person: (recording) => attempt(async () => {
    const made = await analyseAnother(recording);
    if (made) notice(`${made.name} is in the queue.`);
  }),
  edit: (recording) => attempt(() => editRecording(recording)),
  delete: (recording) => attempt(() => remove(recording)),
});
const uploads = new Uploads(byId("uploads"), () => list.refresh());
const consent = consentFields(() => staging.needsConsent());
const staging = new Staging(consent, list);

async function attempt(what) {
  try {
    await what();
  } catch (error) {
    showError(error);
  }
  await list.refresh();
}

async function remove(recording) {
  const { id, name } = recording, coders = recording.progress.map((one) => one.coder);
  const decided = coders.length ? `The decisions of ${coders.join(", ")} go with it.` : "Nobody has reviewed it.";
  const whose = recording.subject_code ? `It is of ${sessionName(recording)}. ` : "";
  const body = el("p", {}, `${whose}Its video, pictures and results are removed and cannot be brought back. ${decided}`);
  if (!(await confirmThat({ title: `Delete ${name}?`, body, action: "Delete" }))) return;
  await api(`/recordings/${id}`, { method: "DELETE" });
  notice(`${name} is deleted.`);
}

function numberIn(id, { least, most, whole, what }) {
  const field = byId(id), text = field.value.trim().replace(",", ".");
  const value = Number(text);
  const bad = text !== "" && !(value >= least && value <= most && (!whole || Number.isInteger(value)));
  field.setAttribute("aria-invalid", String(bad));
  if (bad) { field.closest("details").open = true; field.focus(); }
  return { value: text === "" ? "" : value, line: bad ? `expected ${what} from ${least} to ${most}, got ${field.value}; correct it` : null };
}

async function submit() {
  const fps = numberIn("fps", { least: 1, most: 10000, whole: false, what: "frames a second" });
  const days = numberIn("days", { least: 0, most: 36500, whole: true, what: "a whole number of days" });
  const person = numberIn("person", { least: 1, most: 1000, whole: true, what: "the number of a person" });
  const line = staging.problem() ?? fps.line ?? days.line ?? person.line;
  if (line) throw invalid(line);
  byId("start").disabled = true;
  try {
    const all = await staging.begin();
    for (const { file, query } of all) uploads.add(file, { ...query, fps: fps.value, retention_days: days.value, person: person.value });
    byId("say").textContent = all.length ? `${plural(all.length, "upload")} begun` : "done as the table says";
    await list.refresh();
    byId("list-title").scrollIntoView({ block: "nearest" });
  } finally {
    await staging.refresh();
  }
}

async function prepare() {
  const [{ limits }, study] = await Promise.all([api("/info"), api("/study")]);
  list.blind = study.mode === "blind";
  list.show();
  staging.limits = limits;
  byId("limits").textContent = `MP4, MOV, AVI, MKV or WebM; up to ${formatSize(limits.max_bytes)} and ${formatDuration(limits.max_seconds)} each.`;
  byId("days").placeholder = limits.retention_days ? String(limits.retention_days) : "until deleted";
  await staging.refresh();
}

onSubmit("add", submit);
list.refresh();
prepare().catch(showError);
