// Rows of the timeline that the machine has no part in: the sound, and markers by tier.

import { formatTime } from "/static/app.js";
import { before } from "/static/viewer/scale.js";

const SOUND = 28, MARKERS = 17, GAP = 4;
const MOST = 4; // rows of markers; further tiers share the last

/** Rows for what there is (markers by time): {tall, name, paint, describe, press?}, from top to bottom. */
export function extraRows(waveform, markers, player, clock) {
  const rows = waveform ? [{ tall: SOUND, name: "sound", paint: (pen) => paintLoudness(pen, waveform), describe: () => [] }] : [];
  const tiers = [...new Set(markers.map(({ tier }) => tier))];
  const own = tiers.length > MOST ? tiers.slice(0, MOST - 1) : tiers;
  for (const name of tiers.length > MOST ? [...own, "more"] : own) {
    const sorted = markers.filter(({ tier }) => (own.includes(tier) ? tier : "more") === name);
    rows.push({
      tall: MARKERS, name, paint: (pen) => paintMarkers(pen, sorted),
      describe: (time, reach) => sorted.filter((marker) => covers(marker, time, reach)).slice(0, 3).map(markerWords),
      press: (time, reach) => {
        const marker = sorted.findLast((one) => covers(one, time, reach));
        player.seek(clock.nearest(marker ? marker.onset_s : time));
      },
    });
  }
  return rows;
}

export const tallness = (rows) => rows.reduce((sum, { tall }) => sum + tall + GAP, 0);

/** The rows as panels of a chart, from a place downwards. */
export function rowPanels(rows, top) {
  return rows.map(({ tall, name, paint, describe, press }) => {
    const panel = { top, bottom: top + tall, name: shortName(name), paint, own: describe, press };
    top += tall + GAP;
    return panel;
  });
}

/** A row's name, as far as the margin has room for it. */
export const shortName = (name) => (name.length > 8 ? `${name.slice(0, 7)}…` : name);

export const markerWords = ({ tier, label, onset_s: from, offset_s: to }) =>
  `${tier}: ${label || "marker"}${to > from ? ` (${formatTime(from)} to ${formatTime(to)})` : ""}`;

const covers = ({ onset_s: from, offset_s: to }, time, reach) => time >= from - reach && time <= to + reach;

/** How loud it was: a column a pixel, the loudest of its time. */
function paintLoudness(pen, { times, values }) {
  const { c, colour, panel: { left, right, top, bottom } } = pen;
  const middle = (top + bottom) / 2, half = (bottom - top) / 2;
  c.fillStyle = colour.curve;
  c.globalAlpha = 0.75;
  for (let x = left; x < right; x += 1) {
    const first = before(times, pen.time(x)), last = Math.max(first + 1, before(times, pen.time(x + 1)));
    let high = 0;
    for (let k = first; k < last && k < values.length; k += 1) if (values[k] > high) high = values[k];
    const tall = Math.max(0.5, high * half);
    c.fillRect(x, middle - tall, 1, 2 * tall);
  }
  c.globalAlpha = 1;
}

/** Stretches as bars, points as flags, each with its label as far as the next one. */
function paintMarkers(pen, markers) {
  const { c, colour, panel: { left, right, top, bottom } } = pen;
  c.fillStyle = colour.soft;
  c.fillRect(left, top, right - left, bottom - top);
  for (const [k, { onset_s: from, offset_s: to, label }] of markers.entries()) {
    if (to < pen.view.from || from > pen.view.to) continue;
    const x = Math.max(left, pen.x(from)), end = Math.min(right, pen.x(to));
    pen.band(from, to, colour.accent, { alpha: 0.22, least: 0 });
    if (pen.sees(from)) pen.stroke([[x, top], [x, bottom]], colour.accent, 2);
    if (to > from && pen.sees(to)) pen.stroke([[end, top], [end, bottom]], colour.accent);
    const room = Math.min(right, k + 1 < markers.length ? pen.x(markers[k + 1].onset_s) : right) - x - 8;
    if (room < 12 || !label) continue;
    c.save();
    c.beginPath();
    c.rect(x, top, room + 6, bottom - top);
    c.clip();
    pen.words(label, x + 5, (top + bottom) / 2 + 1, { align: "left", colour: colour.ink });
    c.restore();
  }
}
