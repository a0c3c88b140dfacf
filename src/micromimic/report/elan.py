"""Events as an ELAN annotation file (EAF 3.0) linked to the video.

ELAN is the annotation tool of the Max Planck Institute for Psycholinguistics. What the format asks
for: times in whole milliseconds in one ordered list of slots, no two annotations of a tier
overlapping, none shorter than a millisecond. Colliding annotations go to a second tier
(``blink-2``), so none is lost. The action units that an event looks like stand in a tier of their
own, as coders write them (``L12+6``); an event that looks like none has no annotation there.
Longer expressions have tiers of their own (``macro-expression``), so that what is counted in
``micro-expression`` is micro-expressions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree

from pympi.Elan import Eaf, to_adocument

from micromimic.core.results import Analysis, Rejected
from micromimic.core.strict_json import printable
from micromimic.core.types import ExpressionKind, MicroExpression

_MIME_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".qt": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
}
"""By ending, the names that ELAN knows; anything else is ``video/*``."""

_SCHEMA: Final = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_REJECTED_HALF_MS: Final = 40


@dataclass(frozen=True)
class Span:
    """One annotation: milliseconds, text, and for an event the apex that divides it."""

    start: int
    end: int
    text: str
    apex: int | None = None


@dataclass(frozen=True)
class CoderTiers:
    """What one person says about the same video, in tiers of the person's own.

    The name is another for each coder; times are those at which a player of the video is.
    ``rejected`` are the machine's events that the coder does not hold to be there.
    """

    name: str
    events: Sequence[Span]
    rejected: Sequence[Span] = ()
    longer: Sequence[Span] = ()
    units: Sequence[Span] = ()  # action units that the person coded
    notes: Sequence[Span] = ()


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def span_of(start: float, end: float, text: str, apex: float | None = None) -> Span:
    """An annotation of times in seconds; at least a millisecond long.

    >>> span_of(1.0, 1.25, "blink", apex=1.1)
    Span(start=1000, end=1250, text='blink', apex=1100)
    """
    first = _ms(start)
    last = max(_ms(end), first + 1)
    middle = None if apex is None else min(max(_ms(apex), first), last)
    return Span(first, last, text, middle)


def event_text(event: MicroExpression) -> str:
    """What stands in the tier: class, its probability, and whether the model is uncertain.

    >>> from micromimic.core.types import Interval
    >>> share = {"calm": 0.2, "tense": 0.8}
    >>> event_text(MicroExpression(Interval(1, 1.1, 1.2), 1, 2, 3, "tense", share, True, 6.0))
    'tense 0.80 uncertain'
    """
    uncertain = " uncertain" if event.uncertain else ""
    return f"{event.label} {event.probabilities[event.label]:.2f}{uncertain}"


def rejected_spans(rejected: Iterable[Rejected]) -> list[Span]:
    """Annotations around rejected peaks: 80 ms, less where a neighbour is near.

    A rejection has a peak and no extent, so its width is a matter of drawing; peaks in the same
    millisecond share an annotation.

    >>> [(s.start, s.end, s.text) for s in rejected_spans([Rejected(1.0, "blink"),
    ...                                                    Rejected(1.05, "head")])]
    [(960, 1025, 'blink'), (1025, 1090, 'head')]
    """
    reasons: dict[int, list[str]] = {}
    for item in sorted(rejected, key=lambda r: r.peak):
        at = reasons.setdefault(_ms(item.peak), [])
        if item.reason not in at:
            at.append(item.reason)
    peaks = sorted(reasons)
    spans = []
    for k, peak in enumerate(peaks):
        start, end = max(0, peak - _REJECTED_HALF_MS), peak + _REJECTED_HALF_MS
        if k > 0:
            start = max(start, (peaks[k - 1] + peak + 1) // 2)
        if k + 1 < len(peaks):
            end = min(end, (peak + peaks[k + 1] + 1) // 2)
        spans.append(Span(start, max(end, start + 1), " + ".join(reasons[peak])))
    return spans


def lanes(spans: Iterable[Span]) -> list[list[Span]]:
    """Spans spread over as few tiers as possible, so that none overlap within a tier.

    >>> [len(lane) for lane in lanes([Span(0, 5, "a"), Span(4, 9, "b"), Span(5, 7, "c")])]
    [2, 1]
    """
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        free = next((row for row in rows if row[-1].end <= span.start), None)
        if free is None:
            rows.append([span])
        else:
            free.append(span)
    return rows or [[]]


class _Tiers:
    """Adds tiers to a document; a coder's name comes last, so that no two tiers are the same."""

    def __init__(self, document: Eaf, coder: str | None = None) -> None:
        self._document = document
        self._coder = None if coder is None else printable(coder)

    def plain(self, name: str, spans: Iterable[Span]) -> None:
        for number, lane in enumerate(lanes(spans), start=1):
            tier = self._tier(name if number == 1 else f"{name}-{number}", "default-lt")
            for span in lane:
                self._annotate(tier, self._slot(span.start), self._slot(span.end), span.text)

    def events(self, spans: Iterable[Span], kind: ExpressionKind = "micro") -> None:
        """A tier of events and one of their two phases, divided at the apex."""
        for number, lane in enumerate(lanes(spans), start=1):
            suffix = "" if number == 1 else f"-{number}"
            parent = self._tier(f"{kind}-expression{suffix}", "default-lt")
            phases = f"{'' if kind == 'micro' else 'macro-'}phase{suffix}"
            child = self._tier(phases, "phase-lt", parent)
            for span in lane:
                first, last = self._slot(span.start), self._slot(span.end)
                self._annotate(parent, first, last, span.text)
                # the outer slots are the parent's, as ELAN expects
                if span.apex is None or span.apex <= span.start:
                    self._annotate(child, first, last, "apex-offset")
                elif span.apex >= span.end:
                    self._annotate(child, first, last, "onset-apex")
                else:
                    middle = self._slot(span.apex)
                    self._annotate(child, first, middle, "onset-apex")
                    self._annotate(child, middle, last, "apex-offset")

    def _tier(self, name: str, kind: str, parent: str | None = None) -> str:
        full = name if self._coder is None else f"{name} {self._coder}"
        self._document.add_tier(full, kind, parent, ann=self._coder)
        return full

    def _slot(self, milliseconds: int) -> str:
        return str(self._document.generate_ts_id(milliseconds))

    def _annotate(self, tier: str, first: str, last: str, text: str) -> None:
        """Between two slots: the library's own way would give each annotation slots of its own."""
        name = f"a{len(self._document.annotations) + 1}"
        self._document.annotations[name] = tier
        self._document.tiers[tier][0][name] = (first, last, printable(text), None)


def _order_slots(document: Eaf) -> None:
    """Number the slots by time, as the format asks for."""
    order = sorted(document.timeslots.items(), key=lambda item: item[1])  # stable
    names = {old: f"ts{rank}" for rank, (old, _) in enumerate(order, start=1)}
    document.timeslots = {names[old]: time for old, time in order}
    for aligned, *_ in document.tiers.values():
        for name, (first, last, text, svg) in aligned.items():
            aligned[name] = (names[first], names[last], text, svg)


def _link_media(document: Eaf, source: str, folder: Path | None) -> None:
    """Link the video; a folder of frames is nothing that ELAN could play."""
    video = Path(source).absolute()
    if video.is_dir() or not video.suffix:
        return
    kind = _MIME_TYPES.get(video.suffix.lower(), "video/*")
    if folder is None:  # no folder of this machine: ELAN looks beside the file
        beside = _link(f"./{video.name}")
        document.add_linked_file(beside, beside, kind)
        return
    # ELAN takes paths as they are: it does not decode %20, so nothing is encoded here.
    place, relative = video.as_posix(), None
    try:
        path = Path(os.path.relpath(video, folder.absolute())).as_posix()
        relative = _link(path if path.startswith("../") else f"./{path}")
    except ValueError:  # another drive: there is no relative path
        pass
    url = "file://" + _link(place if place.startswith("/") else f"/{place}")
    document.add_linked_file(url, relative, kind)


def _link(path: str) -> str:
    """A path as ELAN takes it; as a proper URL where the document could not hold its bytes."""
    return path if printable(path) == path else quote(os.fsencode(path))


def _written(source: str) -> datetime:
    """When the video was last changed, so that equal input gives equal bytes."""
    try:
        seconds = int(Path(source).stat().st_mtime)
    except (OSError, ValueError):  # not on this machine, or no name of a file
        seconds = 0
    return datetime.fromtimestamp(seconds, UTC)


def _empty_document(written: datetime) -> Eaf:
    document = Eaf(author="micromimic")
    document.remove_tier("default")
    document.properties.clear()
    document.adocument |= {
        "DATE": written.isoformat(timespec="seconds"),
        "FORMAT": "3.0",
        "VERSION": "3.0",
        "xsi:noNamespaceSchemaLocation": _SCHEMA,
    }
    document.header |= {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    document.add_linguistic_type("phase-lt", "Time_Subdivision")
    return document


def _event_span(
    analysis: Analysis, event: MicroExpression, text: str, *, divided: bool = True
) -> Span:
    """An event on the timeline of the video that the document links to."""
    media, interval = analysis.media_seconds, event.interval
    apex = media(interval.apex) if divided else None
    return span_of(media(interval.onset), media(interval.offset), text, apex)


def eaf_document(
    analysis: Analysis,
    folder: Path | None,
    *,
    written: datetime | None = None,
    coders: Sequence[CoderTiers] = (),
    rows: Mapping[str, Sequence[Span]] | None = None,
) -> Eaf:
    """The annotation document of one analysis; all times are those of a player of the video.

    ``folder`` is where the file will lie, for the relative link to the video, None beside the
    video, wherever both will be; ``written`` its date, by default the video's; the coders' tiers
    follow the machine's, then further ``rows`` by name.
    """
    document = _empty_document(written or _written(analysis.source.path))
    _link_media(document, analysis.source.path, folder)
    media, spotting = analysis.media_seconds, analysis.spotting
    units = [
        _event_span(analysis, e, "+".join(u.name for u in e.action_units), divided=False)
        for e in analysis.events
        if e.action_units
    ]
    tiers = _Tiers(document)
    tiers.events(_event_span(analysis, e, event_text(e)) for e in analysis.micro)
    tiers.events((_event_span(analysis, e, event_text(e)) for e in analysis.macro), "macro")
    tiers.plain("action units", units)
    tiers.plain("blink", (span_of(media(b.start), media(b.end), "blink") for b in spotting.blinks))
    rejected = rejected_spans(replace(r, peak=media(r.peak)) for r in spotting.rejected)
    tiers.plain("rejected", rejected)
    for coder in coders:
        tiers = _Tiers(document, coder.name)
        tiers.events(coder.events)
        tiers.events(coder.longer, "macro")
        tiers.plain("rejected", coder.rejected)
        for name, spans in (("action units", coder.units), ("note", coder.notes)):
            if spans:
                tiers.plain(name, spans)
    for name, spans in (rows or {}).items():
        free = name
        while printable(free) in document.tiers:
            free += " (imported)"
        _Tiers(document).plain(printable(free), spans)
    _order_slots(document)
    document.add_property("lastUsedAnnotationId", len(document.annotations))
    return document


def eaf_bytes(document: Eaf) -> bytes:
    """The content of an ``.eaf`` file."""
    root = to_adocument(document)
    return bytes(ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True))


def write_eaf(
    analysis: Analysis, path: Path, *, folder: Path | None = None, beside_video: bool = False
) -> None:
    """Write ``events.eaf``; ``folder`` is where it will lie in the end, if not beside ``path``."""
    document = eaf_document(analysis, None if beside_video else folder or path.parent)
    path.write_bytes(eaf_bytes(document))
