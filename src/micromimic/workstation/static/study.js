// The study: how coders work, the coding scheme, and what comes from elsewhere.

import { api, attempt, byId, header, onSubmit } from "./app.js";
import { loadRecordings } from "./lib/records.js";
import { assignments } from "./study/assignments.js";
import { imports } from "./study/imports.js";
import { project } from "./study/project.js";
import { schemes } from "./study/schemes.js";

header("study");

function show(study) {
  for (const name of ["title", "overlap", "mode"]) byId("settings").elements.namedItem(name).value = String(study[name]);
}

onSubmit("settings", async () => {
  byId("settings-done").textContent = "";
  const values = new FormData(byId("settings"));
  const json = { title: String(values.get("title")).trim(), mode: values.get("mode"), overlap: Number(values.get("overlap")) };
  show(await api("/study", { method: "PATCH", json }));
  byId("settings-done").textContent = "Saved.";
});
assignments();
project();
const showSchemes = schemes(), offerRecordings = imports();

const refresh = () => attempt("settings", async () => {
  const [study, { schemes: builtIn }, recordings] = await Promise.all([api("/study"), api("/study/schemes"), loadRecordings()]);
  show(study);
  showSchemes(study.scheme, builtIn);
  offerRecordings(recordings);
});

document.addEventListener("records", refresh);
refresh();
