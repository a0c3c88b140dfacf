"""Curves for the report: compact data for the timeline, and the small curve on an event's card."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import CELLS
from micromimic.core.results import Analysis
from micromimic.core.types import Interval, MotionCurve
from micromimic.report.evidence import CELL_WORDS

SCORE_POINTS: Final = 200_000
CELL_BINS: Final = 4_000
_GAP: Final = -32768
_PAD_S: Final = 0.6


def minmax(
    times: NDArray[np.floating], values: NDArray[np.floating], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thin a curve to at most two points a bin, keeping every bin's minimum and maximum.

    Args:
        times: (T,) seconds.
        values: (T,); NaN is a gap, and a bin with nothing but NaN stays one.
        bins: number of equal runs of samples.

    Returns:
        times and values, both (N,) with N <= 2 * bins; the input itself if it is that short.

    >>> t = np.arange(8.0)
    >>> minmax(t, np.array([0.0, 5, 1, 0, 0, -3, 1, 2]), bins=2)
    (array([0., 1., 5., 7.]), array([ 0.,  5., -3.,  2.]))
    """
    if bins < 1:
        raise ValueError(f"expected at least one bin, got {bins}")
    t, y = np.array(times, dtype=np.float64), np.array(values, dtype=np.float64)
    if len(t) <= 2 * bins:
        return t, y
    edges = np.linspace(0, len(t), bins + 1).astype(int)
    starts, lengths = edges[:-1], np.diff(edges)
    gap = np.repeat(np.logical_and.reduceat(np.isnan(y), starts), lengths)
    keep = []
    for most in (np.fmin, np.fmax):
        places = np.flatnonzero(gap | (y == np.repeat(most.reduceat(y, starts), lengths)))
        keep.append(places[np.searchsorted(places, starts)])  # the first of each bin
    rows = np.unique(keep)
    return t[rows], y[rows]


def packed(values: NDArray[np.floating]) -> dict[str, Any]:
    """Values as 16-bit integers in base64: a tenth of the size of decimals in JSON.

    The reader divides by ``k``; -32768 is a gap. Rounding is at most 1/60,000 of the largest.
    """
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    peak = float(np.abs(finite).max()) if len(finite) else 0.0
    factor = 30_000 / peak if peak > 0 else 1.0
    codes = np.where(np.isfinite(array), np.round(np.nan_to_num(array) * factor), _GAP)
    return {"k": factor, "b": base64.b64encode(codes.astype("<i2").tobytes()).decode("ascii")}


def packed_times(times: NDArray[np.floating]) -> str:
    """Times as unsigned 32-bit multiples of 10 microseconds from the first, in base64."""
    array = np.asarray(times, dtype=np.float64)
    steps = np.round((array - (array[0] if len(array) else 0.0)) * 1e5)
    return base64.b64encode(steps.astype("<u4").tobytes()).decode("ascii")


def lost_spans(found: NDArray[np.bool_], times: NDArray[np.floating]) -> list[tuple[float, float]]:
    """Stretches without the face, in seconds.

    >>> lost_spans(np.array([True, False, False, True]), np.array([0.0, 1.0, 2.0, 3.0]))
    [(1.0, 3.0)]
    """
    turns = np.diff(np.concatenate([[0], (~np.asarray(found, bool)).astype(int), [0]]))
    starts, stops = np.flatnonzero(turns == 1).tolist(), np.flatnonzero(turns == -1).tolist()
    last = len(times) - 1
    return [
        (float(times[a]), float(times[min(b, last)])) for a, b in zip(starts, stops, strict=True)
    ]


def timeline_data(analysis: Analysis) -> dict[str, Any]:
    """Everything that the report's script draws, JSON-ready."""
    curve, spotting = analysis.curve, analysis.spotting
    times, score = minmax(curve.times, curve.score, SCORE_POINTS // 2)
    start = float(curve.times[0]) if len(curve.times) else 0.0
    stop = float(curve.times[-1]) if len(curve.times) else 0.0
    cells = []
    for k, name in enumerate(CELLS):
        t, y = minmax(curve.times, curve.cells[:, k], CELL_BINS)
        words = CELL_WORDS[name]
        cells.append({"name": words[0].upper() + words[1:], "t": packed_times(t), "y": packed(y)})
    return {
        "start": start,
        "stop": stop,
        "threshold": round(float(spotting.threshold), 4),
        "t": packed_times(times),
        "score": packed(score),
        "cells": cells,
        "events": [
            {
                "on": round(e.interval.onset, 4),
                "apex": round(e.interval.apex, 4),
                "off": round(e.interval.offset, 4),
                "label": e.label,
                "p": round(float(e.probabilities[e.label]), 3),
                "uncertain": bool(e.uncertain),
                "kind": e.kind,
            }
            for e in analysis.events
        ],
        "blinks": [[round(b.start, 3), round(b.end, 3)] for b in spotting.blinks],
        "gated": [
            [round(g.start, 3), round(g.end, 3), g.cause]
            for g in spotting.gated_spans
            if g.cause != "blink"
        ],
        "lost": [
            [round(a, 3), round(b, 3)]
            for a, b in lost_spans(analysis.track.found, analysis.track.times)
        ],
        "rejected": [[round(r.peak, 3), r.reason] for r in spotting.rejected],
    }


def _nice_step(span: float, ticks: int) -> float:
    raw = span / max(1, ticks)
    power = 10.0 ** np.floor(np.log10(raw))
    return float(next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999))


