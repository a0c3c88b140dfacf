// What surrounds every page: theme, who is coding, what this browser remembers.

import { byId } from "/static/viewer/dom.js";
import { themeButton } from "/static/viewer/theme.js";
import { ask, fieldsOf } from "./dialogs.js";
import { explainTerms } from "./glossary.js";

/** A value kept in this browser or this tab; "" where there is none or storage is off. */
export function remembered(key, storage = "localStorage") {
  try {
    return window[storage].getItem(`micromimic.${key}`) ?? "";
  } catch {
    return "";
  }
}

/** The same of a value that was kept as JSON; null where there is none, or it cannot be read. */
export function rememberedJson(key, storage = "localStorage") {
  try {
    return JSON.parse(remembered(key, storage) || "null");
  } catch (error) {
    console.info(`${key} of an earlier visit cannot be read: ${error.message}`);
    return null;
  }
}

/** Keeps a value; "" forgets it. Without storage it lasts as long as the page. */
export function remember(key, value, storage = "localStorage") {
  try {
    if (value) window[storage].setItem(`micromimic.${key}`, value);
    else window[storage].removeItem(`micromimic.${key}`);
  } catch (error) {
    console.info(`not kept: ${error.message}`);
  }
}

let name = remembered("coder");

/** Name of the person who is coding, "" before anybody gave one. */
export const coder = () => name;

/** Asks for the name of the person who is coding; gives it, or the one before when cancelled. */
export async function askCoder() {
  const values = await ask({
    title: "Who is coding?",
    body: fieldsOf("coder-form", { coder: name }),
    action: "Use this name",
  });
  if (values) {
    name = values.coder;
    remember("coder", name);
    showCoder();
    document.dispatchEvent(new Event("coder"));
  }
  return name;
}

function showCoder() {
  byId("coder").textContent = name ? `Coder: ${name}` : "Coder: no name yet";
  byId("coder").setAttribute("aria-label", name ? `Coder: ${name}. Change` : "Coder: no name yet. Give yours");
}

/** Makes the page's head work, and says that the page is ready. Fires "theme" and "coder" on document when they change. */
export function header(page) {
  byId("coder").addEventListener("click", askCoder);
  showCoder();
  explainTerms();
  themeButton(byId("theme"), (theme) => remember("theme", theme));
  document.documentElement.dataset.ready = page;
}
