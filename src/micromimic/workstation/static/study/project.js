// The project file: out, and in with what differs answered first.

import { api, apiUrl, askCoder, byId, coder, el, fill, notice, plural } from "../app.js";
import { sendFile, told } from "./send.js";

function brought(merge) {
  const found = Object.entries(merge.added).filter(([, count]) => count);
  const counts = found.map(([kind, count]) => plural(count, kind.replace(/s$/, ""))).join(", ");
  return el("p", {}, el("b", {}, merge.title || "A study without a title"), `: ${counts ? `brings ${counts}` : "brings nothing new"}.`);
}

const question = (conflict) => el("fieldset", { class: "conflict" }, el("legend", {}, conflict.text),
  Object.entries(conflict.choices).map(([value, words]) => el("label", { class: "tick" },
    el("input", { type: "radio", name: conflict.key, value, required: true }), words)));

/** Makes the card work. */
export function project(attempt) {
  const form = /** @type {HTMLFormElement} */ (byId("project")), place = byId("project-found");
  const input = /** @type {HTMLInputElement} */ (byId("project-file"));
  let keys = [];

  const query = () => ({ coder: coder(), videos: /** @type {HTMLInputElement} */ (byId("project-videos")).checked });
  const download = () => attempt("project-problem", async () => {
    if (!coder() && !(await askCoder())) throw told("expected who takes it away, got nobody; give your name");
    const control = new AbortController();
    await api("/project", { query: query(), signal: control.signal, raw: true }); // a refusal is a line here
    control.abort();
    const link = el("a", { href: apiUrl("/project", query()), download: "" });
    document.body.append(link);
    link.click();
    link.remove();
  });
  const look = () => attempt("project-problem", async () => {
    fill(place);
    const file = input.files[0];
    if (!file) return;
    fill(place, el("p", { class: "hint" }, `Looking into ${file.name}...`));
    try {
      const { merge } = await sendFile("/project", file, { name: file.name });
      keys = merge.conflicts.map((one) => one.key);
      fill(place, brought(merge), merge.notes.map((note) => el("p", { class: "hint" }, note)),
        keys.length > 0 && el("p", {}, `${plural(keys.length, "thing")} differ${keys.length === 1 ? "s" : ""}. Nothing is changed before each is answered.`),
        merge.conflicts.map(question),
        el("div", { class: "bar" }, el("button", { class: "primary", type: "submit" }, "Join it")));
    } catch (error) {
      fill(place);
      throw error;
    }
  });
  const join = () => attempt("project-problem", async () => {
    const values = new FormData(form), file = input.files[0];
    const open = keys.find((key) => !values.get(key));
    if (!file) throw told("expected a project file, got none; choose one");
    if (open) throw told("expected an answer to everything that differs, got one without; choose for each");
    const { merge } = await sendFile("/project", file, { name: file.name, apply: true, resolve: keys.map((key) => `${key}=${values.get(key)}`) });
    form.reset();
    fill(place, brought(merge));
    notice("The project has been joined.");
    document.dispatchEvent(new Event("records"));
  });

  byId("project-out").addEventListener("click", download);
  input.addEventListener("change", look);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    join();
  });
  return { refresh() {} };
}
