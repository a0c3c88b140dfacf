// The coding scheme: shown in a sentence, begun from a built-in one or a file, edited in a form.

import { api, byId, el, fill, notice, plural } from "../app.js";
import { lines, saveText, told, words } from "./send.js";

const SCHEMA = "micromimic.scheme/1";

/** What a scheme asks of a coder, in words. */
export function inWords(scheme) {
  if (!scheme) return [el("b", {}, "The model's classes"), ", and nothing beside them."];
  const units = scheme.units === true ? "every action unit" : scheme.units ? `action units ${scheme.units.join(", ")}` : "";
  const more = [
    units && [units, [scheme.sides && "side", scheme.intensities && "intensity A to E"].filter(Boolean).join(" and ")].filter(Boolean).join(" with "),
    scheme.certainty.length && `how sure (${scheme.certainty.join(", ")})`,
    scheme.tags.length && `tags (${scheme.tags.join(", ")})`,
    scheme.templates.length && plural(scheme.templates.length, "template"),
  ].filter(Boolean);
  return [el("b", {}, scheme.name), `: ${scheme.classes.map((c) => c.name).join(", ")}`, more.length ? `; ${more.join("; ")}.` : "."];
}

const fields = ["name", "classes", "units", "some", "sides", "intensities", "sure", "tags", "templates"];

/** The form's fields by name. */
const inputs = () => Object.fromEntries(fields.map((name) => [name, /** @type {any} */ (byId(`scheme-${name}`))]));

function put(scheme) {
  const to = inputs();
  to.name.value = scheme.name;
  to.classes.value = scheme.classes.map((c) => (c.description ? `${c.name}: ${c.description}` : c.name)).join("\n");
  to.units.value = scheme.units === true ? "all" : scheme.units?.length ? "some" : "none";
  to.some.value = Array.isArray(scheme.units) ? scheme.units.join(", ") : "";
  to.some.disabled = to.units.value !== "some";
  to.sides.checked = Boolean(scheme.sides);
  to.intensities.checked = Boolean(scheme.intensities);
  to.sure.value = (scheme.certainty ?? []).join(", ");
  to.tags.value = (scheme.tags ?? []).join(", ");
  to.templates.value = (scheme.templates ?? []).map(templateLine).join("\n");
}

function templateLine({ name, label, units = [], tags = [] }) {
  const numbers = units.map((unit) => (typeof unit === "number" ? unit : `${{ left: "L", right: "R" }[unit.side] ?? ""}${unit.au}${unit.intensity ?? ""}`));
  return `${name}: ${[label, numbers.join(", "), tags.join(", ")].join("; ").replace(/[; ]+$/, "")}`;
}

/** A unit as coders write it: 12, L12, R4B. */
export function unitOf(text) {
  const found = /^([LR]?)(\d{1,2})([A-E]?)$/i.exec(text);
  if (!found) throw told(`expected an action unit as 12, L12 or 12B, got ${text}; correct the template`);
  const side = { L: "left", R: "right" }[found[1].toUpperCase()] ?? "";
  return { au: Number(found[2]), side, intensity: found[3].toUpperCase() };
}

function templateOf(line) {
  const [name, rest = ""] = line.split(/:(.*)/s);
  const [label = "", units = "", tags = ""] = rest.split(";").map((part) => part.trim());
  if (!label) throw told(`expected a template as "name: class; units; tags", got ${line}; add its class`);
  return { name: name.trim(), label, units: words(units).map(unitOf), tags: words(tags) };
}

/** The scheme that the form holds. */
function read() {
  const from = inputs();
  const some = words(from.some.value).map(Number);
  return {
    schema: SCHEMA,
    name: from.name.value.trim(),
    classes: lines(from.classes.value).map((line) => {
      const [name, description = ""] = line.split(/:(.*)/s);
      return { name: name.trim(), description: description.trim() };
    }),
    units: { none: false, all: true, some }[from.units.value],
    sides: from.sides.checked,
    intensities: from.intensities.checked,
    certainty: words(from.sure.value),
    tags: words(from.tags.value),
    templates: lines(from.templates.value).map(templateOf),
  };
}

/** Makes the card work. Gives {show(scheme, builtIn)}. */
export function schemes(attempt) {
  const form = byId("scheme"), start = /** @type {HTMLSelectElement} */ (byId("scheme-start"));
  let now = null, known = [];

  const show = (scheme, builtIn = known) => {
    [now, known] = [scheme, builtIn];
    fill(byId("scheme-now"), "In use: ", inWords(scheme));
    fill(start, scheme && el("option", { value: "*" }, "the one in use"), known.map((one) => el("option", { value: one.name }, one.name)));
    byId("scheme-none").hidden = byId("scheme-save").hidden = !scheme;
  };
  const edit = (scheme) => {
    put(scheme);
    form.hidden = false;
    byId("scheme-name").focus();
  };
  const use = (scheme) => attempt("scheme-problem", async () => {
    const study = await api("/study", { method: "PATCH", json: { scheme } });
    show(study.scheme);
    form.hidden = true;
    notice(scheme ? `Coders use the scheme ${study.scheme.name}.` : "Coders use the model's classes.");
  });

  // A button opens it: arrow keys change a list at each step.
  byId("scheme-begin").addEventListener("click", () => {
    const chosen = start.value === "*" ? now : known.find((one) => one.name === start.value);
    if (chosen) edit(chosen);
  });
  byId("scheme-units").addEventListener("change", () => { inputs().some.disabled = inputs().units.value !== "some"; });
  byId("scheme-file").addEventListener("change", (event) => attempt("scheme-problem", async () => {
    const input = /** @type {HTMLInputElement} */ (event.target), file = input.files[0];
    input.value = "";
    if (!file) return;
    let scheme;
    try {
      scheme = JSON.parse(await file.text());
    } catch (error) {
      throw told(`expected a scheme as JSON, got ${file.name}: ${error.message}; correct the file`);
    }
    await use(scheme);
  }));
  byId("scheme-save").addEventListener("click", () => saveText(`${JSON.stringify(now, null, 2)}\n`, `${now.name}.scheme.json`, "application/json"));
  byId("scheme-none").addEventListener("click", () => use(null));
  byId("scheme-close").addEventListener("click", () => { form.hidden = true; });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("scheme-problem", async () => { await use(read()); });
  });
  return { show };
}
