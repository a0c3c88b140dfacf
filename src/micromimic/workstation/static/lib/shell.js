// What surrounds every page: navigation, theme, who sits at the desk.

import { ask } from "./dialogs.js";
import { byId, el, svg } from "./dom.js";

const PAGES = [
  ["analyse", "Analyse", "/"],
  ["live", "Live", "/live"],
  ["subjects", "Subjects", "/subjects"],
  ["export", "Export", "/export"],
  ["about", "About", "/about"],
];
const NOT_FOR =
  "Candidates, not verdicts. Not a lie detector. Inferring emotions at work or in education is " +
  "prohibited in the EU (AI Act, Article 5(1)(f)) outside medical and safety uses. ";

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
    document.dispatchEvent(new CustomEvent("coder", { detail: name }));
  }
  return coder();
}

function showCoder() {
  const button = byId("coder");
  if (!button) return;
  button.textContent = coder() || "Your name";
  button.setAttribute("aria-label", coder() ? `Coder: ${coder()}. Change` : "Set your name");
}

const systemDark = () => matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark", as shown now. */
export function theme() {
  return document.documentElement.dataset.theme || (systemDark().matches ? "dark" : "light");
}

function showTheme() {
  const button = byId("theme");
  if (button) button.textContent = theme() === "dark" ? "Light" : "Dark";
  document.dispatchEvent(new CustomEvent("theme", { detail: theme() }));
}

function toggleTheme() {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
  remember("theme", document.documentElement.dataset.theme);
  showTheme();
}

function logo() {
  return svg("svg", { class: "logo", viewBox: "0 0 20 20", "aria-hidden": "true" },
    svg("defs", {}, svg("linearGradient", { id: "brand", x2: "1", y2: "1" },
      svg("stop", { style: { "stop-color": "var(--accent)" } }),
      svg("stop", { offset: "1", style: { "stop-color": "var(--brand)" } }))),
    svg("rect", { width: "20", height: "20", rx: "5.5", fill: "url(#brand)" }),
    svg("circle", { cx: "10", cy: "9.4", r: "2.5", style: { fill: "var(--panel)" } }));
}

/**
 * Fills <header id="top"> and <footer id="foot">; `current` is "analyse", "live", "review",
 * "subjects", "export" or "about". Fires "theme" and "coder" on document when they change.
 */
export function header(current, { wide = false } = {}) {
  const links = PAGES.map(([key, label, href]) =>
    el("li", {}, el("a", { href, "aria-current": key === current && "page" }, label)));
  const top = byId("top"), foot = byId("foot");
  top.className = wide ? "site wide" : "site";
  top.replaceChildren(el("div", { class: "inner" },
    el("a", { class: "brand", href: "/" }, logo(), "micromimic"),
    el("nav", { "aria-label": "Pages" }, el("ul", {}, links)),
    el("div", { class: "desk" },
      el("button", { id: "coder", class: "small coder", type: "button", onclick: askCoder }),
      el("button", { id: "theme", class: "small", type: "button", "aria-label": "Switch between light and dark", onclick: toggleTheme }))));
  foot.className = wide ? "wide" : "";
  foot.replaceChildren(el("p", {}, NOT_FOR, el("a", { href: "/about", "aria-label": "More on what this is not for" }, "More")));
  systemDark().addEventListener("change", showTheme);
  showCoder();
  showTheme();
  document.documentElement.dataset.ready = current;
}
