// What a coder can say here: the study's scheme, or the model's classes where it has none.

import { UNITS } from "/static/lib/units.js";

const ALL_UNITS = Object.keys(UNITS).map(Number);

/**
 * The scheme with everything filled in. `units` are numbers, empty where none are coded.
 * @param {any} given the study's scheme or null @param {string[]} labels the coder's classes
 */
export function readScheme(given, labels) {
  const { name = "", classes = [], units = false, sides = false, intensities = false, certainty = [], tags = [], templates = [] } = given ?? {};
  const described = Object.fromEntries(classes.map(({ name: label, description = "" }) => [label, description]));
  return {
    name, labels, described, sides, intensities, certainty, tags, templates,
    units: units === true ? ALL_UNITS : units || [],
  };
}

/** Whether it asks for more than a class. */
export const hasMore = ({ units, certainty, tags, templates }) => [units, certainty, tags, templates].some((list) => list.length > 0);
