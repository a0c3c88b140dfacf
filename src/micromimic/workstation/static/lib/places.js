// Classes are the model's own: their colour, mark and key go by their place in its label set.

/** Corners of a shape about its middle: a ring, or a star of two radii in turn. */
const corners = (count, radius, turn = 0) => Array.from({ length: count }, (_, k) => {
  const angle = turn + (2 * Math.PI * k) / count, size = typeof radius === "number" ? radius : radius[k % radius.length];
  return [size * Math.sin(angle), -size * Math.cos(angle)];
});

/** A sign for text and corners for a canvas; palette.css has as many colours. A longer set begins again with the first. */
const MARKS = [
  { sign: "▼", corners: [[-1, -0.8], [1, -0.8], [0, 0.9]] },
  { sign: "▲", corners: [[-1, 0.8], [1, 0.8], [0, -0.9]] },
  { sign: "◆", corners: [[0, -1.1], [1.1, 0], [0, 1.1], [-1.1, 0]] },
  { sign: "●", corners: corners(16, 0.95) },
  { sign: "■", corners: corners(4, 1.2, Math.PI / 4) },
  { sign: "★", corners: corners(10, [1.2, 0.5]) },
  { sign: "✚", corners: [[-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35], [1, 0.35], [0.35, 0.35], [0.35, 1], [-0.35, 1], [-0.35, 0.35], [-1, 0.35], [-1, -0.35], [-0.35, -0.35]] },
  { sign: "◄", corners: [[0.8, -1], [0.8, 1], [-0.9, 0]] },
  { sign: "►", corners: [[-0.8, -1], [-0.8, 1], [0.9, 0]] },
];
const UNKNOWN = { sign: "–", corners: [[-1, -0.2], [1, -0.2], [1, 0.2], [-1, 0.2]] };

export const PLACES = MARKS.length;

/** Where a class stands in its model's label set: "place-1" for the first, "place-0" for none of it. */
export function placeOf(label, labels) {
  const k = labels.indexOf(label);
  return `place-${k < 0 ? 0 : (k % PLACES) + 1}`;
}

/** The mark of a place as `placeOf` names it. */
export const markOf = (place) => MARKS[Number(place.slice(6)) - 1] ?? UNKNOWN;
