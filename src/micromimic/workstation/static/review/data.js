// What the server knows of one recording: the frames' times, what was measured on each, the review.

import { api, apiUrl, invalid } from "/static/app.js";
import { UNITS } from "/static/lib/units.js";
import { nearest } from "/static/viewer/scale.js";

/** Frames and their times, seconds of the source: even, or each with its own. */
export class Clock {
  constructor({ frames, fps, start_s: start, frame_times: times }) {
    this.frames = frames;
    this.fps = fps;
    this.times = Float64Array.from(times ?? { length: frames }, (own, k) => (times ? own : (start ?? 0) + k / fps));
    this.end = this.time(frames - 1) + 1 / fps;
  }

  time(frame) {
    return this.times[frame];
  }

  clamp(frame) {
    return Math.min(this.frames - 1, Math.max(0, Math.round(frame)));
  }

  /** The middle of the time for which a frame is shown: a seek there cannot miss it by rounding. */
  middle(frame) {
    return (this.time(frame) + (this.times[frame + 1] ?? this.end)) / 2;
  }

  /** The frame whose own time is nearest. */
  nearest(time) {
    return nearest(this.times, time);
  }

  /** Frames spanned by a length in seconds around a frame: at least one. */
  span(seconds) {
    return Math.max(1, Math.round(seconds * this.fps));
  }
}

/** Columns of frames.bin by name; none where the file is gone. */
class Rows {
  constructor(buffer, { rows, columns }) {
    this.length = rows;
    this.columns = new Map();
    if (buffer.byteLength !== 4 * rows * columns.length) {
      throw invalid(`expected ${columns.length} columns of ${rows} numbers, got ${buffer.byteLength} bytes; analyse the recording again`);
    }
    for (const [k, name] of columns.entries()) this.columns.set(name, new Float32Array(buffer, 4 * rows * k, rows));
  }

  get(name) {
    return this.columns.get(name);
  }

  /** Canonical units to source pixels at a frame: [a, b, x, c, d, y], or null where the face is lost. */
  transform(frame) {
    if (frame < 0 || frame >= this.length) return null;
    const values = [0, 1, 2, 3, 4, 5].map((k) => this.get(`t${k}`)[frame]);
    return values.every(Number.isFinite) ? values : null;
  }

  segment(frame) {
    const value = this.get("segment")?.[frame];
    return Number.isFinite(value) && value >= 0 ? String(Math.round(value)) : null;
  }
}

/** Recording, machine's answer, this coder's review, and what to draw. */
export const fetchReview = (id, coder, reader = coder) => api(`/recordings/${id}/review`, { query: { coder, reader } });

export async function fetchHistory(id, coder, reader = coder) {
  return (await api(`/recordings/${id}/history`, { query: { coder, reader } })).decisions;
}

/** The numbers of every frame, or null where they are gone. */
export async function fetchRows(id, description) {
  try {
    const response = await api(`/recordings/${id}/files/frames.bin`, { raw: true });
    return new Rows(await response.arrayBuffer(), description);
  } catch (error) {
    if (error.status === 404 || error.status === 410) return null;
    throw error;
  }
}

/** A picture or clip in a recording's "events/0", "held-back/3" or "evidence/120-128-140". */
export const pictureUrl = (id, folder, name, coder) => apiUrl(`/recordings/${id}/${folder}/${name}`, { coder });

/** Pictures, flow, units and the magnified clip of any stretch: made on demand, which takes some seconds. */
export async function fetchEvidence(id, coder, { onset_frame, apex_frame, offset_frame }) {
  const found = await api(`/recordings/${id}/evidence`, { method: "POST", json: { coder, onset_frame, apex_frame, offset_frame } });
  return { folder: `evidence/${onset_frame}-${apex_frame}-${offset_frame}`, ...found };
}

/**
 * What a coder can say here, with everything filled in: the study's scheme, or the model's classes where it has
 * none. `units` are numbers, empty where none are coded.
 * @param {any} given the study's scheme or null @param {string[]} labels the coder's classes
 */
export function readScheme(given, labels) {
  const { name = "", classes = [], units = false, sides = false, intensities = false, certainty = [], tags = [], templates = [] } = given ?? {};
  const described = Object.fromEntries(classes.map(({ name: label, description = "" }) => [label, description]));
  const numbers = units === true ? Object.keys(UNITS).map(Number) : units || [];
  return { name, labels, described, units: numbers, sides, intensities, certainty, tags, templates };
}
