// The table of whose each video is: checked as a whole, then carried out.

import { api, askCoder, attempt, byId, coder, el, fill, formatDate, invalid, notice, onFile, onSubmit, plural } from "../app.js";
import { table } from "../lib/tables.js";

const CELLS = ["video", "subject", "session", "condition", "date", "found"];

function found(row) {
  if (!row.subject_known) return "new subject";
  return row.session_id ? "this session is there" : "new session";
}

const assigned = (rows) => table({ kind: "words", caption: `${plural(rows.length, "row")} of the table`, columns: CELLS },
  rows.map((row) => ({ ...row, date: row.date && formatDate(row.date), found: found(row) }))
    .map((row) => el("tr", {}, CELLS.map((name) => el("td", {}, row[name])))));

export function assignments() {
  const text = byId("table"), apply = byId("assign-apply"), agreed = byId("assign-consent");

  async function ask(carry) {
    if (carry && agreed.checked && !coder() && !(await askCoder())) throw invalid("expected who notes the consent, got nobody; give your name");
    const consent = agreed.checked ? { given: true, noted_by: coder(), note: "" } : null;
    const json = { table: text.value, apply: carry, new_subjects: byId("new-subjects").checked, consent };
    const { rows } = await api("/assignments", { method: "POST", json });
    fill(byId("assign-rows"), assigned(rows));
    apply.disabled = carry;
    if (!carry) return;
    notice(`${plural(rows.length, "recording")} assigned.`);
    document.dispatchEvent(new Event("records"));
  }
  function changed() {
    apply.disabled = true;
    fill(byId("assign-rows"));
  }

  text.addEventListener("input", changed);
  for (const id of ["new-subjects", "assign-consent"]) byId(id).addEventListener("change", changed);
  onFile("table-file", "assign", async (file) => {
    text.value = await file.text();
    await ask(false);
  });
  onSubmit("assign", () => {
    changed();
    return ask(false);
  });
  apply.addEventListener("click", () => attempt("assign", () => ask(true)));
}
