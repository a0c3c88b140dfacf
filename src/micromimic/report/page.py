"""The report: one self-contained HTML page that opens offline and asks no network for anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from micromimic import __version__
from micromimic.core.labels import REGIONS
from micromimic.core.notices import cannot_tell
from micromimic.core.results import STATED_UNITS, Analysis
from micromimic.core.strict_json import printable
from micromimic.core.types import LONGEST_MICRO_S, MicroExpression
from micromimic.media.draw import flow_peak
from micromimic.report import words
from micromimic.report.curves import cells_chart, drawn_data, lost_spans, score_chart
from micromimic.report.page_script import report_script, viewer_style
from micromimic.report.palette import place_of, rules, tokens
from micromimic.report.pictures import MOST_EVENTS, picture_width, pictured, pictures, what_moved
from micromimic.report.rendering import embedded_json, environment
from micromimic.report.words import CELL_WORDS, REASONS, REGION_WORDS

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


def write_report(analysis: Analysis, path: Path) -> None:
    """Write ``report.html``."""
    path.write_text(report_html(analysis), encoding="utf-8")


def report_html(analysis: Analysis) -> str:
    """The whole page as text.

    Pictures shrink with the number of events, and a long curve is thinned with its extremes kept,
    so that even reports of long recordings stay easy to send.
    """
    events, source = analysis.events, analysis.source
    micro = {k: event for k, event in enumerate(events) if event.kind == "micro"}
    shown = pictured(micro)
    name = file_name(source.path)
    template = _environment().get_template("report.html.jinja")
    return template.render(
        title=name,
        name=name or printable(source.path),
        style=style(Markup(viewer_style())),
        warnings=analysis.warnings,
        analysis=analysis,
        about=_about(analysis),
        counts=_counts(analysis),
        uncertain=sum(event.uncertain for event in analysis.micro),
        legend=_legend(analysis),
        limits=_limits(analysis),
        stated_units=STATED_UNITS,
        stated_px=words.pixels(STATED_UNITS * analysis.pixels_per_unit()),
        longest_micro_s=LONGEST_MICRO_S,
        cards=[_card(analysis, k, event, shown, len(micro)) for k, event in micro.items()],
        with_pictures=len(shown),
        without_pictures=sum(e.evidence is not None for e in micro.values()) - len(shown),
        heads=_heads(analysis),
        rows=[_row(analysis, event) for event in events],
        indicators=_indicators(analysis),
        time=_time(analysis),
        rejections=_rejections(analysis),
        statements=cannot_tell(len(analysis.model.labels)),
        sources=_sources(analysis),
        data=embedded_json(drawn_data(analysis)),
        script=Markup(report_script()),
    )


@cache
def _environment() -> Environment:
    templates = environment(TEMPLATES)
    templates.filters |= {
        "clock": words.clock,
        "duration": words.duration,
        "chance": words.chance,
        "unit_words": lambda unit: words.UNIT_WORDS.get(unit, ""),
    }
    return templates


def file_name(path: str) -> str:
    """The last part of a path, as any file can carry it."""
    return PurePath(printable(path)).name


def style(more: Markup) -> Markup:
    """The style of all reports; dark, at the system's wish or the button's, on screens only."""
    dark = f"{_text('dark.css')}{tokens(dark=True)}"
    return Markup(
        f":root {{ {tokens(dark=False)} }}\n{rules()}\n{_text('report.css')}{more}"
        "@media screen and (prefers-color-scheme: dark) "
        f"{{:root:not([data-theme=light]) {{{dark}}}}}"
        f"@media screen {{:root[data-theme=dark] {{{dark}}}}}"
    )


def _text(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _about(analysis: Analysis) -> list[str]:
    """What the recording is, and how much of it shows the face."""
    source = analysis.source
    whole = source.fps == round(source.fps)
    facts = [
        words.duration(source.duration_s),
        f"{source.fps:g} frames/s" if whole else f"{source.fps:.2f} frames/s",
        f"{source.width} × {source.height}",
        f"{source.frames:,} frames",
        f"face in {100 * analysis.found_ratio:.1f} %",
    ]
    if analysis.others_seen:
        people = "person" if analysis.others_seen == 1 else "people"
        facts.append(f"{analysis.others_seen} other {people} seen")
    return facts


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
        ("box gated", "gated", any(span.cause != "blink" for span in spotting.gated_spans)),
        ("box lost", "face lost", not analysis.track.found.all()),
        ("cross", "rejected", bool(spotting.rejected)),
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
    analysis: Analysis, position: int, event: MicroExpression, shown: set[int], count: int
) -> dict[str, Any]:
    """What a card has beside its event."""
    span, evidence, curve = event.interval, event.evidence, analysis.curve
    names, threshold = list(event.probabilities), analysis.spotting.threshold
    during = (curve.times >= span.onset) & (curve.times <= span.offset)
    ranked = sorted(event.regions.items(), key=lambda item: -item[1])
    top, rest = ranked[:_MOST_REGIONS], ranked[_MOST_REGIONS:]
    largest = max((share for _, share in ranked), default=0.0) or 1.0
    pictured = evidence is not None and position in shown
    with_cells = pictured or position in shown or len(analysis.micro) <= MOST_EVENTS
    return {
        "event": event,
        "number": position + 1,
        "place": place_of(event.label, analysis.model.labels),
        "places": {name: place_of(name, names) for name in names},
        "pictures": pictures(evidence, picture_width(count)) if evidence and pictured else None,
        "moved": "" if evidence is None else what_moved(evidence),
        "score": score_chart(curve, span, threshold),
        "below_threshold": event.amplitude is not None
        and not (curve.score[during] >= threshold).any(),
        "cells": cells_chart(curve, span) if with_cells else None,
        "numbers": _numbers(analysis, event),
        "regions": [(CELL_WORDS.get(cell, cell), share / largest, share) for cell, share in top],
        "other_cells": len(rest),
        "other_share": sum(share for _, share in rest),
    }


def _numbers(analysis: Analysis, event: MicroExpression) -> list[tuple[str, str]]:
    span, seen, evidence = event.interval, event.amplitude, event.evidence
    numbers = [
        ("Length", f"{1000 * span.duration:.0f} ms"),
        ("Rise", f"{1000 * (span.apex - span.onset):.0f} ms"),
        ("Strength", f"{event.strength:.1f} × noise"),
    ]
    if seen is not None:
        size = f"{seen.units:.2f} ± {seen.deviation:.2f} units ({words.pixels(seen.pixels)} px)"
        numbers.append(("Amplitude", size))
    elif evidence is not None:
        numbers.append(("Peak motion", f"{flow_peak(evidence.flow) * evidence.flow.scale:.1f} px"))
    numbers.append(("Frames", f"{event.onset_frame} – {event.apex_frame} – {event.offset_frame}"))
    if analysis.media is not None:
        moments = (span.onset, span.apex, span.offset)
        times = " – ".join(words.clock(analysis.media_seconds(t)) for t in moments)
        numbers.append(("In a player", times))
    return numbers


def _heads(analysis: Analysis) -> list[tuple[str, str, bool]]:
    """Heads of the table of events: name, unit, whether it is a column of words."""
    heads = [
        ("#", "", False), ("Onset", "min:s", False), ("Apex", "min:s", False),
        ("Offset", "min:s", False), ("Length", "ms", False), ("Class", "", True),
        ("Probability", "", False), ("Uncertain", "", True), ("Strength", "× noise", False),
    ]  # fmt: skip
    if _judged(analysis):
        heads += [("Amplitude", "units", False), ("By chance", "/h", False)]
    if _located(analysis):
        heads.append(("Top cell", "", True))
    return heads


def _judged(analysis: Analysis) -> bool:
    return any(event.amplitude is not None for event in analysis.events)


def _located(analysis: Analysis) -> bool:
    return any(event.regions for event in analysis.events)


def _row(analysis: Analysis, event: MicroExpression) -> dict[str, Any]:
    """A row of the table of events; a longer expression is marked as one."""
    span, seen, chance = event.interval, event.amplitude, event.false_alarms_per_hour
    others = [
        (f"{event.probabilities[event.label]:.2f}", False),
        ("yes" if event.uncertain else "", True),
        (f"{event.strength:.1f}", False),
    ]
    if _judged(analysis):
        size = "–" if seen is None else f"{seen.units:.2f} ± {seen.deviation:.2f}"
        others += [(size, False), ("–" if chance is None else words.chance(chance), False)]
    if _located(analysis):
        top = max(event.regions, key=lambda cell: event.regions[cell]) if event.regions else ""
        others.append((CELL_WORDS.get(top, top), True))
    return {
        "longer": event.kind == "macro",
        "times": [
            *(words.clock(moment) for moment in (span.onset, span.apex, span.offset)),
            f"{1000 * span.duration:.0f}",
        ],
        "place": place_of(event.label, analysis.model.labels),
        "label": event.label,
        "others": others,
    }


def _indicators(analysis: Analysis) -> list[dict[str, str]]:
    known = analysis.indicators
    return [_indicator(known[name]) for name in _INDICATORS if name in known]


def _indicator(entry: Mapping[str, Any]) -> dict[str, str]:
    """A number about the recording, with its interval and its caveat."""
    value, low, high = entry.get("value"), entry.get("low"), entry.get("high")
    unit, shown, between = str(entry.get("unit", "")), "not known", ""
    if isinstance(value, int | float):
        share = unit == "share of frames"
        shown = f"{100 * value:.1f} %" if share else words.number(value)
    if isinstance(low, int | float) and isinstance(high, int | float):
        between = f"{words.number(low)} to {words.number(high)}"
    return {
        "label": str(entry.get("label", "")),
        "value": shown,
        "interval": between,
        "unit": unit,
        "caveat": str(entry.get("caveat", "")),
    }


def _time(analysis: Analysis) -> list[dict[str, Any]]:
    """Observed, gated and lost time; empty where there is none."""
    spotting, track, whole = analysis.spotting, analysis.track, analysis.source.duration_s
    parts = [("observed", "Observed", spotting.observed_s)]
    for cause, seconds in sorted(spotting.gated_s.items()):
        name = REASONS.get(cause, (cause, ""))[0].lower()
        parts.append((f"gated {cause}", f"Gated: {name}", float(seconds)))
    lost = sum(stop - start for start, stop in lost_spans(track.found, track.times))
    parts.append(("lost", "Face lost", lost))
    rest = whole - sum(seconds for _, _, seconds in parts)
    if rest > 0.01 * whole:
        parts.append(("edges", "Ends and short stretches", rest))
    total = sum(seconds for _, _, seconds in parts)
    return [
        {"kind": kind, "name": name, "seconds": seconds, "share": seconds / total}
        for kind, name, seconds in parts
        if seconds > 0
    ]


def _rejections(analysis: Analysis) -> list[tuple[str, int, str]]:
    """Reason, how many movements were rejected for it, and what it means; the commonest first."""
    counts = analysis.spotting.rejected_counts()
    return [
        (REASONS.get(reason, (reason, ""))[0], count, REASONS.get(reason, ("", ""))[1])
        for reason, count in sorted(counts.items(), key=lambda item: -item[1])
    ]


def _sources(analysis: Analysis) -> list[tuple[str, str]]:
    """Source, model and version, at the foot."""
    model = analysis.model
    return [
        ("Source", analysis.source.path),
        ("Model", f"{model.name} {model.version}, trained on {model.trained_on}"),
        ("Threshold", f"{analysis.spotting.threshold:.2f} × noise"),
        ("Made by", f"micromimic {__version__}; candidate micro-expressions, for a trained reader"),
        ("Beside this report", "events.json, events.csv, events.eaf (ELAN), curve.csv"),
    ]
