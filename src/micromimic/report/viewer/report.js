// The report: curves of the data in the page, the events' cards, and nothing from anywhere else.

import { Chart } from "./chart.js";
import { byId } from "./dom.js";
import { Movement, paintSpans, spanAt } from "./curve.js";
import { Overview } from "./overview.js";
import { nearest, ticks, View } from "./scale.js";
import { themeButton } from "./theme.js";

const packed = Uint8Array.from(atob(byId("data").textContent), (letter) => letter.charCodeAt(0));
/** @type {import("./types.d.ts").ReportData} */
const data = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
const root = document.documentElement;
const coarse = matchMedia("(pointer: coarse)").matches;

/** @param {import("./types.d.ts").PackedSeries} curve */
function series({ t, y, k }) {
  let time = 0;
  const times = Float64Array.from(t, (step) => {
    time += step;
    return time / 1e4;
  });
  return { times, values: Float64Array.from(y, (value) => (value === null ? NaN : value / k)) };
}

const places = new Map(data.classes.map((one) => [one.name, one.place]));
const spans = data.events.map((event, k) => ({
  key: String(k), from: event.on, apex: event.apex, to: event.off, place: places.get(event.label) ?? "place-0", label: event.label,
  longer: event.kind === "macro", open: event.uncertain, name: String(k + 1),
  words: `${event.kind === "macro" ? "longer expression" : "event"} ${k + 1}: ${event.label} ${event.p.toFixed(2)}${event.uncertain ? ", uncertain" : ""}`,
}));
const movement = new Movement({ ...data, series: series(data.score) });
const view = new View(data.start, data.stop);
const high = movement.ceiling(spans);

/** @param {number} time @param {number} reach seconds */
function eventWords(time, reach) {
  const span = spanAt(spans, time, reach);
  return span ? [span.words] : [];
}

/** Apexes with their number, onsets and offsets as ticks; longer expressions as bars on the floor. @param {import("./pen.js").Pen} pen */
function paintMarks(pen) {
  const { top, bottom } = pen.panel;
  for (const { from, apex, to, place, longer, open, name } of spans) {
    const shade = pen.colour[place];
    if (longer) {
      pen.band(from, apex, shade, { top: bottom - 3, bottom });
      pen.band(apex, to, shade, { top: bottom - 7, bottom });
    } else {
      for (const time of [from, to].filter((one) => pen.sees(one))) {
        const x = pen.x(time), y = Math.max(top + 6, pen.y(movement.peak(time)));
        pen.stroke([[x, y - 6], [x, y + 6]], shade, 2);
      }
    }
    if (!pen.sees(apex)) continue;
    const x = pen.x(apex), y = Math.max(top + 24, pen.y(longer ? movement.threshold : movement.peak(apex))); // its number has room
    if (!longer) pen.mark(place, x, y, { size: 14, open });
    pen.words(name ?? "", x, y - 15, { colour: pen.colour.ink, font: "12px" });
  }
}

/** @param {number} width */
const reach = (width) => (6 * view.span) / width;

/** Goes to an event's card, or to its row where it has none. @param {number} time @param {import("./pen.js").Pen} pen */
function goTo(time, pen) {
  const span = spanAt(spans, time, reach(pen.panel.right - pen.panel.left));
  const card = span && document.getElementById(`event-${Number(span.key) + 1}`);
  if (!card) return;
  card.scrollIntoView({ block: "start" });
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  card.classList.add("lit");
}

const timeline = new Chart(byId("timeline"), view, {
  label: "Movement score over the recording, with its events; the table lists them", drag: "zoom", keys: true,
  left: 46, right: 10,
  panels: (width, height) => [{
    top: 24, bottom: height - 26, axis: height - 10, high, title: "movement, times this face’s own noise",
    paint: (pen) => {
      movement.paint(pen, spans);
      paintMarks(pen);
    },
    describe: (time) => [...movement.describe(time, reach(width)), ...eventWords(time, reach(width))],
  }],
  press: (_x, _y, time, pen) => goTo(time, pen),
});
const overview = new Overview(timeline, { series: movement.series, high, spans: () => spans });
byId("timeline").after(overview.root);

const NOT_KNOWN = "not known";

/** Opens a chart of several small curves. @param {string} id @param {string} label @param {import("./types.d.ts").ChartOptions["panels"]} panels */
const small = (id, label, panels, left = 62) => new Chart(byId(id), view, { label, panels, drag: "zoom", keys: true, left, right: 10 });

/**
 * The detection limits: a row a region, the higher the coarser; a closed stretch is a grey block.
 * @param {NonNullable<typeof data.limits>} limits
 */
