// What surrounds every page: navigation, theme, who sits at the desk.

import { ask } from "./dialogs.js";
import { byId, el } from "/static/viewer/dom.js";

/** A value kept in this browser; "" where there is none or storage is off. */
export function remembered(key) {
  try {
    return localStorage.getItem(`micromimic.${key}`) ?? "";
  } catch {
    return "";
  }
}

/** Keeps a value in this browser; without storage it lasts as long as the page. */
export function remember(key, value) {
  try {
    localStorage.setItem(`micromimic.${key}`, value);
  } catch (error) {
    console.info(`not kept: ${error.message}`);
  }
}

let name = null;

/** Name of the person at the desk, "" before anybody gave one. */
export function coder() {
  name ??= remembered("coder");
  return name;
}

/** Asks for the name of the person at the desk; gives it, or the one before when cancelled. */
export async function askCoder() {
  const field = el("input", {
    id: "coder-name", name: "coder", type: "text", required: true, maxlength: "64", autocomplete: "off",
    value: coder(), dataset: { missing: "expected a name, got nothing; type yours or a pseudonym" },
  });
  const values = await ask({
    title: "Who is at the desk?",
    body: [
      el("p", { class: "hint" }, "Decisions and consent are noted under this name. It stays in this browser."),
      el("div", { class: "field" }, el("label", { for: "coder-name" }, "Name or pseudonym"), field),
    ],
    action: "Use this name",
  });
  if (values) {
    name = values.coder;
    remember("coder", name);
    showCoder();
    document.dispatchEvent(new Event("coder"));
  }
  return coder();
}

function showCoder() {
  byId("coder").textContent = coder() || "Your name";
  byId("coder").setAttribute("aria-label", coder() ? `Coder: ${coder()}. Change` : "Set your name");
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark", as shown now. */
export function theme() {
  return document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light");
}

function showTheme() {
  byId("theme").textContent = theme() === "dark" ? "Light" : "Dark";
  document.dispatchEvent(new Event("theme"));
}

function toggleTheme() {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
  remember("theme", document.documentElement.dataset.theme);
  showTheme();
}

/** Makes the page's head work, and says that the page is ready. Fires "theme" and "coder" on document when they change. */
export function header(page) {
  byId("coder").addEventListener("click", askCoder);
  byId("theme").addEventListener("click", toggleTheme);
  systemDark.addEventListener("change", showTheme);
  showCoder();
  showTheme();
  document.documentElement.dataset.ready = page;
}
