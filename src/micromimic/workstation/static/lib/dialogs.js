// Messages in the corner, questions in a dialog.

import { all, byId, el, showLine } from "/static/viewer/dom.js";
import { lineOf } from "./forms.js";

function message(text, bad) {
  let corner = document.querySelector(".messages");
  corner ??= document.body.appendChild(el("div", { class: "messages", role: "region", "aria-label": "Messages" }));
  for (const old of [...corner.children]) if (old.firstChild.textContent === text) old.remove();
  const close = el("button", { class: "quiet small", type: "button", onclick: () => node.remove() }, "Close");
  const node = el("div", { class: ["message", bad && "bad"], role: bad ? "alert" : "status" }, el("p", {}, text), close);
  corner.append(node);
  while (corner.children.length > 3) corner.firstChild.remove();
  return node;
}

/** One line in the corner that stays until it is closed. */
export function showError(error) {
  if (error?.name !== "AbortError") message(lineOf(error), true);
}

/** One calm line that goes by itself. */
export function notice(text) {
  const node = message(text, false);
  setTimeout(() => node.remove(), 5000);
}

let opened = 0;

/** Opens a dialog, which is gone when it is closed. Gives it, and a promise of its closing. */
export function openDialog({ title, kind = "" }, ...body) {
  const id = `dialog-title-${++opened}`; // one may be opened above another
  const dialog = el("dialog", { class: kind, "aria-labelledby": id }, el("h2", { id }, title), body);
  const closed = new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve();
  }));
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, closed };
}

/**
 * A dialog with a form. `body` is nodes; `check` is asked before closing and may be async: it gives
 * null when all is well, else the line to show. Gives the form's values, or null when cancelled.
 * @param {{title: string, body?: any, action?: string, danger?: boolean, check?: (values: any) => any}} question
 */
export async function ask({ title, body = [], action = "Save", danger = false, check = () => null }) {
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const submit = el("button", { class: ["primary", danger && "danger"], type: "submit" }, action);
  const form = el("form", { method: "dialog", novalidate: true }, el("div", { class: "stack" }, body, problem),
    el("div", { class: "actions" }, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), submit));
  const { dialog, closed } = openDialog({ title }, form);
  let values = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = formValues(form);
    submit.disabled = true;
    let line;
    try {
      line = firstInvalid(form) ?? (await check(given));
    } catch (error) {
      line = lineOf(error);
    }
    submit.disabled = false;
    showLine(problem, line);
    if (line) return;
    values = given;
    dialog.close();
  });
  await closed;
  return values;
}

/** The fields of a template of the page, filled in. */
export function fieldsOf(id, values) {
  const body = byId(id).content.cloneNode(true);
  for (const field of all("[name]", body)) field[field.type === "checkbox" ? "checked" : "value"] = values[field.name] ?? "";
  return body;
}

/** A form's values by name: text trimmed, ticks as true or false. */
function formValues(form) {
  const named = [...form.elements].filter((field) => field.name && (field.type !== "radio" || field.checked));
  return Object.fromEntries(named.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value.trim()]));
}

/** Marks fields that are not filled in as they must be, and gives the first one's line or null. */
function firstInvalid(form) {
  const bad = [...form.elements].filter((field) => {
    if (!field.willValidate) return false;
    const wrong = !field.checkValidity() || (field.required && field.type === "text" && !field.value.trim());
    field.setAttribute("aria-invalid", String(wrong));
    return wrong;
  });
  bad[0]?.focus();
  return bad.length ? bad[0].dataset.missing || bad[0].validationMessage || "this field is needed" : null;
}

/** A yes or no; with `typed`, the word has to be typed first. */
export async function confirmThat({ title, body, action, typed = "", check = (_values) => null }) {
  const field = typed && el("div", { class: "field" },
    el("label", { for: "confirm-typed" }, `Type ${typed} to confirm`),
    el("input", { id: "confirm-typed", name: "typed", type: "text", autocomplete: "off", spellcheck: "false" }));
  const right = (values) =>
    typed && values.typed !== typed ? `expected ${typed}, got ${values.typed || "nothing"}; type it as written` : check(values);
  return (await ask({ title, body: [body, field], action, danger: true, check: right })) !== null;
}
