"""One card an event: what, when, how sure, and the pictures to judge it by."""

from __future__ import annotations

from micromimic.core.results import Analysis
from micromimic.core.types import MicroExpression
from micromimic.media.draw import flow_peak
from micromimic.report.action_units import units_block
from micromimic.report.curves import event_cells, event_curve
from micromimic.report.detection import amplitude_text, chance_text
from micromimic.report.evidence import (
    CELL_WORDS,
    MOST_EVENTS,
    Pictures,
    picture_width,
    pictured,
    pictures,
    what_moved,
)
from micromimic.report.palette import place_of
from micromimic.report.sections import clock, text


def cards(analysis: Analysis) -> str:
    """The micro-expressions' cards, or a word on why there are none."""
    micro = {k: event for k, event in enumerate(analysis.events) if event.kind == "micro"}
    if not micro:
        return _no_events(len(analysis.spotting.rejected))
    shown, width = pictured(micro), picture_width(len(micro))
    parts = [_card(analysis, k, event, shown, width) for k, event in micro.items()]
    bare = sum(event.evidence is not None for event in micro.values()) - len(shown)
    hint = (
        f'<p class="hint">Pictures are shown for the {len(shown)} strongest events only.</p>'
        if bare > 0
        else ""
    )
    return (
        '<section class="cards" aria-labelledby="events-title"><h2 id="events-title">Events</h2>'
        f"{hint}{''.join(parts)}</section>"
    )


def _no_events(rejected: int) -> str:
    if rejected == 0:
        why = "No movement rose above the threshold where one could have been reported."
    else:
        many = "1 movement" if rejected == 1 else f"{rejected} movements"
        why = f"{many} rose above the threshold and none was reported, for the reasons below."
    return (
        f'<section class="panel empty"><h2>No micro-expressions</h2><p>{why} That does not show '
        "that there was none: see what this report cannot tell.</p></section>"
    )


def _card(
    analysis: Analysis, position: int, event: MicroExpression, shown: set[int], width: int
) -> str:
    number, span = position + 1, event.interval
    label, place = text(event.label), place_of(event.label, analysis.model.labels)
    badge = '<span class="badge uncertain">uncertain</span>' if event.uncertain else ""
    frames = f"{event.onset_frame} – {event.apex_frame} – {event.offset_frame}"
    evidence = event.evidence
    gallery, moved = "", ""
    short = len(analysis.micro) <= MOST_EVENTS
    if evidence is not None and position in shown:
        gallery = _gallery(pictures(evidence, width), number)
    if evidence is not None:
        moved = f'<p class="moved">{text(what_moved(evidence))}</p>'
    return (
        f'<article class="card {place}" id="event-{number}"><div class="card-head">'
        f'<span class="count">{number}</span><h3><span class="swatch dot {place}" '
        f'aria-hidden="true"></span>{label}</h3>{badge}'
        f'<p class="when">{clock(span.onset)} <i>to</i> <b>{clock(span.apex)}</b> <i>to</i> '
        f"{clock(span.offset)}</p>"
        f'<button type="button" class="zoom" data-event="{position}" hidden>Show on timeline'
        f'</button></div><div class="card-body">{gallery}<div class="reading">'
        f"{_probabilities(event)}{units_block(event)}{moved}"
        f"{event_curve(analysis.curve, span, analysis.spotting.threshold)}"
        f"{_below_threshold(analysis, event)}"
        f"{event_cells(analysis.curve, span) if short or position in shown else ''}"
        f'<dl class="numbers"><div><dt>Length</dt><dd>{1000 * span.duration:.0f} ms</dd></div>'
        f"<div><dt>Rise</dt><dd>{1000 * (span.apex - span.onset):.0f} ms</dd></div>"
        f"<div><dt>Strength</dt><dd>{event.strength:.1f} × noise</dd></div>"
        f"{_size(event)}"
        f"<div><dt>Frames</dt><dd>{frames}</dd></div>{_in_the_file(analysis, event)}</dl>"
        f"{_chance(event)}{_regions(event)}</div></div></article>"
    )


def _in_the_file(analysis: Analysis, event: MicroExpression) -> str:
    """Where a player of the video finds the event, if not at the analysis's times."""
    if analysis.media is None:
        return ""
    span = event.interval
    times = " – ".join(
        clock(analysis.media_seconds(t)) for t in (span.onset, span.apex, span.offset)
    )
    return f"<div><dt>In a player</dt><dd>{times}</dd></div>"


