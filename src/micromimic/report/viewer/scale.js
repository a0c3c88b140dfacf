// Where moments and values lie and which of many are drawn: the viewer's arithmetic, without a picture.

import { formatTime } from "./dom.js";

/** Index of the first of ascending values that is not below `value`. @param {ArrayLike<number>} values @param {number} value */
export function before(values, value) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the nearest of ascending values. @param {ArrayLike<number>} values @param {number} value */
export function nearest(values, value) {
  const k = Math.min(values.length - 1, before(values, value));
  return k > 0 && value - values[k - 1] < values[k] - value ? k - 1 : k;
}

/**
 * Indices of the lowest and the highest value of each of `columns` runs, so that a curve of any length
 * is drawn in the time of its width and no peak is lost; -1 where a run has no value.
 * @param {ArrayLike<number>} values NaN is a gap @param {number} from @param {number} to @param {number} columns
 */
export function thin(values, from, to, columns) {
  const kept = [];
  const count = Math.max(1, Math.min(to - from, Math.round(columns)));
  for (let column = 0; column < count; column += 1) {
    let low = -1, high = -1;
    const stop = from + Math.floor(((column + 1) * (to - from)) / count);
    for (let k = from + Math.floor((column * (to - from)) / count); k < stop; k += 1) {
      if (Number.isNaN(values[k])) continue;
      if (low < 0 || values[k] < values[low]) low = k;
      if (high < 0 || values[k] > values[high]) high = k;
    }
    kept.push(Math.min(low, high));
    if (low !== high) kept.push(Math.max(low, high));
  }
  return kept;
}

/** The highest value within two samples of a moment. @param {import("./types.d.ts").Series} series @param {number} time */
export function peakAt({ times, values }, time) {
  const k = before(times, time);
  let best = 0;
  for (let j = Math.max(0, k - 2); j < Math.min(times.length, k + 3); j += 1) if (values[j] > best) best = values[j];
  return best;
}

/** Round steps: 1, 2 or 5 times a power of ten, at most `most` of them. @param {number} span @param {number} most */
export function step(span, most) {
  const rough = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((k) => k * power >= rough * (1 - 1e-9)) ?? 10);
}

const digitsOf = (/** @type {number} */ size) => Math.max(0, -Math.floor(Math.log10(size) + 1e-9));

/** Round values from low to high. @param {number} low @param {number} high */
export function ticks(low, high, most = 5) {
  const size = step(high - low || 1, most);
  const first = Math.ceil(low / size - 1e-9);
  return Array.from({ length: Math.floor(high / size + 1e-9) - first + 1 }, (_, k) => {
    const value = Number(((first + k) * size).toPrecision(9));
    return { value, words: value.toFixed(digitsOf(size)).replace("-", "−") };
  });
}

/** 1, 2 and 5 times powers of ten well inside low and high; no more than two of many. @param {number} low @param {number} high */
export function logTicks(low, high) {
  const decade = Math.floor(Math.log10(low));
  const all = [0, 1, 2, 3].flatMap((n) => [1, 2, 5].map((k) => k * 10 ** (decade + n)));
  const inside = all.filter((value) => value >= low * 1.15 && value <= high / 1.15);
  const few = inside.length > 3 ? [inside[0], inside[inside.length - 1]] : inside;
  return few.map((value) => ({ value, words: String(Number(value.toPrecision(2))) }));
}

/**
 * Round times, in minutes and seconds where the recording lasts a minute; none closer than a frame.
 * @param {View} view @param {number} width CSS pixels
 */
export function timeTicks(view, width) {
  const size = Math.max(step(view.span, width / 92), view.frame);
  const digits = Math.min(3, digitsOf(size));
  return ticks(view.from, view.to, view.span / size).map(({ value }) => {
    if (view.last < 60) return { value, words: `${value.toFixed(digits)} s` };
    return { value, words: formatTime(value).slice(0, digits ? -(3 - digits) || undefined : -4) };
  });
}

const FEWEST_FRAMES = 24;

/** Which stretch of a recording is shown. Fires "view" when it changes. */
export class View extends EventTarget {
  /** @param {number} first @param {number} last seconds @param {number} [frame] seconds a frame */
  constructor(first, last, frame = 0) {
    super();
    this.frame = frame;
    this.first = this.from = first;
    this.last = this.to = last;
    this.shortest = Math.min(frame ? FEWEST_FRAMES * frame : 0.05, last - first);
  }

  get span() {
    return this.to - this.from;
  }

  get whole() {
    return this.span >= (this.last - this.first) * 0.9999;
  }

  /** @param {number} from @param {number} to */
  set(from, to) {
    const span = Math.min(this.last - this.first, Math.max(this.shortest, to - from));
    const start = Math.max(this.first, Math.min(this.last - span, (from + to) / 2 - span / 2));
    if (start === this.from && start + span === this.to) return;
    this.from = start;
    this.to = start + span;
    this.dispatchEvent(new Event("view"));
  }

  /** A factor below 1 shows less; the moment `about` stays where it is. @param {number} factor */
  zoom(factor, about = (this.from + this.to) / 2) {
    const span = Math.min(this.last - this.first, Math.max(this.shortest, this.span * factor));
    const from = about - ((about - this.from) / this.span) * span;
    const start = Math.max(this.first, Math.min(this.last - span, from));
    this.set(start, start + span);
  }

  /** @param {number} seconds */
  pan(seconds) {
    this.set(this.from + seconds, this.to + seconds);
  }

  all() {
    this.set(this.first, this.last);
  }

  /** Brings a moment into sight, moving no more than needed. @param {number} time */
  show(time, margin = 0.08) {
    const edge = this.span * margin;
    if (time < this.from + edge) this.pan(time - this.from - edge);
    else if (time > this.to - edge) this.pan(time - this.to + edge);
  }

  /** Brings a stretch into sight, and so near that it takes a share of what is seen. @param {number} from @param {number} to */
  showStretch(from, to, fewest = 0.04) {
    if (to - from < fewest * this.span) {
      const half = Math.max((to - from) * 5, this.shortest);
      this.set((from + to) / 2 - half, (from + to) / 2 + half);
    } else if (to - from > this.span) this.set(from - (to - from) * 0.2, to + (to - from) * 0.2);
    else {
      this.show(to);
      this.show(from);
    }
  }

  /** Lets the stretch run on with what is recorded just now. @param {number} last @param {number} span */
  follow(last, span) {
    Object.assign(this, { first: last - span, last, from: last - span, to: last });
    this.dispatchEvent(new Event("view"));
  }
}
