// A new event needs a class: one question, answered by a key or a button.

import { el } from "/static/app.js";
import { classMark } from "./inspector.js";
import { CLASSES, frameWords } from "./words.js";

/** The class of a new event at a frame, or null when it is not to be. */
export function askClass(frame, clock) {
  return new Promise((resolve) => {
    let label = null;
    const choose = (name) => {
      label = name;
      dialog.close();
    };
    const buttons = CLASSES.map((name, k) => el("button", { type: "button", class: ["class", name], onclick: () => choose(name) },
      classMark(name), name, el("kbd", {}, String(k + 1))));
    const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel ", el("kbd", {}, "Esc"));
    const dialog = el("dialog", { "aria-labelledby": "adding-title" },
      el("h2", { id: "adding-title" }, "Add an event"),
      el("p", { class: "hint" }, `Apex at ${frameWords(frame, clock)}. Onset and offset are set around it; drag them, or use i and o.`),
      el("div", { class: "actions" }, cancel, buttons));
    dialog.addEventListener("keydown", (event) => {
      const name = CLASSES[Number(event.key) - 1];
      if (name && !event.ctrlKey && !event.altKey && !event.metaKey) choose(name);
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
