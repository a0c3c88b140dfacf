// What is laid over a face: the ten cells, the flow as arrows, the capsules' vote as heat. All of it is
// given in canonical units; a transform turns these into pixels of the canvas, so that one function
// serves the video (through the face's own transform) and the still pictures (through their margin).

/** @typedef {import("./types.d.ts").Transform} Transform */
/** @typedef {{u: number[][], v: number[][]}} Flow */
/** @typedef {(u: number, v: number) => [number, number]} Map */

const UNITS = 28;
const ARROW = "rgb(255, 214, 64)", DARK = "rgba(20, 24, 32, .75)", LIGHT = "rgba(255, 255, 255, .9)", LIT = "#ffd54a";
const STEPS = [1, 2, 3, 5, 8, 10, 15, 20, 30, 50];
const LONGEST = 4.5; // units that the longest arrow spans
const SMALLEST = 0.25; // share of the largest movement below which there is no arrow

/** @param {Transform} transform @returns {Map} */
const mapper = ([a, b, x, c, d, y]) => (u, v) => [a * u + b * v + x, c * u + d * v + y];

/** Source pixels' centres are whole numbers; a canvas counts from the corner. @param {Transform} transform @param {number} scale @returns {Transform} */
export function ontoCanvas([a, b, x, c, d, y], scale) {
  return [a * scale, b * scale, (x + 0.5) * scale, c * scale, d * scale, (y + 0.5) * scale];
}

/**
 * Units to pixels of a crop that is `scale` times its own size.
 * @param {{pixels_per_unit: number, margin: number}} crop @param {number} scale @returns {Transform}
 */
export const cropTransform = ({ pixels_per_unit: size, margin }, scale) =>
  [size * scale, 0, margin * size * scale, 0, size * scale, margin * size * scale];

/**
 * @param {CanvasRenderingContext2D} c @param {readonly import("./types.d.ts").Cell[]} cells @param {Transform} transform
 * @param {(k: number) => boolean} [lit] cells that move just now
 */
export function drawCells(c, cells, transform, lit = () => false) {
  const map = mapper(transform);
  cells.forEach(([left, top, right, bottom], k) => {
    c.beginPath();
    for (const [u, v] of [[left, top], [right, top], [right, bottom], [left, bottom]]) c.lineTo(...map(u, v));
    c.closePath();
    const width = lit(k) ? 2 : 1.2;
    outline(c, [[DARK, width + 1.6], [lit(k) ? LIT : LIGHT, width]], () => c.stroke());
  });
}

/** Draws twice, dark below bright. @param {CanvasRenderingContext2D} c @param {[string, number][]} styles @param {() => void} draw */
function outline(c, styles, draw) {
  for (const [style, width] of styles) {
    c.strokeStyle = style;
    c.lineWidth = width;
    draw();
  }
}

/** The largest movement (99th percentile) and how many times longer it is drawn. @param {Flow} flow */
export function flowGain({ u, v }) {
  const sizes = u.flatMap((row, y) => row.map((value, x) => Math.hypot(value, v[y][x]))).sort((a, b) => a - b);
  const peak = sizes[Math.floor(0.99 * (sizes.length - 1))];
  if (!(peak > 0)) return { peak: 0, gain: 1 };
  return { peak, gain: STEPS.filter((step) => step * peak <= LONGEST * 1.001).at(-1) ?? 1 };
}

/** @param {CanvasRenderingContext2D} c @param {Flow} flow @param {Transform} transform */
function drawArrows(c, flow, transform) {
  const { peak, gain } = flowGain(flow);
  if (!peak) return;
  const map = mapper(transform), unit = Math.hypot(transform[0], transform[3]);
  /** @type {[[number, number], [number, number]][]} */
  const arrows = [];
  for (let y = 1; y < UNITS; y += 2) {
    for (let x = 1; x < UNITS; x += 2) {
      const du = flow.u[y][x], dv = flow.v[y][x], size = Math.hypot(du, dv);
      if (!(size >= SMALLEST * peak)) continue;
      const length = gain * Math.min(1, (1.5 * peak) / size); // an outlier would cover the others
      arrows.push([map(x + 0.5, y + 0.5), map(x + 0.5 + length * du, y + 0.5 + length * dv)]);
    }
  }
  c.lineCap = "round";
  const heavy = Math.max(1.2, unit / 7);
  outline(c, [[DARK, heavy + 1.6], [ARROW, heavy]], () => {
    c.beginPath();
    for (const [from, to] of arrows) arrow(c, from, to, 0.62 * unit);
    c.stroke();
  });
}

