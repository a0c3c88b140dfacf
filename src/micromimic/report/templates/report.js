"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const coarse = matchMedia("(pointer: coarse)").matches;
  const timeline = document.getElementById("timeline");
  const cellsPlot = document.getElementById("cells-plot");
  const limitsPlot = document.getElementById("limits-plot");
  const cellsBox = document.getElementById("cells");
  const resetButton = document.getElementById("reset");
  // By the class's place in the model's label set, as its colour.
  const SYMBOLS = [
    "triangle-down", "triangle-up", "diamond", "circle", "square", "star", "cross", "triangle-left", "triangle-right",
  ];
  const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false, doubleClick: false };

  function bytes(text) {
    const raw = atob(text);
    const out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }
  function readTimes(text, first = data.start) {
    const steps = new Uint32Array(bytes(text).buffer);
    return Float64Array.from(steps, (v) => first + v / 1e5);
  }
  function readValues(pack) {
    const codes = new Int16Array(bytes(pack.b).buffer);
    return Float64Array.from(codes, (v) => (v === -32768 ? NaN : v / pack.k));
  }
  const times = readTimes(data.t);
  const score = readValues(data.score);
  const numbered = data.events.map((e, k) => [e, k]);
  const micro = numbered.filter(([e]) => e.kind !== "macro");
  const longer = numbered.filter(([e]) => e.kind === "macro");
  let range = [data.start, data.stop];

  function before(array, value) {
    let low = 0, high = array.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (array[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  }
  // Two points a bin, its extremes: what is seen is true at any zoom.
  function visible(t, y, from, to, bins) {
    const a = Math.max(0, before(t, from) - 1), b = Math.min(t.length, before(t, to) + 1);
    const outT = [], outY = [];
    const step = Math.max(1, Math.ceil((b - a) / bins));
    for (let i = a; i < b; i += step) {
      let low = -1, high = -1;
      for (let j = i; j < Math.min(b, i + step); j++) {
        if (Number.isNaN(y[j])) continue;
        if (low < 0 || y[j] < y[low]) low = j;
        if (high < 0 || y[j] > y[high]) high = j;
      }
      if (low < 0) { outT.push(t[i]); outY.push(null); continue; }
      const first = Math.min(low, high), last = Math.max(low, high);
      outT.push(t[first]); outY.push(y[first]);
      if (last !== first) { outT.push(t[last]); outY.push(y[last]); }
    }
    return [outT, outY];
  }
  function at(time) {
    const k = before(times, time);
    let best = 0;
    for (let j = Math.max(0, k - 2); j < Math.min(times.length, k + 3); j++)
      if (score[j] > best) best = score[j];
    return best;
  }
  function colours() {
    const style = getComputedStyle(root);
    const get = (name) => style.getPropertyValue("--" + name).trim();
    return {
      ink: get("ink"), muted: get("muted"), line: get("line"), panel: get("panel"),
      curve: get("curve"), blink: get("blink"), gate: get("gate"), lost: get("lost"),
      warm: get("warm"), of: (label) => get(data.classes.find((one) => one.name === label).place),
    };
  }
  function plain(text) { return text.replace(/&/g, "&amp;").replace(/</g, "&lt;"); }
  function minutes(seconds) {
    const whole = Math.round(seconds * 1000);
    const rest = ((whole % 60000) / 1000).toFixed(3).padStart(6, "0");
    return Math.floor(whole / 60000) + ":" + rest;
  }
  function axis(c, more) {
    return Object.assign({
      color: c.muted, gridcolor: c.line, zeroline: false, linecolor: c.line,
      tickfont: { size: 12 }, automargin: true, hoverformat: ".3f",
    }, more);
  }
  function common(c) {
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: c.muted },
      hoverlabel: { bgcolor: c.panel, bordercolor: c.line, font: { color: c.ink, size: 13 } },
      dragmode: coarse ? false : "zoom", hovermode: "closest",
    };
  }
  function bands(c) {
    const band = (a, b, fill, line) => ({
      type: "rect", xref: "x", yref: "paper", x0: a, x1: b, y0: 0, y1: 1, layer: "below",
      fillcolor: fill, line: line || { width: 0 },
    });
    return [
      ...data.lost.map((s) => band(s[0], s[1], c.lost, { width: 1, color: c.warm, dash: "dot" })),
      ...data.gated.map((s) => band(s[0], s[1], c.gate)),
      ...data.blinks.map((s) => band(s[0], s[1], c.blink)),
    ];
  }
  function eventBands(c) {
    return data.events.map((e) => ({
      type: "rect", xref: "x", yref: "paper", x0: e.on, x1: e.off, y0: 0, y1: 1, layer: "below",
      fillcolor: c.of(e.label), opacity: e.kind === "macro" ? 0.09 : 0.22, line: { width: 0 },
    }));
  }
  function traces(c) {
    const [t, y] = visible(times, score, range[0], range[1], Math.max(300, timeline.clientWidth * 1.2));
    const list = [{
      x: t, y: y, mode: "lines", line: { color: c.curve, width: 1.3 }, hovertemplate:
        "%{x:.3f} s<br>%{y:.2f} × noise<extra></extra>", connectgaps: false,
    }];
    list.push({
      x: data.rejected.map((r) => r[0]), y: data.rejected.map((r) => at(r[0])), mode: "markers",
      marker: { symbol: "x-thin", size: 8, line: { width: 1.6, color: c.muted } },
      text: data.rejected.map((r) => r[1]),
      hovertemplate: "rejected: %{text}<br>%{x:.3f} s<extra></extra>",
    });
    for (const [key, symbol] of [["on", "line-ns"], ["off", "line-ns"]]) {
      list.push({
        x: micro.map(([e]) => e[key]), y: micro.map(([e]) => at(e[key])), mode: "markers",
        marker: { symbol: symbol, size: 11, line: { width: 2, color: micro.map(([e]) => c.of(e.label)) } },
        customdata: micro.map(([, k]) => k),
        hovertemplate: (key === "on" ? "onset" : "offset") + " %{x:.3f} s<extra></extra>",
      });
    }
    for (const [place, { name }] of data.classes.entries()) {
      const symbol = SYMBOLS[place % SYMBOLS.length], shade = c.of(name);
      const chosen = micro.filter(([e]) => e.label === name);
      list.push({
        x: chosen.map((p) => p[0].apex), y: chosen.map((p) => at(p[0].apex)),
        mode: "markers+text", text: chosen.map((p) => String(p[1] + 1)), textposition: "top center",
        textfont: { color: c.ink, size: 12 }, cliponaxis: false,
        marker: {
          symbol: chosen.map((p) => symbol + (p[0].uncertain ? "-open" : "")), size: 12,
          color: shade, line: { width: chosen.map((p) => (p[0].uncertain ? 2 : 1)), color:
            chosen.map((p) => (p[0].uncertain ? shade : c.panel)) },
        },
        customdata: chosen.map((p) => p[1]),
        hovertext: chosen.map((p) => "event " + (p[1] + 1) + ": " + plain(name) + " " + p[0].p.toFixed(2) +
          (p[0].uncertain ? ", uncertain" : "") + "<br>apex " + minutes(p[0].apex)),
        hovertemplate: "%{hovertext}<extra></extra>",
      });
    }
    // A longer expression is a bar on the floor, thin before its apex: the score is none of its own.
    for (const [e, k] of longer) {
      const words = "longer expression " + (k + 1) + ": " + plain(e.label) + " " + e.p.toFixed(2) +
        (e.uncertain ? ", uncertain" : "") + "<br>" + minutes(e.on) + " to " + minutes(e.off);
      for (const [from, to, width] of [[e.on, e.apex, 3], [e.apex, e.off, 7]]) list.push({
        x: [from, to], y: [0, 0], mode: "lines", line: { color: c.of(e.label), width: width }, cliponaxis: false,
        customdata: [k, k], hovertext: words, hovertemplate: "%{hovertext}<extra></extra>",
      });
      list.push({
        x: [e.apex], y: [data.threshold / 2], mode: "text", text: [String(k + 1)], hoverinfo: "skip",
        textfont: { color: c.ink, size: 12 }, customdata: [k],
      });
    }
    return list;
  }
  function layout(c) {
    let top = data.threshold * 1.6;
    for (const v of score) if (v > top) top = v;
    return Object.assign(common(c), {
      margin: { l: 62, r: 10, t: 22, b: 40 },
      xaxis: axis(c, { range: range.slice(), title: { text: "time (s)", font: { size: 12 }, standoff: 6 } }),
      yaxis: axis(c, {
        range: [0, top * 1.12], fixedrange: true, nticks: 6,
        title: { text: "movement (× noise)", font: { size: 12 }, standoff: 6 },
      }),
      shapes: [...bands(c), ...eventBands(c), {
        type: "line", xref: "paper", x0: 0, x1: 1, y0: data.threshold, y1: data.threshold,
        line: { color: c.muted, width: 1, dash: "dash" },
      }],
    });
  }
  function cellTraces(c) {
    return data.cells.map((cell, k) => {
      const [t, y] = visible(readTimes(cell.t), readValues(cell.y), range[0], range[1], 700);
      const suffix = k === 0 ? "" : String(k + 1);
      return {
        x: t, y: y, mode: "lines", line: { color: c.curve, width: 1 }, xaxis: "x" + suffix,
        yaxis: "y" + suffix, name: cell.name,
        hovertemplate: cell.name + "<br>%{x:.3f} s: %{y:.3f}<extra></extra>",
      };
    });
  }
  function cellLayout(c) {
    const columns = cellsPlot.clientWidth < 640 ? 1 : 2;
    const rows = Math.ceil(data.cells.length / columns);
    let peak = 0.01, low = 0;
    for (const cell of data.cells) for (const v of readValues(cell.y)) {
      if (v > peak) peak = v;
      if (v < low) low = v;
    }
    const out = Object.assign(common(c), { margin: { l: 40, r: 10, t: 2, b: 34 }, annotations: [], shapes: [] });
    out.height = 100 * rows + 36;
    cellsPlot.style.height = out.height + "px";
    const power = Math.pow(10, Math.floor(Math.log10(peak)));
    const nice = [5, 2, 1].map((m) => m * power).find((v) => v <= peak);
    const marks = low < -0.5 * nice ? [-nice, 0, nice] : [0, nice];
    data.cells.forEach((cell, k) => {
      const row = Math.floor(k / columns), column = k % columns;
      const suffix = k === 0 ? "" : String(k + 1);
      const left = column / columns + (column ? 0.035 : 0), right = (column + 1) / columns - (column + 1 < columns ? 0.015 : 0);
      const high = 1 - (row + 0.28) / rows, low = 1 - (row + 1) / rows;
      out["xaxis" + suffix] = axis(c, {
        domain: [left, right], anchor: "y" + suffix, range: range.slice(),
        showticklabels: row === rows - 1, matches: k ? "x" : undefined, nticks: 7,
      });
      out["yaxis" + suffix] = axis(c, {
        domain: [low, high], anchor: "x" + suffix, range: [Math.min(low * 1.08, -0.05 * peak), peak * 1.08],
        fixedrange: true, tickvals: marks, ticktext: marks.map(String), automargin: false,
        zeroline: true, zerolinecolor: c.line,
      });
      out.annotations.push({
        text: cell.name, xref: "paper", yref: "paper", x: left, y: high, xanchor: "left",
        yanchor: "bottom", showarrow: false, font: { size: 12, color: c.ink },
      });
      for (const e of data.events) out.shapes.push({
        type: "rect", xref: "x" + suffix, yref: "y" + suffix + " domain", x0: e.on, x1: e.off,
        y0: 0, y1: 1, layer: "below", fillcolor: c.of(e.label), opacity: e.kind === "macro" ? 0.09 : 0.22, line: { width: 0 },
      });
    });
    return out;
  }

  // The detection limits: a row a region, the higher the coarser; a closed stretch is a grey block.
  const limits = data.limits && data.limits.rows.map((row) => ({
    name: row.name, closed: row.closed, t: readTimes(row.t, row.first), y: readValues(row.y),
  }));
  function limitTraces(c) {
    return limits.flatMap((row, k) => {
      const suffix = k === 0 ? "" : String(k + 1);
      const axes = { xaxis: "x" + suffix, yaxis: "y" + suffix, mode: "lines" };
      const [t, y] = visible(row.t, row.y, range[0], range[1], Math.max(300, limitsPlot.clientWidth));
      const low = data.limits.low, high = data.limits.high, shut = { x: [], y: [] };
      for (const [from, to] of row.closed) {
        if (to < range[0] || from > range[1]) continue;
        shut.x.push(from, from, to, to, null);
        shut.y.push(low, high, high, low, null);
      }
      return [
        { ...axes, ...shut, fill: "toself", fillcolor: c.gate, line: { width: 0 }, hoverinfo: "skip" },
        {
          ...axes, x: t, y: y, line: { color: c.curve, width: 1.2 }, connectgaps: false,
          text: y.map((v) => (v === null ? "" : (v / data.limits.scale).toFixed(2))),
          hovertemplate: row.name + ", %{x:.2f} s<br>limit %{y:.2f} px (%{text} units)<extra></extra>",
        },
      ];
    });
  }
  function limitLayout(c) {
    const { low, high, stated } = data.limits, rows = limits.length;
    const out = Object.assign(common(c), { margin: { l: 62, r: 10, t: 4, b: 40 }, annotations: [], shapes: [] });
    out.height = 62 * rows + 44;
    limitsPlot.style.height = out.height + "px";
    const decade = Math.floor(Math.log10(low));
    let marks = [0, 1, 2, 3].flatMap((n) => [1, 2, 5].map((m) => m * Math.pow(10, decade + n)));
    marks = marks.filter((v) => v >= low * 1.15 && v <= high / 1.15);
    if (marks.length > 3) marks = [marks[0], marks[marks.length - 1]];
    limits.forEach((row, k) => {
      const suffix = k === 0 ? "" : String(k + 1);
      const top = 1 - (k + 0.06) / rows, bottom = 1 - (k + 0.94) / rows;
      out["xaxis" + suffix] = axis(c, {
        anchor: "y" + suffix, range: range.slice(), showticklabels: k === rows - 1,
        matches: k ? "x" : undefined, nticks: 9,
        title: k === rows - 1 ? { text: "time (s)", font: { size: 12 }, standoff: 6 } : undefined,
      });
      out["yaxis" + suffix] = axis(c, {
        domain: [bottom, top], anchor: "x" + suffix, type: "log", fixedrange: true, automargin: false,
        range: [Math.log10(low), Math.log10(high)], tickvals: marks, ticktext: marks.map((v) => String(+v.toPrecision(2))),
      });
      out.annotations.push({
        text: row.name, xref: "paper", yref: "y" + suffix + " domain", x: 0, xshift: -60, y: 0.5,
        xanchor: "left", yanchor: "middle", showarrow: false, font: { size: 12, color: c.ink },
      });
      out.shapes.push({
        type: "line", xref: "x" + suffix + " domain", yref: "y" + suffix, x0: 0, x1: 1, y0: stated, y1: stated,
        line: { color: c.muted, width: 1, dash: "dash" },
      });
      for (const s of data.lost) out.shapes.push({
        type: "rect", xref: "x" + suffix, yref: "y" + suffix + " domain", x0: s[0], x1: s[1], y0: 0, y1: 1,
        layer: "below", fillcolor: c.lost, line: { width: 0 },
      });
    });
    return out;
  }

  function draw() {
    const c = colours();
    Plotly.react(timeline, traces(c), layout(c), CONFIG);
    if (limits) Plotly.react(limitsPlot, limitTraces(c), limitLayout(c), CONFIG);
    resetButton.hidden = range[0] <= data.start && range[1] >= data.stop;
    if (cellsBox.open) drawCells();
  }
  function drawCells() {
    const c = colours();
    Plotly.react(cellsPlot, cellTraces(c), cellLayout(c), CONFIG).then(() => {
      if (cellsPlot.dataset.wired) return;
      cellsPlot.dataset.wired = "1";
      wire(cellsPlot);
    });
  }
  function zoom(from, to) {
    const width = Math.max(0.05, to - from);
    range = [Math.max(data.start, from), Math.min(data.stop, from + width)];
    if (range[1] <= range[0]) range = [data.start, data.stop];
    draw();
  }
  function wire(plot) {
    plot.on("plotly_relayout", (change) => {
      const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
      if (from !== undefined && to !== undefined) setTimeout(() => zoom(+from, +to), 0);
    });
    plot.on("plotly_doubleclick", () => { zoom(data.start, data.stop); return false; });
  }
  function goTo(index) {
    const card = document.getElementById("event-" + (index + 1));
    if (!card) return;
    card.scrollIntoView({ block: "start" });
    for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
    card.classList.add("lit");
  }

  if (coarse) {
    const hint = document.getElementById("zoom-hint");
    if (hint) hint.textContent = "Choose an event to go to its card, and there its place here.";
  }
  timeline.textContent = "";
  draw();
  wire(timeline);
  if (limits) wire(limitsPlot);
  timeline.on("plotly_click", (hit) => {
    const point = hit.points.find((p) => p.customdata !== undefined);
    if (point) { goTo(point.customdata); return; }
    const x = hit.points[0].x;
    const index = data.events.findIndex((e) => x >= e.on && x <= e.off);
    if (index >= 0) goTo(index);
  });
  resetButton.addEventListener("click", () => zoom(data.start, data.stop));
  cellsBox.addEventListener("toggle", () => { if (cellsBox.open) drawCells(); });
  for (const button of document.querySelectorAll("button.zoom")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const e = data.events[+button.dataset.event];
      zoom(e.apex - 2, e.apex + 2);
      document.getElementById("timeline-section").scrollIntoView({ block: "start" });
    });
  }

  const lightbox = document.getElementById("lightbox");
  for (const frame of document.querySelectorAll("button.frame")) {
    frame.addEventListener("click", () => {
      lightbox.querySelector("img").src = frame.querySelector("img").src;
      lightbox.querySelector("img").alt = frame.querySelector("img").alt;
      lightbox.querySelector("p").textContent = frame.parentElement.querySelector("figcaption").textContent;
      lightbox.showModal();
    });
  }
  lightbox.addEventListener("click", () => lightbox.close());

  const themeButton = document.getElementById("theme");
  const wish = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : wish.matches);
  function retheme() { themeButton.textContent = isDark() ? "Light" : "Dark"; draw(); }
  themeButton.hidden = false;
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; retheme(); });
  wish.addEventListener("change", retheme);
  root.dataset.ready = "true";
})();
