// Building elements, and the words and colours that every picture shares. Text goes in as text nodes
// only: nothing that a person typed (names, codes, notes) is ever read as HTML.

/** @param {HTMLElement} node @param {any[]} children */
function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** @param {any} node @param {string} name @param {any} value */
function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") node.className = Array.isArray(value) ? value.filter(Boolean).join(" ") : value;
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "style") for (const key of Object.keys(value)) node.style.setProperty(key, value[key]);
  else if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2), value);
  else if (["value", "checked", "disabled", "selected"].includes(name)) node[name] = value;
  else node.setAttribute(name, value === true ? "" : String(value));
}

/**
 * An HTML element: el("button", {class: "small", type: "button", onclick: go}, "Go").
 * Properties: class (text or list), dataset, style (set through CSSOM, which the CSP allows),
 * on... (listeners); everything else is an attribute. false, null and undefined are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, any>} [props] @param {any[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const name of Object.keys(props)) set(node, name, props[name]);
  add(node, children);
  return node;
}

/** Puts children in place of all that was in the node. @param {HTMLElement} node @param {any[]} children */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

/** An element of the page's own markup, of the type that it has there. @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** All elements of a selector. @param {string} selector @param {ParentNode} [within] @returns {any[]} */
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Says whether a button is pressed. @param {HTMLElement} button @param {boolean} on */
export const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));

/** Shows a line in its place, or hides the place where there is none. @param {HTMLElement} place @param {string | null} line */
export function showLine(place, line) {
  place.hidden = !line;
  setWords(place, line ?? "");
}

/** Words in their place, touched only where they change: a screen reader speaks them then. @param {HTMLElement} place @param {string} words */
export function setWords(place, words) {
  if (place.textContent !== words) place.textContent = words;
}

/** Seconds as minutes, seconds and thousandths: 61.3 is "1:01.300". @param {number} seconds */
export function formatTime(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const thousandths = Math.round(Math.abs(seconds) * 1000);
  const rest = ((thousandths % 60000) / 1000).toFixed(3).padStart(6, "0");
  return `${seconds < 0 ? "−" : ""}${Math.floor(thousandths / 60000)}:${rest}`;
}

const COLOURS = ["ink", "muted", "line", "panel", "soft", "accent", "warm", "curve", "blink", "gate", "lost"];

/** The page's colours as its theme has them now, by their token's name. @param {number} places */
export function colours(places) {
  const probe = el("span", { hidden: true });
  document.body.append(probe);
  const names = [...COLOURS, ...Array.from({ length: places }, (_, k) => `place-${k + 1}`)];
  /** @type {Record<string, string>} */
  const found = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  found["place-0"] = found.muted;
  probe.remove();
  return found;
}

/**
 * Makes a canvas as sharp as the screen and empties it; its context draws in CSS pixels.
 * @param {HTMLCanvasElement} canvas
 */
export function sharp(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  const wide = Math.round(width * ratio), tall = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== tall) Object.assign(canvas, { width: wide, height: tall });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Asks for a drawing with the browser's next frame, once, however often it is called. @param {() => void} draw */
export function inNextFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
