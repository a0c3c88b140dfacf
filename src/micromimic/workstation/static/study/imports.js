// Markers and codings from files of other tools.

import { all, api, byId, el, fill, fillSelect, invalid, onSubmit, option, plural, words } from "../app.js";
import { sessionName } from "../lib/records.js";

const value = (id) => byId(id).value.trim();
const what = () => String(new FormData(byId("import")).get("what"));

async function importFile() {
  fill(byId("import-done"));
  const [file] = byId("import-file").files, coding = what() === "coding";
  if (!file) throw invalid("expected a file, got none; choose one");
  if (coding && !value("import-coder")) throw invalid("expected whose coding it is, got nothing; type a name");
  const query = {
    name: file.name, recording_id: value("import-recording"), tier: words(value("import-tiers")), any_media: byId("import-any").checked,
    ...(coding && { coder: value("import-coder"), label: words(value("import-labels")) }),
  };
  const { imported } = await api(`/imports/${what()}`, { method: "POST", file, query });
  fill(byId("import-done"), imported.map((one) => el("li", {}, el("b", {}, one.recording),
    `: ${plural(one.count, coding ? "event" : "marker")} (${one.tiers.join(", ") || "no tier"})${one.note ? `; ${one.note}` : ""}`)));
  document.dispatchEvent(new Event("records"));
}

/** Makes the card work. Gives what offers recordings to import to. */
export function imports() {
  byId("import").addEventListener("change", () => {
    for (const field of all('#import [data-for="coding"]')) field.hidden = what() !== "coding";
  });
  onSubmit("import", importFile);
  return (recordings) => fillSelect(byId("import-recording"), option("", "by the video's name in the file"),
    recordings.map((r) => option(r.id, `${r.name} · ${r.subject_code ? sessionName(r) : "no session"}`)));
}
