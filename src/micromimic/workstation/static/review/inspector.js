// The chosen event: what the machine said beside what the coder says, and every decision as a button.
// While the machine's answer is hidden (blind), or a held-back movement is looked at, the same card.

import { byId, el, fill, formatTime, pressed, showLine, signOf, term } from "/static/app.js";
import { askOne, keyOf, keyed } from "./choices.js";
import { isMasked, missing } from "./draft.js";
import { stretchAround, sizeWords } from "./held.js";
import { POINTS, STATUS, eventName, frameWords, isAdded, isLonger, reasonWords, share } from "./words.js";

export function classMark(model, label) {
  const place = model.place(label);
  return el("span", { class: ["mark", place], "aria-hidden": "true" }, signOf(place));
}

export function statusBadge({ status }) {
  return el("span", { class: ["status", status] }, el("b", { "aria-hidden": "true" }, STATUS[status].sign), ` ${STATUS[status].word}`);
}

/** The class of a new event at a frame, or null when it is not to be: one question, answered by a key or a button. */
export async function askClass(frame, model) {
  const { onset_frame: from, offset_frame: to } = stretchAround(model, frame);
  const known = model.blind ? "Onset and offset are set around it" : `It gets the stretch from frame ${from} to ${to}`;
  const options = model.labels.map((name) => /** @type {[string, any, string]} */ ([name, classMark(model, name), model.scheme.described[name]]));
  const chosen = await askOne({ title: "Add an event", hint: `Apex at ${frameWords(frame, model.clock)}. ${known}; drag its ends, or use i and o.`, options });
  return chosen === null ? null : model.labels[chosen];
}

/** The card of the chosen event. Gives what goes to its comment. */
export function inspector(model) {
  const note = byId("note");
  const choices = model.labels.map((name, k) => keyed(name, keyOf(k), () => model.decide("relabel", { label: name }),
    { class: "class", icon: classMark(model, name), title: model.scheme.described[name] || `Call it ${name}`, dataset: { label: name } }));
  let noteOf = null;

  function show() {
    const event = model.event(), movement = model.held === null ? null : model.heldBack[model.held];
    byId("inspector-body").hidden = !event && !movement;
    byId("inspector-none").hidden = Boolean(event || movement);
    for (const id of ["accept", "reject"]) byId(id).hidden = !event;
    note.closest(".field").hidden = !event;
    for (const point of POINTS) byId(`set-${point}`).hidden = !event;
    byId("remove").hidden = !event || !isAdded(event);
    byId("coding").classList.toggle("no-event", !event);
    byId("inspector-body").classList.toggle("masked", isMasked(event));
    byId("inspector-body").classList.toggle("held-back", Boolean(movement));
    if (event) showEvent(event);
    else if (movement) showHeld(movement);
    else fill(byId("inspector-none"), noneWords().map((line) => el("span", {}, line)));
  }

  /** What the recording shows and what to do next; without candidates, what to do with this very file. */
  function noneWords() {
    const { summary, advice } = model;
    const held = model.heldBack.length > 0 && "h steps through the movements that were held back.";
    if (model.events.length) return [summary.join(" "), "Choose an event on the timeline or in the list, or press n. Add one that the machine missed with e.", held].filter(Boolean);
    return [summary.join(" "), ...advice, "Add an event that the machine missed: go to its apex and press e.", held].filter(Boolean);
  }

  function showEvent(event) {
    const { events } = model, { machine, status, label } = event, masked = isMasked(event);
    fill(byId("inspector-title"), `Event ${eventName(event.key)}`, el("small", {}, `${events.indexOf(event) + 1} of ${events.length}`));
    fill(byId("badges"), statusBadge(event),
      differs(event) && el("span", { class: "badge accent", title: "You say another class or other frames than the machine" }, "✎ differs"),
      isAdded(event) && el("span", { class: "badge accent" }, "+ added by you"),
      masked && el("span", { class: "badge accent" }, term("blind coding", "blind: look and decide")),
      machine?.uncertain && el("span", { class: "badge warn" }, term("model is unsure", "the model is unsure")),
      isLonger(event) && el("span", { class: "badge" }, term("longer expression")),
      event.unsaved && el("span", { class: "badge warn" }, "not saved yet"));
    const draft = masked ? model.drafts.of(event.key) : event;
    const own = status === "rejected" ? {} : draft;
    const lacks = masked ? missing(draft, model.classKeys) : [];
    const [from, to] = (event.window ?? []).map((frame) => formatTime(model.clock.time(frame)));
    showLine(byId("todo"), !masked ? null : lacks.length
      ? `From ${from} to ${to}. To be set: ${lacks.join(", ")}. Nothing there: r.`
      : "All is set: a accepts it and shows the machine’s answer.");
    row("class", machine?.label, own.label || null, (name) => [classMark(model, name), name],
      machine && ` ${share(machine.probabilities?.[machine.label])}`);
    if (status === "rejected") byId("class-own").textContent = STATUS.rejected.word;
    for (const point of POINTS) row(point, machine?.[`${point}_frame`], own[`${point}_frame`], (frame) => at(frame));
    const named = masked ? draft.label : status === "accepted" && label;
    for (const button of choices) pressed(button, named === button.dataset.label);
    pressed(byId("accept"), status === "accepted");
    pressed(byId("reject"), status === "rejected");
    if (document.activeElement !== note || noteOf !== event.key) note.value = event.note;
    noteOf = event.key;
  }

  /** From the machine's answer, where that is one that the coder can give. */
  function differs({ changed, status, label, machine }) {
    return changed && status !== "rejected" && (label === machine.label || model.labels.includes(machine.label));
  }

  /** A held-back movement: why, how large, and its own ends; a class makes it an event. */
  function showHeld(movement) {
    fill(byId("inspector-title"), term("held back", "Held back"), el("small", {}, `${model.held + 1} of ${model.heldBack.length}`));
    fill(byId("badges"), el("span", { class: "badge" }, reasonWords(movement.reason)));
    showLine(byId("todo"), [sizeWords(movement), `A class (${model.classKeys}) makes it an event with these ends.`].filter(Boolean).join(". "));
    row("class", undefined, null, String);
    for (const point of POINTS) row(point, movement[`${point}_frame`], null, (frame) => at(frame));
    for (const button of choices) pressed(button, false);
  }

  function at(frame) {
    return [el("b", {}, frame), " ", el("span", { class: "time" }, formatTime(model.clock.time(frame)))];
  }

  function row(name, machine, own, words, more = null) {
    const none = own === null || own === undefined;
    fill(byId(`${name}-machine`), machine === undefined ? "–" : [words(machine), more]);
    fill(byId(`${name}-own`), none ? "–" : words(own));
    byId(`${name}-own`).classList.toggle("differs", machine !== undefined && !none && machine !== own);
  }

  function noteKey(event) {
    if (event.key === "Escape") note.value = model.event()?.note ?? "";
    else if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    note.blur();
  }

  function saveNote() {
    const event = model.event(noteOf), words = note.value.trim();
    if (event && words !== event.note) model.decide("comment", { note: words }, event.key);
  }

  note.addEventListener("keydown", noteKey);
  note.addEventListener("change", saveNote);
  byId("choices").append(...choices);
  byId("choices").parentElement.classList.toggle("many", model.labels.length > 4);
  model.on("events select machine", show);
  show();
  return () => { if (model.chosen()) note.focus(); };
}
