// Classes are the model's own: their colour, sign and key go by their place in its label set.

/** palette.css has as many colours; a longer set begins again with the first. */
const SIGNS = [..."▼▲◆●■★✚◄►"];

export const PLACES = SIGNS.length;

/**
 * Where a class stands in its model's label set: "place-1" for the first, "place-0" for none of it.
 * @param {string} label @param {string[]} labels
 */
export function placeOf(label, labels) {
  const k = labels.indexOf(label);
  return `place-${k < 0 ? 0 : (k % PLACES) + 1}`;
}

/** The sign of a place as `placeOf` names it. @param {string} place */
export const signOf = (place) => SIGNS[Number(place.slice(6)) - 1] ?? "–";
