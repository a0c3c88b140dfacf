// The project file: out, and in with what differs answered first.

import { api, askCoder, attempt, byId, coder, downloadFrom, el, fill, invalid, notice, onSubmit, plural } from "../app.js";

function mergeWords(merge) {
  const found = Object.entries(merge.added).filter(([, count]) => count);
  const counts = found.map(([kind, count]) => plural(count, kind.replace(/s$/, ""))).join(", ");
  return el("p", {}, el("b", {}, merge.title || "A study without a title"), `: ${counts ? `brings ${counts}` : "brings nothing new"}.`);
}

const question = (conflict) => el("fieldset", { class: "conflict" }, el("legend", {}, conflict.text),
  Object.entries(conflict.choices).map(([value, words]) => el("label", { class: "tick" },
    el("input", { type: "radio", name: conflict.key, value, required: true }), words)));

async function takeAway() {
  if (!coder() && !(await askCoder())) throw invalid("expected who takes it away, got nobody; give your name");
  await downloadFrom("/project", { coder: coder(), videos: byId("project-videos").checked });
}

export function project() {
  const form = byId("project"), place = byId("project-found"), input = byId("project-file");
  let keys = [];
  const send = (file, more = {}) => api("/project", { method: "POST", file, query: { name: file.name, ...more } });

  async function look() {
    fill(place);
    const [file] = input.files;
    if (!file) return;
    fill(place, el("p", { class: "hint" }, `Looking into ${file.name}...`));
    try {
      const { merge } = await send(file);
      keys = merge.conflicts.map((one) => one.key);
      fill(place, mergeWords(merge), merge.notes.map((note) => el("p", { class: "hint" }, note)),
        keys.length > 0 && el("p", {}, `${plural(keys.length, "thing")} differ${keys.length === 1 ? "s" : ""}. Nothing is changed before each is answered.`),
        merge.conflicts.map(question),
        el("div", { class: "bar" }, el("button", { class: "primary", type: "submit" }, "Join it")));
    } catch (error) {
      fill(place);
      throw error;
    }
  }
  async function join() {
    const values = new FormData(form), [file] = input.files;
    if (!file) throw invalid("expected a project file, got none; choose one");
    if (!keys.every((key) => values.get(key))) throw invalid("expected an answer to everything that differs, got one without; choose for each");
    const { merge } = await send(file, { apply: true, resolve: keys.map((key) => `${key}=${values.get(key)}`) });
    form.reset();
    fill(place, mergeWords(merge));
    notice("The project has been joined.");
    document.dispatchEvent(new Event("records"));
  }

  byId("project-out").addEventListener("click", () => attempt("project", takeAway));
  input.addEventListener("change", () => attempt("project", look));
  onSubmit("project", join);
}