def _window(curve: MotionCurve, interval: Interval) -> tuple[float, float, NDArray[np.bool_]]:
    pad = max(_PAD_S, 0.8 * interval.duration)
    start, stop = interval.onset - pad, interval.offset + pad
    near = (curve.times >= start) & (curve.times <= stop)
    return start, stop, np.asarray(near, dtype=bool)


def _path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """SVG path data in whole units of a 1000 x 300 box; a NaN lifts the pen."""
    parts, pen = [], "M"
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if np.isfinite(b):
            parts.append(f"{pen}{a:.0f} {b:.0f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def _ticks(start: float, stop: float) -> str:
    step = _nice_step(stop - start, 5)
    first = int(np.ceil(start / step))
    digits = 1 if step >= 0.1 else 2
    labels = []
    for k in range(first, int(stop / step) + 1):
        place = 100 * (k * step - start) / (stop - start)
        if 2 < place < 96:
            labels.append(
                f'<span class="tick" style="left:{place:.2f}%">{k * step:.{digits}f}</span>'
            )
    return f'<div class="ticks">{"".join(labels)}<span class="unit">s</span></div>'


def event_curve(curve: MotionCurve, interval: Interval, threshold: float) -> str:
    """The score around one event as HTML: an SVG that stretches, its labels as text beside it.

    Text is kept out of the SVG so that it has one size on a wide screen and on a telephone.
    """
    start, stop, near = _window(curve, interval)
    times, score = minmax(curve.times[near], curve.score[near], 300)
    finite = score[np.isfinite(score)]
    top = 1.18 * max(float(finite.max()) if len(finite) else 0.0, 1.35 * threshold, 1e-9)
    scale = 1000 / (stop - start)
    limit = 300 * (1 - threshold / top)
    on, apex, off = (scale * (t - start) for t in (interval.onset, interval.apex, interval.offset))
    marks = "".join(
        f'<line class="mark-{name}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="300"/>'
        for name, x in (("onset", on), ("apex", apex), ("offset", off))
    )
    return (
        '<div class="mini" role="img" aria-label="Movement score around the event">'
        '<div class="box"><svg viewBox="0 0 1000 300" preserveAspectRatio="none">'
        f'<rect class="span" x="{on:.1f}" y="0" width="{off - on:.1f}" height="300"/>'
        f'<line class="limit" x1="0" x2="1000" y1="{limit:.1f}" y2="{limit:.1f}"/>{marks}'
        f'<path class="line" d="{_path(scale * (times - start), 300 * (1 - score / top))}"/></svg>'
        f'<span class="limit-label" style="top:{limit / 3:.1f}%">threshold</span>'
        f'<span class="apex-label" style="left:{apex / 10:.2f}%">apex</span>'
        f'<span class="name">score, × noise</span></div>{_ticks(start, stop)}</div>'
    )


def event_cells(curve: MotionCurve, interval: Interval, strongest: int = 2) -> str:
    """The ten cells around one event as HTML, those that moved most drawn in front and named."""
    start, stop, near = _window(curve, interval)
    during = (curve.times >= interval.onset) & (curve.times <= interval.offset)
    inside = np.nan_to_num(np.abs(np.asarray(curve.cells, dtype=np.float64)[during]))
    if not len(inside):
        return ""
    order = np.argsort(-inside.max(axis=0), kind="stable").tolist()
    cells = np.asarray(curve.cells, dtype=np.float64)[near]
    high = 1.15 * max(float(np.nanmax(cells, initial=0.0)), 1e-6)
    low = min(float(np.nanmin(cells, initial=0.0)), -0.06 * high)
    scale, zero = 1000 / (stop - start), 300 * high / (high - low)
    lines = []
    for rank, k in reversed(list(enumerate(order))):
        front = rank < strongest
        times, values = minmax(curve.times[near], cells[:, k], 150 if front else 50)
        kind = f"first-{rank + 1}" if front else "other"
        path = _path(scale * (times - start), 300 * (high - values) / (high - low))
        lines.append(f'<path class="cell {kind}" d="{path}"/>')
    legend = "".join(
        f'<li><span class="swatch stroke first-{rank + 1}"></span>{CELL_WORDS[CELLS[k]]}</li>'
        for rank, k in enumerate(order[:strongest])
    )
    on, off = scale * (interval.onset - start), scale * (interval.offset - start)
    return (
        '<div class="mini" role="img" aria-label="Displacement of the ten cells around the event">'
        '<div class="box"><svg viewBox="0 0 1000 300" preserveAspectRatio="none">'
        f'<rect class="span" x="{on:.1f}" y="0" width="{off - on:.1f}" height="300"/>'
        f'<line class="zero" x1="0" x2="1000" y1="{zero:.0f}" y2="{zero:.0f}"/>'
        f"{''.join(lines)}</svg>"
        f'<span class="name">cells, 1/15 eye distance</span></div>{_ticks(start, stop)}'
        f'<ul class="legend">{legend}<li><span class="swatch stroke other"></span>other cells</li>'
        "</ul></div>"
    )
