// A new event needs a class: one question, answered by a key or a button.

import { el } from "/static/app.js";
import { classKey, classMark } from "./inspector.js";
import { frameWords } from "./words.js";

/** The class of a new event at a frame, or null when it is not to be. */
export function askClass(frame, model) {
  return new Promise((resolve) => {
    let label = null;
    const choose = (name) => {
      label = name;
      dialog.close();
    };
    const buttons = model.labels.map((name, k) => el("button", { type: "button", class: "class", onclick: () => choose(name) },
      classMark(model, name), name, classKey(k) && el("kbd", {}, classKey(k))));
    const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel ", el("kbd", {}, "Esc"));
    const dialog = el("dialog", { "aria-labelledby": "adding-title" },
      el("h2", { id: "adding-title" }, "Add an event"),
      el("p", { class: "hint" }, `Apex at ${frameWords(frame, model.clock)}. Onset and offset are set around it; drag them, or use i and o.`),
      el("div", { class: "actions" }, cancel, buttons));
    dialog.addEventListener("keydown", (event) => {
      const name = model.labels.find((_, k) => classKey(k) === event.key);
      if (!name || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault(); // else the desk's own keys would name the chosen event, too
      choose(name);
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(label);
    });
    document.body.append(dialog);
    dialog.showModal();
    buttons[0].focus();
  });
}