/** @param {CanvasRenderingContext2D} c @param {[number, number]} from @param {[number, number]} to @param {number} head */
function arrow(c, [x0, y0], [x1, y1], head) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 0.5) return;
  const ax = (x1 - x0) / length, ay = (y1 - y0) / length, reach = Math.min(head, 0.5 * length);
  c.moveTo(x0, y0);
  c.lineTo(x1, y1);
  for (const side of [-0.55, 0.55]) {
    c.moveTo(x1, y1);
    c.lineTo(x1 - reach * (ax + side * ay), y1 - reach * (ay - side * ax));
  }
}

/** Share of full colour for each place: from the median up, damped where nothing stands out. @param {number[][]} votes */
function levels(votes) {
  const flat = votes.flat().sort((a, b) => a - b);
  const uniform = flat.reduce((sum, value) => sum + value, 0) / flat.length;
  const most = flat[flat.length - 1], low = Math.min(flat[flat.length >> 1], uniform), span = most - low;
  if (!(span > 1e-9) || !(uniform > 0)) return votes.map((row) => row.map(() => 0));
  const lead = Math.min(1, Math.max(0, most / uniform - 1));
  return votes.map((row) => row.map((value) => lead * Math.min(1, Math.max(0, (value - low) / span))));
}

const FADE = 0.09; // share of the square's side over which the colour comes in: it must not look framed
const SHADES = [[0.25, 87, 16, 110], [0.45, 158, 41, 99], [0.62, 213, 73, 71], [0.8, 247, 130, 18], [1, 250, 193, 39]];

/** @param {number} level */
function shade(level) {
  const at = 0.25 + 0.75 * level;
  const k = Math.max(1, SHADES.findIndex(([stop]) => at <= stop));
  const [a, ...from] = SHADES[k - 1], [b, ...to] = SHADES[k];
  return from.map((value, j) => value + ((at - a) / (b - a)) * (to[j] - value));
}

/** The vote as a small smooth picture that covers the 28 x 28 square. @param {number[][]} votes */
function heatPicture(votes, size = 56) {
  const grid = levels(votes), g = grid.length, spread = 0.62;
  const canvas = new OffscreenCanvas(size, size);
  const c = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = c.createImageData(size, size);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const px = ((x + 0.5) / size) * g - 0.5, py = ((y + 0.5) / size) * g - 0.5;
      let sum = 0, weight = 0;
      for (const [j, row] of grid.entries()) {
        for (const [i, value] of row.entries()) {
          const w = Math.exp(-((i - px) ** 2 + (j - py) ** 2) / (2 * spread * spread));
          sum += w * value;
          weight += w;
        }
      }
      const level = Math.min(1, (sum / weight) * 1.35); // smoothing took some off the peak
      const edge = Math.min(1, Math.min(x + 0.5, y + 0.5, size - 0.5 - x, size - 0.5 - y) / (FADE * size));
      image.data.set([...shade(level), 255 * 0.85 * edge * level ** 0.7], 4 * (y * size + x));
    }
  }
  c.putImageData(image, 0, 0);
  return canvas;
}

/** @param {CanvasRenderingContext2D} c @param {OffscreenCanvas} picture @param {Transform} transform */
function drawHeat(c, picture, [a, b, x, cc, d, y]) {
  const part = UNITS / picture.width;
  c.save();
  c.transform(a * part, cc * part, b * part, d * part, x, y);
  c.imageSmoothingQuality = "high";
  c.drawImage(picture, 0, 0);
  c.restore();
}

/** @type {WeakMap<number[][], OffscreenCanvas>} */
const heats = new WeakMap();

/**
 * The layers that are switched on, of what there is.
 * @param {CanvasRenderingContext2D} c @param {Record<string, boolean>} on @param {Transform} transform
 * @param {{cells?: readonly import("./types.d.ts").Cell[], flow?: Flow, votes?: number[][] | null}} layers
 */
export function drawLayers(c, on, transform, { cells, flow, votes }) {
  if (on.votes && votes) {
    if (!heats.has(votes)) heats.set(votes, heatPicture(votes));
    drawHeat(c, /** @type {OffscreenCanvas} */ (heats.get(votes)), transform);
  }
  if (on.cells && cells) drawCells(c, cells, transform);
  if (on.flow && flow) drawArrows(c, flow, transform);
}

const OUTLINES = [[0, 16], [17, 21], [22, 26], [27, 30], [31, 35], [36, 41, 36], [42, 47, 42], [48, 59, 48], [60, 67, 60]];

/** The 68 points, where there is no picture to look at. @param {CanvasRenderingContext2D} c @param {[number, number][]} points @param {Transform} transform @param {string} style */
export function drawLandmarks(c, points, transform, style) {
  const map = mapper(transform);
  c.strokeStyle = style;
  c.lineWidth = 1.3;
  for (const [first, last, back] of OUTLINES) {
    c.beginPath();
    for (let k = first; k <= last; k += 1) c.lineTo(...map(...points[k]));
    if (back !== undefined) c.closePath();
    c.stroke();
  }
}
