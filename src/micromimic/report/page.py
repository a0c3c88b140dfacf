"""The report: one self-contained HTML page that opens offline and asks no network for anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from micromimic import __version__
from micromimic.core.labels import REGIONS
from micromimic.core.notices import cannot_tell
from micromimic.core.results import OPEN_UNITS, STATED_UNITS, Analysis, HeldBack
from micromimic.core.strict_json import printable
from micromimic.core.summary import advice, summary
from micromimic.core.types import LONGEST_MICRO_S, MicroExpression
from micromimic.report import words
from micromimic.report.curves import cells_chart, drawn_data, lost_spans, score_chart
from micromimic.report.overlays import flow_peak
from micromimic.report.page_script import report_script, viewer_style
from micromimic.report.palette import place_of, style_sheet
from micromimic.report.pictures import (
    MOST_EVENTS,
    face_pair,
    picture_width,
    pictured,
    pictures,
    what_moved,
)
from micromimic.report.rendering import environment, packed_json
from micromimic.report.words import CELL_WORDS, REGION_WORDS

TEMPLATES: Final = Path(__file__).parent / "templates"

_INDICATORS: Final = (
    "candidates_per_minute",
    "stated_size_per_minute",
    "valence_balance",
    "blinks_per_minute",
    "movement_vs_baseline",
    "noise_px",
    "found_ratio",
)
"""In the order of the page."""
_MOST_REGIONS: Final = 5
_THREADS: Final = 2  # that make pictures
FEWEST_EVENTS: Final = 5
"""Of fewer events no rate and no balance is shown as a number."""


def write_report(analysis: Analysis, path: Path) -> None:
    """Write ``report.html``."""
    path.write_text(report_html(analysis), encoding="utf-8")


def report_html(analysis: Analysis) -> str:
    """The whole page as text.

    Pictures shrink with the number of events, and a long curve is thinned with its extremes kept,
    so that even reports of long recordings stay easy to send.
    """
    micro = {k: event for k, event in enumerate(analysis.events) if event.kind == "micro"}
    longer = {k: event for k, event in enumerate(analysis.events) if event.kind == "macro"}
    shown, longer_shown, content = pictured(micro), pictured(longer), analysis.to_dict()
    scale = analysis.pixels_per_unit()
    name = file_name(analysis.source.path)
    with ThreadPoolExecutor(_THREADS) as pool:  # what makes pictures lets other threads run
        cards = pool.map(lambda item: _card(analysis, *item, shown=shown), micro.items())
        held_back = pool.map(_held_back, analysis.held_back)
        longer_ones = pool.map(lambda item: _longer(*item, shown=longer_shown), longer.items())
        template = _environment().get_template("report.html.jinja")
    return template.render(
        title=name,
        name=name or analysis.source.path,
        version=__version__,
        style=style(Markup(viewer_style())),
        warnings=analysis.warnings,
        advice=advice(content),
        sentences=summary(content)[:2],  # the third is given by region below
        open_units=OPEN_UNITS,
        small_px=OPEN_UNITS * scale if np.isfinite(scale) else None,
        analysis=analysis,
        counts=_counts(analysis),
        legend=_legend(analysis),
        limits=_limits(analysis),
        stated_units=STATED_UNITS,
        longest_micro_s=LONGEST_MICRO_S,
        cards=list(cards),
        with_pictures=len(shown),
        with_evidence=sum(event.evidence is not None for event in micro.values()),
        held_back=list(held_back),
        longer_shown=list(longer_ones),
        indicators=list(_indicators(analysis)),
        fewest=FEWEST_EVENTS,
        time=_time(analysis),
        rejections=_rejections(analysis),
        statements=cannot_tell(len(analysis.model.labels)),
        data=packed_json(drawn_data(analysis)),
        script=Markup(report_script()),
    )


@cache
def _environment() -> Environment:
    templates = environment(TEMPLATES)
    filters = (words.clock, words.duration, words.number, words.pixels, words.chance)
    for function in (*filters, words.unit_text):
        templates.filters[function.__name__] = function
    templates.globals |= {
        "cell_words": CELL_WORDS,
        "unit_words": words.UNIT_WORDS,
        "place_of": place_of,
    }
    return templates


def file_name(path: str) -> str:
    """The last part of a path, as any file can carry it."""
    return PurePath(printable(path)).name


def style(more: Markup) -> Markup:
    """The style of all reports, after the colours of classes and before ``more``."""
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return Markup(f"{style_sheet()}{css}{more}")


def _counts(analysis: Analysis) -> list[tuple[str, int]]:
    counts = Counter(event.label for event in analysis.micro)
    return [(name, counts[name]) for name in analysis.model.labels if counts[name]]


def _legend(analysis: Analysis) -> list[tuple[str, str]]:
    """Swatches of what the timeline shows, and their names."""
    spotting, names = analysis.spotting, analysis.model.labels
    shown = {event.label for event in analysis.events}
    known = [
        *((f"dot {place_of(name, names)}", name, name in shown) for name in names),
        ("box longer", "longer expression", bool(analysis.macro)),
        ("box blink", "blink", bool(spotting.blinks)),
        ("box gated", "not judged", any(span.cause != "blink" for span in spotting.gated_spans)),
        ("box lost", "face lost", not analysis.track.found.all()),
        ("cross", "seen, not reported", bool(spotting.rejected)),
        ("dash", "threshold", True),
    ]
    return [(kind, name) for kind, name, present in known if present]


def _limits(analysis: Analysis) -> list[tuple[str, str]]:
    found = analysis.region_limits()
    if not found:
        return []
    size = words.pixels(STATED_UNITS * analysis.pixels_per_unit())
    return [(REGION_WORDS[name], words.limit_sentence(found[name], size)) for name in REGIONS]


def _card(
    analysis: Analysis, position: int, event: MicroExpression, *, shown: set[int]
) -> dict[str, Any]:
    """What a card has beside its event."""
    span, evidence, curve = event.interval, event.evidence, analysis.curve
    threshold, count = analysis.spotting.threshold, len(analysis.micro)
    width, few = picture_width(count), count <= MOST_EVENTS
    during = (curve.times >= span.onset) & (curve.times <= span.offset)
    ranked = sorted(event.regions.items(), key=lambda item: -item[1])
    top, rest = ranked[:_MOST_REGIONS], ranked[_MOST_REGIONS:]
    largest = max((share for _, share in ranked), default=0.0) or 1.0
    with_pictures = position in shown
    return {
        "event": event,
        "number": position + 1,
        "pictures": pictures(evidence, width) if evidence and with_pictures else None,
        "moved": "" if evidence is None else what_moved(evidence),
        "score": score_chart(curve, span, threshold),
        "below_threshold": event.amplitude is not None
        and not (curve.score[during] >= threshold).any(),
        "cells": cells_chart(curve, span) if with_pictures or few else None,
        "peak_px": None if evidence is None else flow_peak(evidence.flow) * evidence.flow.scale,
        "regions": [(CELL_WORDS.get(cell, cell), share / largest, share) for cell, share in top],
        "rest": [share for _, share in rest],
    }


def _held_back(item: HeldBack) -> dict[str, Any]:
    name, meaning = words.reason(item.reason)
    shown = face_pair(item.onset_face, item.apex_face)
    meaning = meaning[:1].upper() + meaning[1:]
    return {"movement": item, "pictures": shown, "name": name, "meaning": meaning}


def _longer(position: int, event: MicroExpression, *, shown: set[int]) -> dict[str, Any]:
    """A longer expression by its numbers; the strongest with pictures."""
    proof = event.evidence if position in shown else None
    pair = face_pair(proof.onset_face, proof.apex_face) if proof else None
    return {"event": event, "number": position + 1, "pictures": pair}


def _indicators(analysis: Analysis) -> Iterator[Mapping[str, Any]]:
    """Those that have something to say: a balance of few events has nothing."""
    for name in _INDICATORS:
        entry = analysis.indicators.get(name)
        few = name == "valence_balance" and (entry or {}).get("value") is None
        if entry is not None and not few:
            yield entry


def _time(analysis: Analysis) -> list[dict[str, Any]]:
    """Judged, closed and lost time; empty where there is none."""
    spotting, track, whole = analysis.spotting, analysis.track, analysis.source.duration_s
    parts = [("observed", "Judged", spotting.observed_s)]
    for cause, seconds in sorted(spotting.gated_s.items()):
        name = words.reason(cause)[0].lower()
        parts.append((f"gated {cause}", f"Not judged: {name}", float(seconds)))
    lost = sum(stop - start for start, stop in lost_spans(track.found, track.times))
    parts.append(("lost", "Face not seen", lost))
    rest = whole - sum(seconds for _, _, seconds in parts)
    if rest > 0.01 * whole:
        parts.append(("edges", "Start or end of a stretch", rest))
    total = sum(seconds for _, _, seconds in parts)
    return [
        {"kind": kind, "name": name, "seconds": seconds, "share": seconds / total}
        for kind, name, seconds in parts
        if seconds > 0
    ]


def _rejections(analysis: Analysis) -> list[tuple[str, int, str]]:
    """Reason, how many movements were held back for it, and what it means; the commonest first."""
    counts = Counter(item.reason for item in analysis.spotting.rejected)
    found = [(*words.reason(code), count) for code, count in sorted(counts.items())]
    return [(name, n, meaning) for name, meaning, n in sorted(found, key=lambda row: -row[2])]
