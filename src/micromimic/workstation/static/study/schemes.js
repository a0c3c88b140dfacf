// The coding scheme: shown in a sentence, begun from a built-in one or a file, edited in a form.

import { api, attempt, byId, el, fill, invalid, lines, notice, onFile, onSubmit, option, plural, saveAs, words } from "../app.js";
import { notation, parseUnits } from "../lib/units.js";

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
const inputs = () => Object.fromEntries(fields.map((name) => [name, byId(`scheme-${name}`)]));

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

const templateLine = ({ name, label, units, tags }) =>
  `${name}: ${[label, notation(units, ", "), tags.join(", ")].join("; ").replace(/[; ]+$/, "")}`;

function templateOf(line) {
  const [name, rest = ""] = line.split(/:(.*)/s);
  const [label = "", units = "", tags = ""] = rest.split(";").map((part) => part.trim());
  if (!label) throw invalid(`expected a template as "name: class; units; tags", got ${line}; add its class`);
  const read = parseUnits(units, { sides: true, intensities: true });
  if ("problem" in read) throw invalid(read.problem);
  return { name: name.trim(), label, units: read.units, tags: words(tags) };
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

/** Makes the card work. Gives what shows the scheme in use and those that are built in. */
export function schemes() {
  const form = byId("scheme"), start = byId("scheme-start"), units = byId("scheme-units");
  let now = null, known = [];

  function show(scheme, builtIn = known) {
    [now, known] = [scheme, builtIn];
    fill(byId("scheme-now"), "In use: ", inWords(scheme));
    fill(start, scheme && option("*", "the one in use"), known.map(({ name }) => option(name)));
    byId("scheme-none").hidden = byId("scheme-save").hidden = !scheme;
  }
  async function use(scheme) {
    const study = await api("/study", { method: "PATCH", json: { scheme } });
    show(study.scheme);
    form.hidden = true;
    notice(scheme ? `Coders use the scheme ${study.scheme.name}.` : "Coders use the model's classes.");
  }

  // A button opens it: arrow keys change a list at each step.
  byId("scheme-begin").addEventListener("click", () => {
    const chosen = start.value === "*" ? now : known.find((one) => one.name === start.value);
    if (!chosen) return;
    put(chosen);
    form.hidden = false;
    byId("scheme-name").focus();
  });
  units.addEventListener("change", () => { byId("scheme-some").disabled = units.value !== "some"; });
  onFile("scheme-file", "scheme", async (file) => {
    let scheme;
    try {
      scheme = JSON.parse(await file.text());
    } catch (error) {
      throw invalid(`expected a scheme as JSON, got ${file.name}: ${error.message}; correct the file`);
    }
    await use(scheme);
  });
  byId("scheme-save").addEventListener("click", () =>
    saveAs(new Blob([`${JSON.stringify(now, null, 2)}\n`], { type: "application/json" }), `${now.name}.scheme.json`));
  byId("scheme-none").addEventListener("click", () => attempt("scheme", () => use(null)));
  byId("scheme-close").addEventListener("click", () => { form.hidden = true; });
  onSubmit("scheme", () => use(read()));
  return show;
}
