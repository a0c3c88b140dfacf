// What a scheme lets a coder say beside the class: action units, how sure one is, tags, templates.
// Everything has a key; units are typed as coders write them, or ticked.

import { all, byId, el, fill, pressed } from "/static/app.js";
import { notation, parseUnits, unitWords } from "/static/lib/units.js";
import { askOne, askSome, keyed } from "./choices.js";
import { isMasked } from "./draft.js";
import { eventName } from "./words.js";

const SIDES = [["", "side"], ["left", "left"], ["right", "right"], ["both", "both"]];
const INTENSITIES = [["", "intensity"], ...[..."ABCDE"].map((letter) => [letter, letter])];

export class Coding {
  constructor(model) {
    this.model = model;
    const { scheme } = model;
    fill(byId("coding"), scheme.units.length > 0 && this.#unitRows(scheme), scheme.certainty.length > 0 && this.#sureRow(scheme),
      scheme.tags.length > 0 && this.#tagRow(scheme), scheme.templates.length > 0 && this.#templateRow(scheme));
    byId("coding").hidden = !byId("coding").childElementCount;
    model.on("events select", () => this.show());
    this.show();
  }

  /** The rows of the keyboard's list: [keys, words, act]. */
  static keys(desk) {
    const { units, certainty, tags, templates } = desk.model.scheme;
    return [
      units.length && [["u"], "action units, typed as 12 or L12C", () => desk.coding.focusUnits()],
      certainty.length && [["y"], `how sure you are: ${certainty.join(", ")}`, () => desk.coding.nextSure()],
      tags.length && [["g"], "tags", () => desk.coding.askTags()],
      templates.length && [["x"], "templates", () => desk.coding.askTemplate()],
    ].filter(Boolean);
  }

  show() {
    const event = this.model.event();
    if (!event) return;
    const { units = [], certainty = "", tags = [] } = event;
    if (this.field) {
      if (document.activeElement !== this.field || this.unitsOf !== event.key) this.field.value = notation(units);
      this.unitsOf = event.key;
      for (const button of all("button", this.ticks)) pressed(button, units.some(({ au }) => au === Number(button.dataset.au)));
      fill(this.chosen, units.map((unit) => this.#unit(unit)));
    }
    for (const button of this.sure ?? []) pressed(button, button.dataset.sure === certainty);
    for (const button of this.tags ?? []) pressed(button, tags.includes(button.dataset.tag));
  }

  focusUnits() {
    if (!this.model.chosen()) return;
    this.field.focus();
    this.field.select();
  }

  nextSure() {
    const event = this.model.chosen(), steps = ["", ...this.model.scheme.certainty];
    if (event) this.#sure(steps[(steps.indexOf(event.certainty ?? "") + 1) % steps.length]);
  }

  async askTags() {
    const event = this.model.chosen();
    if (!event) return;
    const tags = await askSome({
      title: `Tags of event ${eventName(event.key)}`, hint: "Numbers tick, Enter takes them.", options: this.model.scheme.tags, ticked: event.tags ?? [],
    });
    if (tags) this.#tag(event, tags);
  }

  async askTemplate() {
    const { templates } = this.model.scheme, event = this.model.chosen();
    if (!event) return;
    const options = templates.map((template) => /** @type {[string, any, string]} */ ([template.name, null, templateWords(template)]));
    const chosen = await askOne({ title: "Code as", hint: "A template sets class, action units and tags in one decision.", options });
    if (chosen !== null) this.#apply(templates[chosen], event);
  }

  #unitRows(scheme) {
    const form = [scheme.sides && "L12", scheme.intensities && "12C"].filter(Boolean).join(", ");
    this.field = el("input", {
      id: "units", type: "text", autocomplete: "off", spellcheck: "false", maxlength: "200", "aria-keyshortcuts": "u",
      placeholder: `4 + 12${form && ` (${form})`}`, onchange: () => this.#type(), onkeydown: (event) => this.#key(event),
    });
    this.ticks = el("div", { class: "ticks", role: "group", "aria-label": "Action units" }, scheme.units.map((au) =>
      keyed(unitWords({ au }), null, () => this.#tick(au), { class: "small", dataset: { au } })));
    this.chosen = el("ul", { class: "units-chosen" });
    return [
      el("div", { class: "row" }, el("label", { for: "units" }, "Action units ", el("kbd", {}, "u")), this.field,
        el("details", { class: "all-units" }, el("summary", {}, "tick"), this.ticks)),
      this.chosen,
    ];
  }

  #sureRow({ certainty }) {
    this.sure = certainty.map((step) => keyed(step, null, () => this.#sure(this.model.event()?.certainty === step ? "" : step), { class: "small", dataset: { sure: step } }));
    return buttonRow("sure", "How sure ", "y", this.sure, "joined");
  }

  #tagRow({ tags }) {
    this.tags = tags.map((tag) => keyed(tag, null, () => this.#toggleTag(tag), { class: "small", dataset: { tag } }));
    return buttonRow("tags", "Tags ", "g", this.tags);
  }

  #templateRow({ templates }) {
    return buttonRow("templates", "Template ", "x", templates.map((template) =>
      keyed(template.name, null, () => this.#apply(template, this.model.chosen()), { class: "small", title: templateWords(template) })));
  }

  /** A unit that is ticked: its name, side and intensity. */
  #unit(unit) {
    const { scheme } = this.model;
    const choice = (name, options, what) => el("select", {
      "aria-label": `${what} of AU ${unit.au}`, onchange: (event) => this.#replace(unit, { ...unit, [name]: event.currentTarget.value }),
    }, options.map(([value, words]) => el("option", { value, selected: unit[name] === value }, words)));
    return el("li", {}, el("span", {}, unitWords({ au: unit.au })),
      scheme.sides && choice("side", SIDES, "Side"), scheme.intensities && choice("intensity", INTENSITIES, "Intensity"),
      el("button", { type: "button", class: "quiet small", "aria-label": `Take AU ${unit.au} out`, onclick: () => this.#replace(unit, null) }, "✕"));
  }

  #replace(unit, by) {
    const { units } = this.model.event();
    this.model.code({ units: units.map((one) => (one === unit ? by : one)).filter(Boolean) });
  }

  #tick(au) {
    const units = this.model.event().units ?? [];
    const left = units.filter((unit) => unit.au !== au);
    this.model.code({ units: left.length < units.length ? left : [...units, { au, side: "", intensity: "" }].sort((a, b) => a.au - b.au) });
  }

  #type() {
    const event = this.model.event(this.unitsOf);
    if (!event) return;
    const read = parseUnits(this.field.value, this.model.scheme);
    if ("problem" in read) {
      this.model.say(read.problem, true);
      this.field.value = notation(event.units ?? []);
    } else if (notation(read.units) !== notation(event.units ?? [])) this.model.code({ units: read.units }, event.key);
  }

  #key(event) {
    if (event.key === "Escape") this.field.value = notation(this.model.event()?.units ?? []);
    else if (event.key !== "Enter") return;
    event.preventDefault();
    this.field.blur();
  }

  #sure(certainty) {
    this.model.code({ certainty });
    this.model.say(certainty ? `how sure: ${certainty}` : "how sure: not given");
  }

  #toggleTag(tag) {
    const event = this.model.event(), tags = event?.tags ?? [];
    this.#tag(event, this.model.scheme.tags.filter((name) => (name === tag) !== tags.includes(name)));
  }

  #tag(event, tags) {
    if (event && tags.join("\n") !== (event.tags ?? []).join("\n")) this.model.code({ tags }, event.key);
  }

  /** Class, units and tags at once; where the machine's answer is hidden they wait for the acceptance. */
  #apply({ label, units = [], tags = [] }, event) {
    if (!event) return undefined;
    const coded = { units: units.map(({ au, side = "", intensity = "" }) => ({ au, side, intensity })), tags };
    if (!isMasked(event)) return this.model.callAs(label, coded, event.key);
    this.model.decide("relabel", { label }, event.key);
    return this.model.code(coded, event.key);
  }
}

const buttonRow = (name, label, key, buttons, kind = "wrap") => el("div", { class: "row" },
  el("span", { class: "label", id: `${name}-label` }, label, el("kbd", {}, key)),
  el("div", { class: ["group", kind], role: "group", "aria-labelledby": `${name}-label` }, buttons));

function templateWords({ label, units = [], tags = [] }) {
  return [label, ...units.map(unitWords), ...tags].join("; ");
}
