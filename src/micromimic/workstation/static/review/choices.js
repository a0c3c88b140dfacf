// Buttons with their keys, and questions that one key answers.

import { PLACES, el, openDialog, pressed } from "/static/app.js";

/** What a press does; by mouse the button gives the focus back first, so that space plays on. */
export const pressing = (act) => (event) => {
  if (event.detail) event.currentTarget.blur();
  act();
};

/**
 * A button with its key, if it has one.
 * @param {string} label @param {string | null} key @param {() => any} act @param {Record<string, any>} [props]
 */
export function keyed(label, key, act, { icon = null, title = label, ...props } = {}) {
  return el("button", { type: "button", "aria-keyshortcuts": key, title: `${title}${key ? ` (${key})` : ""}`, onclick: pressing(act), ...props },
    icon, label, key && el("kbd", {}, key));
}

/** The key of the k-th of several: the first nine have one. */
export const keyOf = (k) => (k < PLACES ? String(k + 1) : null);

/** Keys in a dialog: the desk's own must not hear them. */
function onKeys(dialog, acts) {
  dialog.addEventListener("keydown", (event) => {
    const act = acts(event.key);
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  });
}

/**
 * One of several, answered by a key or a button; null where it is given up. `options` are [name, icon, title].
 * @param {{title: string, hint: string, options: [string, any?, string?][]}} question
 */
export async function askOne({ title, hint, options }) {
  let chosen = null;
  const choose = (k) => {
    chosen = k;
    dialog.close();
  };
  const buttons = options.map(([name, icon, about], k) => keyed(name, keyOf(k), () => choose(k), { class: "class", icon, title: about || name }));
  const { dialog, closed } = openDialog({ title }, el("p", { class: "hint" }, hint),
    el("div", { class: "actions" }, keyed("Cancel ", "Esc", () => dialog.close(), { "aria-keyshortcuts": "Escape" }), buttons));
  onKeys(dialog, (key) => {
    const k = options.findIndex((_, place) => keyOf(place) === key);
    return k >= 0 && (() => choose(k));
  });
  buttons[0]?.focus();
  await closed;
  return chosen;
}

/**
 * Any of several: keys and buttons tick, Enter takes what is ticked, Escape gives up (null).
 * @param {{title: string, hint: string, options: string[], ticked: string[]}} question
 */
export async function askSome({ title, hint, options, ticked }) {
  const chosen = new Set(ticked);
  let taken = null;
  const toggle = (k) => {
    if (!chosen.delete(options[k])) chosen.add(options[k]);
    pressed(buttons[k], chosen.has(options[k]));
  };
  const take = () => {
    taken = options.filter((name) => chosen.has(name));
    dialog.close();
  };
  const buttons = options.map((name, k) => keyed(name, keyOf(k), () => toggle(k), { class: "class", "aria-pressed": String(chosen.has(name)) }));
  const done = keyed("Done", "Enter", take, { class: "primary" });
  const { dialog, closed } = openDialog({ title }, el("p", { class: "hint" }, hint), el("div", { class: "actions" }, buttons, done));
  onKeys(dialog, (key) => {
    if (key === "Enter" && !dialog.querySelector('.class:focus')) return take;
    const k = options.findIndex((_, place) => keyOf(place) === key);
    return k >= 0 && (() => toggle(k));
  });
  done.focus();
  await closed;
  return taken;
}
