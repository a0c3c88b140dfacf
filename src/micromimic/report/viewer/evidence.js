// What speaks for an event's class, as every page lists it.

import { el } from "./dom.js";

/** Names with a bar and a number each. @param {import("./types.d.ts").Share[]} shares @param {(value: number) => string} words @param {Record<string, any>} [props] of the list */
export function shareList(shares, words, props = {}) {
  return el("ul", { class: "shares", ...props }, shares.map(({ name, value, place, best, bar = value }) =>
    el("li", { class: best && "best" }, el("span", {}, name),
      el("span", { class: "track", "aria-hidden": "true" },
        el("span", { class: ["fill", place], style: { width: `${100 * Math.max(0, Math.min(1, bar))}%` } })),
      el("b", {}, words(value)))));
}

/** A cell's name for people: "brow_left" is "left brow". @param {string} cell */
export function cellName(cell) {
  const parts = cell.split("_");
  const side = parts.pop();
  if (side === "right" || side === "left") return `${side} ${parts.join(" ")}`;
  return side === "centre" ? "centre of the brows" : cell.replaceAll("_", " ");
}
