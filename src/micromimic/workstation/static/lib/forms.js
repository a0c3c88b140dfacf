// Forms: what they ask for, what goes wrong as a line in its place, and files in and out.

import { byId, el, fill, showLine } from "/static/viewer/dom.js";
import { api, apiUrl } from "./api.js";

/** The line of an error; one that no server answered with is a fault of the page, and logged. */
export function lineOf(error) {
  if (error?.name !== "ApiError") console.error(error);
  return error?.message ?? String(error);
}

/** Does what a form asks for; what goes wrong is the line of its problem. Gives what came of it, or null. */
export async function attempt(form, act) {
  const problem = byId(`${form}-problem`);
  showLine(problem, "");
  try {
    return await act();
  } catch (error) {
    showLine(problem, lineOf(error));
    return null;
  }
}

export function onSubmit(form, act) {
  byId(form).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form, act);
  });
}

/** Does something with a file as soon as it is chosen; the same one can be chosen again. */
export function onFile(field, form, act) {
  byId(field).addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (file) attempt(form, () => act(file));
  });
}

export const option = (value, words = value, more = {}) => el("option", { value, ...more }, words);

/** Fills a select and keeps what was chosen, where it is still there. */
export function fillSelect(select, ...options) {
  const before = select.value;
  fill(select, options);
  if ([...select.options].some((o) => o.value === before && !o.disabled)) select.value = before;
}

/** The words of a field with commas between. */
export const words = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);

/** The lines of a field that are not empty. */
export const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

function download(href, name) {
  const link = el("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** Asks first, so that a refusal is a line here; the file itself streams as a download. */
export async function downloadFrom(path, query) {
  const control = new AbortController();
  await api(path, { query, signal: control.signal, raw: true });
  control.abort();
  download(apiUrl(path, query), "");
}

/** Saves as a file what the page holds. */
export function saveAs(blob, name) {
  const url = URL.createObjectURL(blob);
  download(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 30000);
}