function limitsChart({ low, high: coarsest, stated, scale, rows }) {
  const known = rows.map((row) => ({ ...row, series: series(row) }));
  byId("limits-plot").style.height = `${62 * rows.length + 30}px`;
  return small("limits-plot", "Smallest movement found half the time, by region", () => known.map(({ name, closed, series: own }, k) => ({
    top: 62 * k + 5, bottom: 62 * k + 57, low, high: coarsest, log: true, name, axis: k === rows.length - 1 ? 62 * rows.length + 18 : undefined,
    paint: (pen) => {
      for (const [from, to] of data.lost) pen.band(from, to, pen.colour.lost);
      for (const [from, to] of closed) pen.band(from, to, pen.colour.gate);
      pen.level(stated);
      pen.curve(own, pen.colour.curve, 1.2);
    },
    describe: (time) => {
      const value = own.values[nearest(own.times, time)];
      const shut = closed.some(([from, to]) => time >= from && time <= to) && "closed";
      return [`${name}, ${time.toFixed(2)} s`, `limit ${shut || (Number.isNaN(value) ? NOT_KNOWN : `${value.toFixed(2)} px (${(value / scale).toFixed(2)} units)`)}`];
    },
  })), 84);
}

/** The ten cells as small curves of one scale. */
function cellsChart() {
  const cells = data.cells.map((cell) => ({ name: cell.name, series: series(cell) }));
  const values = cells.flatMap((cell) => [...cell.series.values].filter(Number.isFinite));
  const peak = values.reduce((a, b) => Math.max(a, b), 0.01);
  const low = 1.08 * values.reduce((a, b) => Math.min(a, b), -0.05 * peak);
  const marks = ticks(0, peak, 5).filter(({ value }, k, all) => value === 0 || k === all.length - 1);
  const place = byId("cells-plot");
  const columns = () => (place.clientWidth < 640 ? 1 : 2);
  const resize = () => { place.style.height = `${100 * Math.ceil(cells.length / columns()) + 26}px`; };
  new ResizeObserver(resize).observe(place);
  resize();
  return small("cells-plot", "Displacement of the ten cells", (width) => cells.map(({ name, series: own }, k) => {
    const across = columns(), row = Math.floor(k / across), last = row === Math.ceil(cells.length / across) - 1;
    const left = (width / across) * (k % across), top = 100 * row + 24;
    return {
      left: left + 44, right: left + width / across - 10, top, bottom: top + 74, low, high: peak * 1.08, title: name, marks, axis: last ? top + 90 : undefined,
      paint: (pen) => {
        paintSpans(pen, spans);
        pen.curve(own, pen.colour.curve, 1);
      },
      describe: (time) => {
        const value = own.values[nearest(own.times, time)];
        return [`${name}, ${time.toFixed(3)} s`, Number.isNaN(value) ? NOT_KNOWN : value.toFixed(3)];
      },
    };
  }));
}

const charts = [timeline];
if (data.limits) charts.push(limitsChart(data.limits));
byId("cells").addEventListener("toggle", () => {
  if (charts.every((chart) => chart.root.id !== "cells-plot")) charts.push(cellsChart());
});

view.addEventListener("view", () => { byId("reset").hidden = view.whole; });
byId("reset").addEventListener("click", () => view.all());
for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button.zoom"))) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const { apex } = spans[Number(button.dataset.event)];
    view.set(apex - 2, apex + 2);
    byId("timeline-section").scrollIntoView({ block: "start" });
  });
}
if (coarse && byId("zoom-hint")) byId("zoom-hint").textContent = "Two fingers zoom; choose an event to go to its card, and there its place here.";

const lightbox = byId("lightbox");
for (const frame of document.querySelectorAll("button.frame")) {
  frame.addEventListener("click", () => {
    lightbox.firstChild.replaceWith(/** @type {Node} */ (frame.firstElementChild).cloneNode(true));
    lightbox.querySelector("p").textContent = frame.parentElement?.querySelector("figcaption")?.textContent ?? "";
    lightbox.showModal();
  });
}
lightbox.addEventListener("click", () => lightbox.close());

themeButton(byId("theme"));

let shown = "";
addEventListener("beforeprint", () => {
  shown = root.dataset.theme ?? "";
  root.dataset.theme = "light"; // paper is
  for (const chart of charts) chart.recolour().draw();
});
addEventListener("afterprint", () => {
  root.dataset.theme = shown;
  document.dispatchEvent(new Event("theme"));
});
root.dataset.ready = "true";