def _below_threshold(analysis: Analysis, event: MicroExpression) -> str:
    """Why it is reported where the curve above does not show it."""
    span, curve = event.interval, analysis.curve
    score = curve.score[(curve.times >= span.onset) & (curve.times <= span.offset)]
    if event.amplitude is None or (score >= analysis.spotting.threshold).any():
        return ""
    return (
        '<p class="hint">Found in the dense flow of the whole face; the ten cells alone stay below '
        "their threshold.</p>"
    )


def _chance(event: MicroExpression) -> str:
    if event.false_alarms_per_hour is None:
        return ""
    return (
        f'<p class="chance">Chance makes <b>{chance_text(event.false_alarms_per_hour)}</b> '
        "movements as strong in an hour of this recording.</p>"
    )


def _size(event: MicroExpression) -> str:
    if event.amplitude is not None:
        return f"<div><dt>Amplitude</dt><dd>{amplitude_text(event)}</dd></div>"
    if event.evidence is None:
        return ""
    units, scale = flow_peak(event.evidence.flow), event.evidence.flow.scale
    return f"<div><dt>Peak motion</dt><dd>{units * scale:.1f} px</dd></div>"


def _probabilities(event: MicroExpression) -> str:
    names = list(event.probabilities)
    rows = "".join(
        f'<li class="{"best" if name == event.label else ""}"><span>{text(name)}</span>'
        f'<span class="track"><span class="fill {place_of(name, names)}" style="width:'
        f'{100 * share:.1f}%"></span></span>'
        f"<b>{share:.2f}</b></li>"
        for name, share in event.probabilities.items()
    )
    return f'<ul class="probabilities" aria-label="Probabilities">{rows}</ul>'


def _regions(event: MicroExpression, most: int = 5) -> str:
    """The cells' shares in the winning class: the largest, and the rest in one word."""
    if not event.regions:
        return ""
    ranked = sorted(event.regions.items(), key=lambda item: -item[1])
    top, rest = ranked[:most], ranked[most:]
    scale = max(share for _, share in ranked) or 1.0
    rows = "".join(
        f'<li><span>{text(CELL_WORDS.get(cell, cell))}</span><span class="track"><span '
        f'class="fill" style="width:{100 * share / scale:.1f}%"></span></span>'
        f"<b>{100 * share:.0f} %</b></li>"
        for cell, share in top
    )
    other = sum(share for _, share in rest)
    tail = f'<p class="hint">The other {len(rest)} cells: {100 * other:.0f} %.</p>' if rest else ""
    return f'<div class="regions"><h4>Where the class comes from</h4><ul>{rows}</ul>{tail}</div>'


def _figure(uri: str, title: str, caption: str, shots: Pictures) -> str:
    return (
        f'<figure><button type="button" class="frame" aria-label="Enlarge: {text(title)}">'
        f'<img src="{uri}" alt="{text(title)}" width="{shots.width}" height="{shots.height}">'
        f"</button><figcaption><b>{text(title)}</b> {text(caption)}</figcaption></figure>"
    )


def _gallery(shots: Pictures, number: int) -> str:
    """Onset and apex in one frame to toggle, then movement, vote and difference."""
    name = f"phase-{number}"
    flicker = (
        '<figure class="pair"><div class="frame stack">'
        f'<img class="onset" src="{shots.onset}" alt="Face at the onset" width="{shots.width}" '
        f'height="{shots.height}"><img class="apex" src="{shots.apex}" alt="Face at the apex" '
        f'width="{shots.width}" height="{shots.height}"></div><figcaption class="switch" '
        f'role="group" aria-label="Face shown"><label><input type="radio" name="{name}" '
        f'value="onset">Onset</label><label><input type="radio" name="{name}" value="apex" checked>'
        f'Apex</label><label class="auto"><input type="radio" name="{name}" value="flicker">'
        "Flicker</label></figcaption></figure>"
    )
    figures = [
        flicker,
        _figure(
            shots.movement,
            "Movement",
            f"Arrows {shots.arrow_gain:g} × longer than the motion from onset to apex; the ten "
            "cells.",
            shots,
        ),
    ]
    if shots.votes is not None:
        figures.append(
            _figure(
                shots.votes, "Vote", "Places that made the winning class: brighter is more.", shots
            )
        )
    figures.append(
        _figure(
            shots.difference,
            "Difference",
            f"Brighter (red) and darker (blue) at the apex, {shots.difference_gain:g} × magnified.",
            shots,
        )
    )
    return f'<div class="gallery">{"".join(figures)}</div>'
