"""The report's sections other than the cards, each a function from values to escaped HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any, Final

from micromimic.core.notices import cannot_tell
from micromimic.core.results import Analysis
from micromimic.core.strict_json import printable
from micromimic.core.types import LONGEST_MICRO_S, AnalysisWarning, MicroExpression
from micromimic.report.curves import lost_spans
from micromimic.report.detection import chance_text, limits_section
from micromimic.report.evidence import CELL_WORDS
from micromimic.report.palette import place_of

REASONS: Final = {
    "blink": ("Blink", "coincides with an eyelid closing"),
    "head": ("Head movement", "the head moved too fast to tell face from head"),
    "light": ("Change of light", "the brightness changed with it"),
    "macro": ("Longer expression", "lasts longer, or the face does not return to where it was"),
    "short": ("Too short or too small", "less than the recording resolves"),
    "speech": ("Speech", "the mouth moved on and on, as in speaking or chewing"),
    "crowded": (
        "Crowded",
        "several movements in a row, or a stretch as unquiet as itself",
    ),
    "lost": ("Face lost", "too near the beginning or end of a stretch with the face"),
    "edge": ("Ends of stretches", "no past or no future to compare with"),
}
"""Why movements are rejected or time is gated: name and meaning."""

INDICATOR_ORDER: Final = (
    "candidates_per_minute",
    "stated_size_per_minute",
    "valence_balance",
    "blinks_per_minute",
    "movement_vs_baseline",
    "noise_px",
    "found_ratio",
)


_LONGER: Final = (
    f'<p class="hint">Longer expressions last from {LONGEST_MICRO_S:g} s to 4 s. They are listed, '
    "and count in no number of this report. Their class is the same model's, which was made for "
    "micro-expressions.</p>"
)


def text(value: object) -> str:
    """Escaped for HTML text and attributes; what no file can carry is replaced."""
    return escape(printable(str(value)), quote=True)


def clock(seconds: float) -> str:
    """Minutes, seconds and milliseconds.

    >>> clock(64.3656), clock(59.9996)
    ('1:04.366', '1:00.000')
    """
    whole = round(seconds * 1000)
    return f"{whole // 60000}:{whole % 60000 / 1000:06.3f}"


def short_duration(seconds: float) -> str:
    """A length of time in the units that suit it.

    >>> short_duration(42.31), short_duration(600.2)
    ('42.3 s', '10 min 0 s')
    """
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{int(round(seconds) // 60)} min {round(seconds) % 60} s"


def number(value: float) -> str:
    """Three significant digits without an exponent.

    >>> number(7.0171), number(0.0123), number(142.2)
    ('7.02', '0.0123', '142')
    """
    if value == 0:
        return "0"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def brand() -> str:
    """The bar at the very top."""
    return (
        '<div class="brand"><span class="logo" aria-hidden="true"></span>micromimic'
        '<button id="theme" type="button" hidden>Dark</button></div>'
    )


def warning_list(warnings: Sequence[AnalysisWarning]) -> str:
    """Limits of the input, above everything else."""
    if not warnings:
        return ""
    items = "".join(
        f"<li><code>{text(w.code)}</code><span>{text(w.message)}</span></li>" for w in warnings
    )
    count = len(warnings)
    noun = "limit" if count == 1 else "limits"
    return (
        f'<section class="warnings" aria-labelledby="warnings-title"><h2 id="warnings-title">'
        f"{count} {noun} of this recording</h2><ul>{items}</ul></section>"
    )


def summary(analysis: Analysis) -> str:
    """One sentence: how many, in how much observed time, of which classes, how sure."""
    events, observed = analysis.micro, analysis.spotting.observed_s
    whole = short_duration(analysis.source.duration_s)
    longer = len(analysis.macro)
    more = f" {longer} longer expression{'' if longer == 1 else 's'} beside." if longer else ""
    if not events:
        return (
            f"<p class='lead'>No candidate micro-expression in {short_duration(observed)} of "
            f"observed face ({whole} of recording).{more}</p>"
        )
    counts = Counter(e.label for e in events)
    names = [name for name in analysis.model.labels if counts[name]]
    kinds = ", ".join(f"{counts[name]}&nbsp;{text(name)}" for name in names)
    uncertain = sum(e.uncertain for e in events)
    noun = "micro-expression" if len(events) == 1 else "micro-expressions"
    unsure = f"; {uncertain} of them uncertain" if uncertain else ""
    return (
        f"<p class='lead'><strong>{len(events)} candidate {noun}</strong> in "
        f"{short_duration(observed)} of observed face ({whole} of recording): {kinds}{unsure}."
        f"{more}</p>"
    )


def header(analysis: Analysis) -> str:
    """File name, what it is, and how much of it shows the face."""
    source = analysis.source
    name = PurePath(printable(source.path)).name or printable(source.path)
    facts = [
        short_duration(source.duration_s),
        f"{source.fps:g} frames/s"
        if source.fps == round(source.fps)
        else f"{source.fps:.2f} frames/s",
        f"{source.width} × {source.height}",
        f"{source.frames:,} frames",
        f"face in {100 * analysis.found_ratio:.1f} %",
    ]
    if analysis.others_seen:
        people = "person" if analysis.others_seen == 1 else "people"
        facts.append(f"{analysis.others_seen} other {people} seen")
    return (
        f'<header class="top"><h1>{text(name)}</h1><ul class="facts">'
        + "".join(f"<li>{text(fact)}</li>" for fact in facts)
        + f"</ul>{summary(analysis)}</header>"
    )


def timeline(analysis: Analysis) -> str:
    """Where the script draws the score, with its legend."""
    spotting = analysis.spotting
    shown, names = {event.label for event in analysis.events}, analysis.model.labels
    known = [
        *((f"dot {place_of(name, names)}", text(name), name in shown) for name in names),
        ("box longer", "longer expression", bool(analysis.macro)),
        ("box blink", "blink", bool(spotting.blinks)),
        ("box gated", "gated", any(g.cause != "blink" for g in spotting.gated_spans)),
        ("box lost", "face lost", not bool(analysis.track.found.all())),
        ("cross", "rejected", bool(spotting.rejected)),
        ("dash", "threshold", True),
    ]
    swatches = [(kind, name) for kind, name, present in known if present]
    legend = "".join(
        f'<li><span class="swatch {kind}" aria-hidden="true"></span>{name}</li>'
        for kind, name in swatches
    )
    return (
        '<section id="timeline-section" class="panel" aria-labelledby="timeline-title">'
        '<div class="bar"><h2 id="timeline-title">Timeline</h2>'
        '<button id="reset" type="button" hidden>Whole recording</button></div>'
        '<p class="hint">Movement of the strongest cells in multiples of their noise. <span '
        'id="zoom-hint">Drag to zoom, double-click for the whole; choose an event to go to its '
        "card.</span></p>"
        '<div id="timeline" class="plot"><noscript>The timeline needs JavaScript; the events '
        f'below do not.</noscript></div><ul class="legend">{legend}</ul>{limits_section(analysis)}'
        '<details id="cells"><summary>Curves of the ten cells</summary>'
        '<p class="hint">Displacement of each cell from its own past and future, in units of 1/15 '
        "of the eye distance. Right and left are the person's own.</p>"
        '<div id="cells-plot" class="plot"></div></details></section>'
    )


def events_table(analysis: Analysis) -> str:
    """All events in a table, longer expressions marked, the others linked to their cards."""
    if not analysis.events:
        return ""
    rows, labels = [], analysis.model.labels
    located = any(event.regions for event in analysis.events)
    judged = any(event.amplitude is not None for event in analysis.events)
    for k, event in enumerate(analysis.events, start=1):
        span = event.interval
        regions = event.regions
        top = max(regions, key=lambda cell: regions[cell]) if regions else ""
        unsure = "yes" if event.uncertain else ""
        longer = event.kind == "macro"
        start = f'<tr><td><a href="#event-{k}">{k}</a>'
        if longer:  # has no card to go to: whoever chooses it on the timeline comes here
            start = f'<tr class="longer" id="event-{k}"><td>{k}'
        rows.append(
            f"{start}</td><td>{clock(span.onset)}</td>"
            f"<td>{clock(span.apex)}</td><td>{clock(span.offset)}</td>"
            f"<td>{1000 * span.duration:.0f}</td>"
            f'<td class="word"><span class="swatch dot {place_of(event.label, labels)}"></span>'
            f"{text(event.label)}{' <small>longer</small>' if longer else ''}</td>"
            f"<td>{event.probabilities[event.label]:.2f}</td>"
            f'<td class="word">{unsure}</td><td>{event.strength:.1f}</td>'
            + (_seen_cells(event) if judged else "")
            + (f'<td class="word">{text(CELL_WORDS.get(top, top))}</td>' if located else "")
            + "</tr>"
        )
    heads: list[tuple[str, str]] = [
        ("#", ""), ("Onset", "min:s"), ("Apex", "min:s"), ("Offset", "min:s"), ("Length", "ms"),
        ("Class", ""), ("Probability", ""), ("Uncertain", ""), ("Strength", "× noise"),
    ]  # fmt: skip
    heads += [("Amplitude", "units"), ("By chance", "/h")] if judged else []
    heads += [("Top cell", "")] if located else []
    words = ("Class", "Uncertain", "Top cell")
    head = "".join(
        f'<th scope="col" class="{"word" if name in words else "figure"}">{name}'
        f"<small>{unit}</small></th>"
        for name, unit in heads
    )
    return (
        '<section class="panel" aria-labelledby="table-title"><h2 id="table-title">All events</h2>'
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{_LONGER if analysis.macro else ''}</section>"
    )


def _seen_cells(event: MicroExpression) -> str:
    seen, chance = event.amplitude, event.false_alarms_per_hour
    size = "–" if seen is None else f"{seen.units:.2f} ± {seen.deviation:.2f}"
    return f"<td>{size}</td><td>{'–' if chance is None else chance_text(chance)}</td>"


def _indicator(entry: Mapping[str, Any]) -> str:
    value, low, high = entry.get("value"), entry.get("low"), entry.get("high")
    unit = text(entry.get("unit", ""))
    if isinstance(value, int | float):
        shown = f"{100 * value:.1f} %" if unit == "share of frames" else number(value)
    else:
        shown = "not known"
    between = ""
    if isinstance(low, int | float) and isinstance(high, int | float):
        between = f'<p class="interval">95 %: {number(low)} to {number(high)}</p>'
    return (
        f'<div class="indicator"><h3>{text(entry.get("label", ""))}</h3>'
        f'<p class="value">{shown}</p>{between}<p class="unit">{unit}</p>'
        f'<p class="caveat">{text(entry.get("caveat", ""))}</p></div>'
    )


def indicators_block(analysis: Analysis) -> str:
    """Numbers about the recording, each with its interval and its caveat."""
    known = analysis.indicators
    cards = "".join(_indicator(known[name]) for name in INDICATOR_ORDER if name in known)
    if not cards:
        return ""
    return (
        '<section class="panel" aria-labelledby="indicators-title">'
        '<h2 id="indicators-title">Indicators of this recording</h2>'
        f'<div class="indicators">{cards}</div></section>'
    )


def _share_bar(analysis: Analysis) -> str:
    """Observed, gated and lost time as one bar; the legend carries the numbers."""
    spotting, track = analysis.spotting, analysis.track
    lost = sum(stop - start for start, stop in lost_spans(track.found, track.times))
    parts = [("observed", "Observed", spotting.observed_s)]
    parts += [
        (f"gated {cause}", f"Gated: {REASONS.get(cause, (cause, ''))[0].lower()}", float(seconds))
        for cause, seconds in sorted(spotting.gated_s.items())
    ]
    parts.append(("lost", "Face lost", lost))
    rest = analysis.source.duration_s - sum(seconds for _, _, seconds in parts)
    if rest > 0.01 * analysis.source.duration_s:
        parts.append(("edges", "Ends and short stretches", rest))
    total = sum(seconds for _, _, seconds in parts)
    if not total > 0:
        return '<p class="hint">No time was observed.</p>'
    bar = "".join(
        f'<span class="part {text(kind)}" style="flex-grow:{seconds / total:.5f}"></span>'
        for kind, _, seconds in parts
        if seconds > 0
    )
    legend = "".join(
        f'<li><span class="swatch part {text(kind)}" aria-hidden="true"></span>{text(name)} '
        f"<strong>{short_duration(seconds)}</strong></li>"
        for kind, name, seconds in parts
        if seconds > 0
    )
    return f'<div class="share" aria-hidden="true">{bar}</div><ul class="legend">{legend}</ul>'


def rejected_block(analysis: Analysis) -> str:
    """What was seen and not reported, and the time in which nothing could be."""
    counts = analysis.spotting.rejected_counts()
    rows = "".join(
        f'<tr><td class="word">{text(REASONS.get(reason, (reason, ""))[0])}</td><td>{count}</td>'
        f'<td class="word">{text(REASONS.get(reason, ("", ""))[1])}</td></tr>'
        for reason, count in sorted(counts.items(), key=lambda item: -item[1])
    )
    table = (
        '<div class="scroll"><table><thead><tr><th scope="col" class="word">Reason</th>'
        '<th scope="col">Count</th><th scope="col" class="word">Meaning</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        if rows
        else '<p class="hint">No movement was rejected.</p>'
    )
    return (
        '<section class="panel" aria-labelledby="rejected-title"><h2 id="rejected-title">Not '
        f"reported</h2><h3>Time</h3>{_share_bar(analysis)}<h3>Rejected movements</h3>{table}"
        "</section>"
    )


def limits_block(analysis: Analysis) -> str:
    """What this report cannot tell."""
    items = "".join(
        f"<div><h3>{text(heading)}</h3><p>{text(sentence)}</p></div>"
        for heading, sentence in cannot_tell(len(analysis.model.labels))
    )
    return (
        '<section class="panel limits" aria-labelledby="limits-title"><h2 id="limits-title">What '
        f'this report cannot tell</h2><div class="columns">{items}</div></section>'
    )


def provenance(analysis: Analysis, version: str) -> str:
    """Source, model and version, at the foot."""
    model, source = analysis.model, analysis.source
    rows = (
        ("Source", source.path),
        ("Model", f"{model.name} {model.version}, trained on {model.trained_on}"),
        ("Threshold", f"{analysis.spotting.threshold:.2f} × noise"),
        ("Made by", f"micromimic {version}; candidate micro-expressions, for a trained reader"),
        ("Beside this report", "events.json, events.csv, events.eaf (ELAN), curve.csv"),
    )
    items = "".join(f"<dt>{name}</dt><dd>{text(value)}</dd>" for name, value in rows)
    return f'<footer class="provenance"><dl>{items}</dl></footer>'
