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

/** What a chart shows and what may be done to it. */
export interface ChartOptions {
  /** Asked at each drawing. */
  panels: (width: number, height: number) => PanelPlan[];
  /** What it is, for a screen reader. */
  label: string;
  /** What dragging does; null: nothing can be moved. */
  drag?: "pan" | "zoom" | null;
  /** The wheel zooms without Ctrl. */
  wheel?: boolean;
  /** Plus, minus, 0 and the arrow keys zoom and pan. */
  keys?: boolean;
  /** A click. */
  press?: (x: number, y: number, time: number, pen: import("./pen.js").Pen) => void;
  /** A stretch marked out by a drag with Shift held. */
  mark?: ((from: number, to: number) => void) | null;
  /** A drag along the axis. */
  scrub?: (time: number) => void;
  /** A finger's drag of something else, which it gives up: a second finger means a pinch. */
  taken?: () => PointerEvent | null;
  /** Called after each drawing. */
  placed?: () => void;
  /** Margins, CSS pixels. */
  left?: number;
  right?: number;
}

export interface OverviewOptions {
  series: Series | null;
  /** Top of the scale. */
  high: number;
  /** Asked at each drawing. */
  spans: () => Span[];
  /** A click where all is shown anyway. */
  seek?: (time: number) => void;
}

/** What is known of a recording's movement: the score in multiples of the face's own noise, and what explains it. */
export interface Known {
  series: Series | null;
  threshold: number;
  lost: Stretch[];
  gated: Stretch[];
  blinks: Stretch[];
  rejected: [peak: number, reason: string][];
}

/** A name with a bar of a length (its value where there is none) and a number, of 1. */
export interface Share {
  name: string;
  value: number;
  place?: string;
  best?: boolean;
  bar?: number;
}

/** A curve as a report holds it: times in steps of 0.1 ms, each from the one before, values `k` times their size; null is a gap. */
export interface PackedSeries {
  t: number[];
  y: (number | null)[];
  k: number;
}

/** What `report.curves.timeline_data` and `limits_data` put into a report. */
export interface ReportData {
  start: number;
  stop: number;
  threshold: number;
  score: PackedSeries;
  cells: (PackedSeries & { name: string })[];
  events: { on: number; apex: number; off: number; label: string; p: number; uncertain: boolean; kind: "micro" | "macro" }[];
  blinks: Stretch[];
  gated: Stretch[];
  lost: Stretch[];
  rejected: [peak: number, reason: string][];
  /** Pixels; a unit is `scale` of them. */
  limits: null | {
    low: number;
    high: number;
    stated: number;
    scale: number;
    rows: (PackedSeries & { name: string; closed: [number, number][] })[];
  };
  classes: { name: string; place: string }[];
}
