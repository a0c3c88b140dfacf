// The study: how coders work, the coding scheme, and what comes from elsewhere.

import { api, byId, header, showLine } from "./app.js";
import { loadRecordings } from "./lib/records.js";
import { assignments } from "./study/assignments.js";
import { imports } from "./study/imports.js";
import { project } from "./study/project.js";
import { schemes } from "./study/schemes.js";

header("study");

/** Runs what a form asks for; what goes wrong is a line in its place. */
async function attempt(id, what) {
  showLine(byId(id), "");
  try {
    return await what();
  } catch (error) {
    if (error?.name !== "ApiError" && !error?.plain) console.error(error);
    showLine(byId(id), error.message);
    return null;
  }
}

function settings() {
  const form = /** @type {HTMLFormElement} */ (byId("settings"));
  const show = (study) => {
    for (const name of ["title", "overlap", "mode"]) {
      /** @type {HTMLInputElement} */ (form.elements.namedItem(name)).value = String(study[name]);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    byId("settings-done").textContent = "";
    attempt("settings-problem", async () => {
      const values = new FormData(form);
      const json = { title: String(values.get("title")).trim(), mode: values.get("mode"), overlap: Number(values.get("overlap")) };
      show(await api("/study", { method: "PATCH", json }));
      byId("settings-done").textContent = "Saved.";
    });
  });
  return { show };
}

const parts = { settings: settings(), schemes: schemes(attempt) };
const tools = [assignments(attempt), imports(attempt), project(attempt)];

async function refresh() {
  const [study, { schemes: builtIn }, recordings] = await Promise.all([api("/study"), api("/study/schemes"), loadRecordings()]);
  parts.settings.show(study);
  parts.schemes.show(study.scheme, builtIn);
  for (const tool of tools) tool.refresh({ recordings });
}

document.addEventListener("records", () => attempt("settings-problem", refresh));
attempt("settings-problem", refresh);

