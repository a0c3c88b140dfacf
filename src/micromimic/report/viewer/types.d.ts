// What the viewer's modules hand to each other. Times are seconds of the recording.

/** A curve: times ascend, NaN is a gap. */
export interface Series {
  times: ArrayLike<number>;
  values: ArrayLike<number>;
}

/** A stretch of time, and why. */
export type Stretch = readonly [from: number, to: number, cause?: string];

/** A movement as it is drawn. */
export interface Span {
  key: string;
  from: number;
  apex: number;
  to: number;
  /** "place-1" for the model's first class, as `placeOf` gives it. */
  place: string;
  label: string;
  /** Lasts longer than a micro-expression. */
  longer: boolean;
  /** Not decided or not sure: drawn as an outline. */
  open?: boolean;
  /** Rejected or withdrawn: drawn faintly. */
  faint?: boolean;
  /** Written under its bar or over its apex. */
  name?: string;
}

export interface Tick {
  value: number;
  words: string;
}

/** One strip of a chart, CSS pixels. */
export interface Panel {
  top: number;
  bottom: number;
  left: number;
  right: number;
  /** Values at the bottom and at the top; without `high` it has no value axis. */
  low: number;
  high?: number;
  log?: boolean;
  /** On the value axis; round steps where left out. */
  marks?: Tick[];
  /** On the time axis; round times where left out. */
  times?: Tick[];
  /** Where the time axis is written; without it there is none. */
  axis?: number;
  /** Beside the strip, in the left margin. */
  name?: string;
  /** Above the strip. */
  title?: string;
  paint: (pen: import("./pen.js").Pen) => void;
  /** What lies at a moment, for the line under the mouse. */
  describe?: (time: number) => string[];
}

/** A panel with the defaults left out. */
export type PanelPlan = Partial<Panel> & Pick<Panel, "top" | "bottom" | "paint">;

/** [a, b, x, c, d, y]: canonical units to pixels. */
export type Transform = readonly [number, number, number, number, number, number];

/** Left, top, right, bottom in canonical units. */
export type Cell = readonly [number, number, number, number];
