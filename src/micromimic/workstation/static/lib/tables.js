// Tables of figures, and numbers as they stand in them.

import { el } from "/static/viewer/dom.js";

/**
 * A table, which scrolls where it is too wide; rows in groups.
 * @param {{kind?: string, caption: any, unseen?: boolean, columns: any[]}} head @param {any[][]} groups
 */
export function table({ kind = "", caption, unseen = false, columns }, ...groups) {
  return el("div", { class: "scroll" }, el("table", { class: kind },
    el("caption", { class: unseen && "unseen" }, caption),
    el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))), groups.map((rows) => el("tbody", {}, rows))));
}

/** A row: its name, and a cell each; what is an element already is taken as the cell. */
export const row = (name, cells, props = {}) => el("tr", props, el("th", { scope: "row" }, name),
  cells.map((cell) => (cell instanceof HTMLTableCellElement ? cell : el("td", {}, cell))));

/** Two digits and a real minus; "–" where there is none. */
export const two = (value) => (value === null ? "–" : value.toFixed(2).replace("-", "−"));
