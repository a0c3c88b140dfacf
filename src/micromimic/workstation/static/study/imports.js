// Markers and codings from files of other tools.

import { all, byId, el, fill, plural } from "../app.js";
import { fillSelect, sessionName } from "../lib/records.js";
import { sendFile, told, words } from "./send.js";

/** Makes the card work. */
export function imports(attempt) {
  const form = /** @type {HTMLFormElement} */ (byId("import"));
  const value = (id) => /** @type {HTMLInputElement} */ (byId(id)).value.trim();
  const what = () => String(new FormData(form).get("what"));

  const show = () => {
    for (const field of all('#import [data-for="coding"]')) field.hidden = what() !== "coding";
  };
  const bring = () => attempt("import-problem", async () => {
    fill(byId("import-done"));
    const file = /** @type {HTMLInputElement} */ (byId("import-file")).files[0];
    if (!file) throw told("expected a file, got none; choose one");
    const coding = what() === "coding";
    if (coding && !value("import-coder")) throw told("expected whose coding it is, got nothing; type a name");
    const query = {
      name: file.name, recording_id: value("import-recording"), tier: words(value("import-tiers")),
      any_media: /** @type {HTMLInputElement} */ (byId("import-any")).checked,
      ...(coding && { coder: value("import-coder"), label: words(value("import-labels")) }),
    };
    const { imported } = await sendFile(`/imports/${what()}`, file, query);
    fill(byId("import-done"), imported.map((one) => el("li", {}, el("b", {}, one.recording),
      `: ${plural(one.count, coding ? "event" : "marker")} (${one.tiers.join(", ") || "no tier"})${one.note ? `; ${one.note}` : ""}`)));
    document.dispatchEvent(new Event("records"));
  });

  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    bring();
  });
  return {
    refresh({ recordings }) {
      fillSelect(byId("import-recording"), el("option", { value: "" }, "by the video's name in the file"),
        recordings.map((r) => el("option", { value: r.id }, `${r.name} · ${r.subject_code ? sessionName(r) : "no session"}`)));
      show();
    },
  };
}
