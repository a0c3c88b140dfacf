// Building elements, and words for numbers. Text goes in as text nodes only: nothing that a person
// typed (names, codes, notes) is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") node.setAttribute("class", Array.isArray(value) ? value.filter(Boolean).join(" ") : value);
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "style") for (const [key, item] of Object.entries(value)) node.style.setProperty(key, item);
  else if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2).toLowerCase(), value);
  else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") node[name] = value;
  else node.setAttribute(name, value === true ? "" : String(value));
}

/**
 * An HTML element: el("button", {class: "small", type: "button", onclick: go}, "Go").
 * Properties: class (text or list), dataset, style (set through CSSOM, which the CSP allows),
 * on... (listeners); everything else is an attribute. false, null and undefined are left out.
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  return add(node, children);
}

/** An SVG element, with the same properties as el. */
export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  return add(node, children);
}

/** Puts children in place of all that was in the node. */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

export const byId = (id) => document.getElementById(id);

/** A colour token as the browser sees it now, for a canvas: colour("accent"). */
export function colour(name) {
  const probe = el("span", { hidden: true, style: { color: `var(--${name})` } });
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Seconds as minutes, seconds and thousandths: 61.3 is "1:01.300". */
export function formatTime(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const sign = seconds < 0 ? "−" : "";
  const thousandths = Math.round(Math.abs(seconds) * 1000);
  const minutes = Math.floor(thousandths / 60000);
  const rest = ((thousandths % 60000) / 1000).toFixed(3).padStart(6, "0");
  return `${sign}${minutes}:${rest}`;
}

/** Seconds for people: "48 s", "3 min 20 s", "1 h 4 min". */
export function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.floor((whole % 3600) / 60);
  return `${Math.floor(whole / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
}

/** Bytes for people: "29.7 MB". */
export function formatSize(bytes) {
  if (!Number.isFinite(bytes)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A date of the records (ISO text): "23 Nov 2026"; a day without a time stays that day. */
export function formatDate(text) {
  if (!text) return "–";
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00`) : new Date(text);
  return day.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** A moment of the records (ISO text): "23 Nov 2026, 14:05". */
export function formatMoment(text) {
  if (!text) return "–";
  return new Date(text).toLocaleString("en-GB", {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  });
}

/** One or many: plural(2, "candidate") is "2 candidates". */
export function plural(count, one, many = `${one}s`) {
  return `${Number(count).toLocaleString("en-GB")} ${count === 1 ? one : many}`;
}

/** Action units of an event, as "AU12 left, AU6"; empty where none stands out. */
export function unitNames(event) {
  return (event.action_units ?? []).map(({ unit, side }) => `AU${unit}${side === "both" ? "" : ` ${side}`}`).join(", ");
}

/** A cell's name for people: "brow_left" is "left brow". */
export function cellName(cell) {
  const parts = cell.split("_");
  const side = parts.pop();
  if (side === "right" || side === "left") return `${side} ${parts.join(" ")}`;
  return side === "centre" ? "centre of the brows" : cell.replaceAll("_", " ");
}
