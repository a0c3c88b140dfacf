// Messages in the corner, questions in a dialog.

import { el } from "/static/viewer/dom.js";

function corner() {
  let box = document.querySelector(".messages");
  if (!box) {
    box = el("div", { class: "messages", role: "region", "aria-label": "Messages" });
    document.body.append(box);
  }
  return box;
}

function show(text, { bad }) {
  const box = corner();
  for (const old of box.children) if (old.dataset.text === text) old.remove();
  const close = el("button", { class: "quiet small", type: "button" }, "Close");
  const message = el("div", { class: ["message", bad && "bad"], role: bad ? "alert" : "status", dataset: { text } },
    el("p", {}, text), close);
  close.addEventListener("click", () => message.remove());
  box.append(message);
  while (box.children.length > 3) box.firstChild.remove();
  return message;
}

/** One line in the corner that stays until it is closed. */
export function showError(error) {
  if (error?.name === "AbortError") return;
  if (error?.name !== "ApiError") console.error(error);
  show(error?.message ?? String(error), { bad: true });
}

/** One calm line that goes by itself. */
export function notice(text) {
  const message = show(text, { bad: false });
  setTimeout(() => message.remove(), 5000);
}

/**
 * A dialog with a form. `body` is nodes; `check` is asked before closing and may be async: it gives
 * null when all is well, else the line to show. Gives the form's values, or null when cancelled.
 */
export function ask({ title, body = [], action = "Save", danger = false, big = false, check = null }) {
  return new Promise((resolve) => {
    const problem = el("p", { class: "problem", role: "alert", hidden: true });
    const submit = el("button", { class: ["primary", danger && "danger"], type: "submit" }, action);
    const cancel = el("button", { type: "button" }, "Cancel");
    const form = el("form", { method: "dialog", novalidate: true }, el("div", { class: "stack" }, body, problem),
      el("div", { class: "actions" }, cancel, submit));
    const heading = el("h2", { id: "dialog-title" }, title);
    const dialog = el("dialog", { class: big && "big", "aria-labelledby": "dialog-title" }, heading, form);
    let values = null;
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(values); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const given = formValues(form);
      submit.disabled = true;
      let line = firstInvalid(form);
      try {
        if (!line && check) line = await check(given, dialog);
      } catch (error) {
        if (error?.name !== "ApiError") console.error(error);
        line = error.message;
      }
      submit.disabled = false;
      problem.hidden = !line;
      problem.textContent = line ?? "";
      if (line) return;
      values = given;
      dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A form's values by name: text trimmed, ticks as true or false. */
export function formValues(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") values[field.name] = field.checked;
    else if (field.type === "radio") { if (field.checked) values[field.name] = field.value; }
    else values[field.name] = field.value.trim();
  }
  return values;
}

/** Marks fields that are not filled in as they must be, and gives the first one's line or null. */
export function firstInvalid(form) {
  let line = null;
  for (const field of form.elements) {
    if (!field.willValidate) continue;
    const bad = !field.checkValidity() || (field.required && field.type === "text" && !field.value.trim());
    field.setAttribute("aria-invalid", String(bad));
    if (bad && line === null) {
      line = field.dataset.missing || field.validationMessage || "this field is needed";
      field.focus();
    }
  }
  return line;
}

/** A yes or no; with `typed`, the word has to be typed first. */
export async function confirmThat({ title, body = [], action, danger = true, typed = "", check = null }) {
  const id = "confirm-typed";
  const field = typed
    ? el("div", { class: "field" },
        el("label", { for: id }, `Type ${typed} to confirm`),
        el("input", { id, name: "typed", type: "text", autocomplete: "off", spellcheck: "false" }))
    : null;
  const right = async (values) => {
    if (typed && values.typed !== typed) return `expected ${typed}, got ${values.typed || "nothing"}; type it as written`;
    return check ? check(values) : null;
  };
  return (await ask({ title, body: [...body, field], action, danger, check: right })) !== null;
}
