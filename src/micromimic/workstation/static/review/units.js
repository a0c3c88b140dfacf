// Action units as a coder writes them ("12", "L12C", "1+2+4B") and as people read them.

import { unitName } from "/static/app.js";

const SIDES = { L: "left", R: "right", B: "both" };
const LETTERS = { left: "L", right: "R", both: "B" };
const ONE = /^([LRB]?)(?:AU ?)?(\d{1,2})([LRB]?)([A-E]?)$/;

/** "AU 12 left C, lip corner puller", of what a coder says. */
export const unitWords = ({ au, side = "", intensity = "" }) => unitName(au, side, intensity);

/** The machine's units of an event in words; empty where none stands out. */
export const machineUnits = (event) => (event.action_units ?? []).map(({ unit, side }) =>
  unitWords({ au: Number(unit), side: side === "both" ? "" : side })).join("; ");

/** Units as they are typed: "4 + L12C". */
export const notation = (units) => units.map(({ au, side, intensity }) => `${LETTERS[side] ?? ""}${au}${intensity}`).join(" + ");

/**
 * What was typed, by the scheme: the units by number, or the line that says what is wrong.
 * @param {string} text @param {{units: number[], sides: boolean, intensities: boolean}} scheme
 * @returns {{units: {au: number, side: string, intensity: string}[]} | {problem: string}}
 */
export function parseUnits(text, scheme) {
  const form = `12${scheme.sides ? ", L12 (left), R12, B12 (both)" : ""}${scheme.intensities ? ", 12C (intensity A to E)" : ""}`;
  const units = new Map();
  for (const part of text.toUpperCase().split(/[\s,;+]+/).filter((word) => word && word !== "AU")) {
    const [, before, digits, after, intensity] = ONE.exec(part) ?? [];
    const side = SIDES[before || after] ?? "", au = Number(digits);
    if (!digits || (before && after) || (side && !scheme.sides) || (intensity && !scheme.intensities)) {
      return { problem: `expected action units as ${form}, got ${part}; several with + between` };
    }
    if (!scheme.units.includes(au)) return { problem: `expected one of the scheme’s action units (${scheme.units.join(", ")}), got ${au}` };
    units.set(`${side} ${au}`, { au, side, intensity });
  }
  return { units: [...units.values()].sort((a, b) => a.au - b.au || a.side.localeCompare(b.side)) };
}
