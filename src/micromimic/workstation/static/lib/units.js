// Action units as a coder writes them ("12", "L12C", "1+2+4B") and as people read them.

/** Names of FACS, as report/words.py has them. @type {Record<string, string>} */
export const UNITS = {
  1: "inner brow raiser", 2: "outer brow raiser", 4: "brow lowerer", 5: "upper lid raiser", 6: "cheek raiser",
  7: "lid tightener", 9: "nose wrinkler", 10: "upper lip raiser", 12: "lip corner puller", 14: "dimpler",
  15: "lip corner depressor", 16: "lower lip depressor", 17: "chin raiser", 18: "lip pucker", 20: "lip stretcher",
  23: "lip tightener", 24: "lip pressor", 25: "lips part", 26: "jaw drop", 28: "lip suck", 45: "blink",
};
const SIDES = { L: "left", R: "right", B: "both" };
const LETTERS = { left: "L", right: "R", both: "B" };

/** "AU 12 left C, lip corner puller", of what a coder says. */
export const unitWords = ({ au, side = "", intensity = "" }) => ["AU", au, side, intensity].filter(Boolean).join(" ") + (UNITS[au] ? `, ${UNITS[au]}` : "");

/** The machine's units of an event in words; empty where none stands out. */
export const machineUnits = (event) => (event.action_units ?? []).map(({ unit, side }) =>
  unitWords({ au: unit, side: side === "both" ? "" : side })).join("; ");

/** Units as they are typed: "4 + L12C". */
export const notation = (units, between = " + ") => units.map(({ au, side, intensity }) => `${LETTERS[side] ?? ""}${au}${intensity}`).join(between);

/**
 * What was typed, by the scheme: the units by number, or the line that says what is wrong.
 * @param {string} text @param {{units?: number[], sides: boolean, intensities: boolean}} scheme without units: any
 * @returns {{units: {au: number, side: string, intensity: string}[]} | {problem: string}}
 */
export function parseUnits(text, scheme) {
  const form = `12${scheme.sides ? ", L12 (left), R12, B12 (both)" : ""}${scheme.intensities ? ", 12C (intensity A to E)" : ""}`;
  // A B behind the number is an intensity where there are any: R6B, 12B; both sides are B12 then.
  const one = new RegExp(`^([LRB]?)(?:AU ?)?(\\d{1,2})(${scheme.intensities ? "[LR]" : "[LRB]"}?)([A-E]?)$`);
  const units = new Map();
  for (const part of text.toUpperCase().split(/[\s,;+]+/).filter((word) => word && word !== "AU")) {
    const [, before, digits, after, intensity] = one.exec(part) ?? [];
    const side = SIDES[before || after] ?? "", au = Number(digits);
    if (!digits || (before && after) || (side && !scheme.sides) || (intensity && !scheme.intensities)) {
      return { problem: `expected action units as ${form}, got ${part}; several with + between` };
    }
    if (scheme.units && !scheme.units.includes(au)) return { problem: `expected one of the scheme’s action units (${scheme.units.join(", ")}), got ${au}` };
    units.set(`${side} ${au}`, { au, side, intensity });
  }
  return { units: [...units.values()].sort((a, b) => a.au - b.au || a.side.localeCompare(b.side)) };
}
