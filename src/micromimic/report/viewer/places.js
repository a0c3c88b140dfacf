// Classes are the model's own: their colour, mark and key go by their place in its label set.

/**
 * Corners of a shape about its middle: a ring, or a star of two radii in turn.
 * @param {number} count @param {number[]} radii @returns {[number, number][]}
 */
const corners = (count, radii, turn = 0) => Array.from({ length: count }, (_, k) => {
  const angle = turn + (2 * Math.PI * k) / count, size = radii[k % radii.length];
  return [size * Math.sin(angle), -size * Math.cos(angle)];
});
/** @type {[number, number][]} */
const CROSS = [[-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35], [1, 0.35], [0.35, 0.35], [0.35, 1], [-0.35, 1], [-0.35, 0.35], [-1, 0.35], [-1, -0.35], [-0.35, -0.35]];

/**
 * A sign for text and corners for a canvas; palette.css has as many colours.
 * @type {{sign: string, corners: [number, number][]}[]}
 */
const MARKS = [
  { sign: "▼", corners: [[-1, -0.8], [1, -0.8], [0, 0.9]] },
  { sign: "▲", corners: [[-1, 0.8], [1, 0.8], [0, -0.9]] },
  { sign: "◆", corners: [[0, -1.1], [1.1, 0], [0, 1.1], [-1.1, 0]] },
  { sign: "●", corners: corners(16, [0.95]) },
  { sign: "■", corners: corners(4, [1.2], Math.PI / 4) },
  { sign: "★", corners: corners(10, [1.2, 0.5]) },
  { sign: "✚", corners: CROSS },
  { sign: "◄", corners: [[0.8, -1], [0.8, 1], [-0.9, 0]] },
  { sign: "►", corners: [[-0.8, -1], [-0.8, 1], [0.9, 0]] },
];
/** @type {typeof MARKS[0]} */
const UNKNOWN = { sign: "–", corners: [[-1, -0.2], [1, -0.2], [1, 0.2], [-1, 0.2]] };

export const PLACES = MARKS.length;

/**
 * Where a class stands in its model's label set: "place-1" for the first, "place-0" for none of it. A
 * longer set than there are marks begins again with the first.
 * @param {string} label @param {string[]} labels
 */
export function placeOf(label, labels) {
  const k = labels.indexOf(label);
  return `place-${k < 0 ? 0 : (k % PLACES) + 1}`;
}

/** The mark of a place as `placeOf` names it. @param {string} place */
export const markOf = (place) => MARKS[Number(place.slice(6)) - 1] ?? UNKNOWN;
