// The table of whose each video is: checked as a whole, then carried out.

import { api, apiUrl, askCoder, byId, coder, el, fill, formatDate, notice, plural } from "../app.js";
import { told } from "./send.js";

const CELLS = ["video", "subject", "session", "condition"];

const said = (row) => {
  if (!row.subject_known) return "new subject";
  return row.session_id ? "this session is there" : "new session";
};

function table(rows) {
  const head = el("tr", {}, [...CELLS, "date", "found"].map((name) => el("th", { class: "word", scope: "col" }, name)));
  const body = rows.map((row) => el("tr", {},
    CELLS.map((name) => el("td", { class: "word" }, row[name])),
    el("td", { class: "word" }, row.date ? formatDate(row.date) : ""), el("td", { class: "word" }, said(row))));
  return el("table", {}, el("caption", {}, `${plural(rows.length, "row")} of the table`), el("thead", {}, head), el("tbody", {}, body));
}

/** Makes the card work. */
export function assignments(attempt) {
  const text = /** @type {HTMLTextAreaElement} */ (byId("table")), apply = byId("assign-apply");
  const tick = (id) => /** @type {HTMLInputElement} */ (byId(id)).checked;

  const ask = (carry) => attempt("assign-problem", async () => {
    if (carry && tick("assign-consent") && !coder() && !(await askCoder())) throw told("expected who notes the consent, got nobody; give your name");
    const consent = tick("assign-consent") ? { given: true, noted_by: coder(), note: "" } : null;
    const json = { table: text.value, apply: carry, new_subjects: tick("new-subjects"), consent };
    const { rows } = await api("/assignments", { method: "POST", json });
    fill(byId("assign-rows"), table(rows));
    apply.disabled = carry;
    if (carry) {
      notice(`${plural(rows.length, "recording")} assigned.`);
      document.dispatchEvent(new Event("records"));
    }
  });
  const changed = () => {
    apply.disabled = true;
    fill(byId("assign-rows"));
  };

  text.addEventListener("input", changed);
  for (const id of ["new-subjects", "assign-consent"]) byId(id).addEventListener("change", changed);
  byId("table-file").addEventListener("change", async (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target), file = input.files[0];
    input.value = "";
    if (!file) return;
    text.value = await file.text();
    await ask(false);
  });
  byId("assign").addEventListener("submit", (event) => {
    event.preventDefault();
    apply.disabled = true;
    fill(byId("assign-rows"));
    ask(false);
  });
  apply.addEventListener("click", () => ask(true));
  return {
    refresh() { /** @type {HTMLAnchorElement} */ (byId("assign-now")).href = apiUrl("/assignments"); },
  };
}
