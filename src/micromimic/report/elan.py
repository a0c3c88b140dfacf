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

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from micromimic.core.results import Analysis, Rejected
from micromimic.core.strict_json import printable
from micromimic.core.types import ExpressionKind, MicroExpression

MIME_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".qt": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
}
"""By ending, the names that ELAN knows; anything else is ``video/*``."""

_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA: Final = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_REJECTED_HALF_MS: Final = 40
_CONSTRAINTS: Final = (
    (
        "Time_Subdivision",
        "Time subdivision of parent annotation's time interval, no time gaps allowed within this "
        "interval",
    ),
    (
        "Symbolic_Subdivision",
        "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are "
        "ordered",
    ),
    ("Symbolic_Association", "1-1 association with a parent annotation"),
    (
        "Included_In",
        "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
    ),
)


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

    Args:
        name: of the coder; different for each.
        events: those that the coder holds to be there; times as a player of the video has them.
        rejected: the machine's that the coder does not.
        longer: longer expressions that the coder holds to be there.
    """

    name: str
    events: Sequence[Span]
    rejected: Sequence[Span] = ()
    longer: Sequence[Span] = ()


@dataclass
class _Slots:
    """Time slots in the making: ids are given once all are known, in the order of time."""

    values: list[int] = field(default_factory=list)

    def add(self, milliseconds: int) -> int:
        self.values.append(milliseconds)
        return len(self.values) - 1

    def names(self) -> dict[int, str]:
        order = sorted(range(len(self.values)), key=lambda key: (self.values[key], key))
        return {key: f"ts{rank}" for rank, key in enumerate(order, start=1)}


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
    sure = " uncertain" if event.uncertain else ""
    return f"{event.label} {event.probabilities[event.label]:.2f}{sure}"


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


def _media(header: ET.Element, source: str, folder: Path) -> None:
    """Link the video; a folder of frames is nothing that ELAN could play."""
    video = Path(source).absolute()
    if video.is_dir() or not video.suffix:
        return
    # ELAN takes paths as they are: it does not decode %20, so nothing is encoded here.
    place = video.as_posix()
    try:
        relative = Path(os.path.relpath(video, folder.absolute())).as_posix()
    except ValueError:  # another drive: there is no relative path
        relative = None
    attributes = {
        "MEDIA_URL": "file://" + _link(place if place.startswith("/") else f"/{place}"),
        "MIME_TYPE": MIME_TYPES.get(video.suffix.lower(), "video/*"),
    }
    if relative is not None:
        dotted = relative if relative.startswith("../") else f"./{relative}"
        attributes["RELATIVE_MEDIA_URL"] = _link(dotted)
    ET.SubElement(header, "MEDIA_DESCRIPTOR", attributes)


def _link(path: str) -> str:
    """A path as ELAN takes it; as a proper URL where the document could not hold its bytes."""
    return path if printable(path) == path else quote(os.fsencode(path))


@dataclass
class _Writer:
    """Collects tiers and slots; element ids count up over the whole document."""

    slots: _Slots = field(default_factory=_Slots)
    annotations: int = 0
    pending: list[tuple[ET.Element, int, int]] = field(default_factory=list)

    def tier(
        self, name: str, kind: str, parent: str | None = None, coder: str | None = None
    ) -> ET.Element:
        attributes = {"LINGUISTIC_TYPE_REF": kind, "TIER_ID": _named(name, coder)}
        if parent is not None:
            attributes["PARENT_REF"] = _named(parent, coder)
        if coder is not None:
            attributes["ANNOTATOR"] = printable(coder)
        return ET.Element("TIER", attributes)

    def annotate(self, tier: ET.Element, first: int, last: int, text: str) -> None:
        """Add an annotation between two slots (keys of ``slots``)."""
        self.annotations += 1
        inner = ET.SubElement(
            ET.SubElement(tier, "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            {"ANNOTATION_ID": f"a{self.annotations}"},
        )
        ET.SubElement(inner, "ANNOTATION_VALUE").text = printable(text)
        self.pending.append((inner, first, last))

    def plain(self, name: str, spans: Sequence[Span], coder: str | None = None) -> list[ET.Element]:
        tiers = []
        for number, lane in enumerate(lanes(spans), start=1):
            tier = self.tier(name if number == 1 else f"{name}-{number}", "default-lt", coder=coder)
            for span in lane:
                first = self.slots.add(span.start)
                self.annotate(tier, first, self.slots.add(span.end), span.text)
            tiers.append(tier)
        return tiers

    def events(
        self, spans: Sequence[Span], coder: str | None = None, kind: ExpressionKind = "micro"
    ) -> list[ET.Element]:
        tiers = []
        for number, lane in enumerate(lanes(spans), start=1):
            suffix = "" if number == 1 else f"-{number}"
            name = f"{kind}-expression{suffix}"
            phase = f"{'' if kind == 'micro' else 'macro-'}phase{suffix}"
            parent = self.tier(name, "default-lt", coder=coder)
            child = self.tier(phase, "phase-lt", name, coder)
            for span in lane:
                first, last = self.slots.add(span.start), self.slots.add(span.end)
                self.annotate(parent, first, last, span.text)
                self._phases(child, span, first, last)
            tiers += [parent, child]
        return tiers

    def _phases(self, tier: ET.Element, span: Span, first: int, last: int) -> None:
        """Divide an event at its apex; the outer slots are the parent's, as ELAN expects."""
        if span.apex is None or span.apex <= span.start:
            self.annotate(tier, first, last, "apex-offset")
        elif span.apex >= span.end:
            self.annotate(tier, first, last, "onset-apex")
        else:
            middle = self.slots.add(span.apex)
            self.annotate(tier, first, middle, "onset-apex")
            self.annotate(tier, middle, last, "apex-offset")

    def time_order(self) -> ET.Element:
        """Name the slots by time and point every annotation at its own."""
        names = self.slots.names()
        for element, first, last in self.pending:
            element.set("TIME_SLOT_REF1", names[first])
            element.set("TIME_SLOT_REF2", names[last])
        order = ET.Element("TIME_ORDER")
        for key, name in names.items():
            ET.SubElement(
                order,
                "TIME_SLOT",
                {"TIME_SLOT_ID": name, "TIME_VALUE": str(self.slots.values[key])},
            )
        return order


def _named(tier: str, coder: str | None) -> str:
    """A tier's name: the coder comes last, so that no two can be the same."""
    return tier if coder is None else f"{tier} {printable(coder)}"


def _types(root: ET.Element) -> None:
    common = {"GRAPHIC_REFERENCES": "false", "TIME_ALIGNABLE": "true"}
    ET.SubElement(root, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": "default-lt", **common})
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        {"LINGUISTIC_TYPE_ID": "phase-lt", "CONSTRAINTS": "Time_Subdivision", **common},
    )
    for stereotype, description in _CONSTRAINTS:
        ET.SubElement(root, "CONSTRAINT", {"DESCRIPTION": description, "STEREOTYPE": stereotype})


def _event_span(
    analysis: Analysis, event: MicroExpression, label: str, *, apex: bool = False
) -> Span:
    """An event on the timeline of the video that the document links to."""
    media, interval = analysis.media_seconds, event.interval
    middle = media(interval.apex) if apex else None
    return span_of(media(interval.onset), media(interval.offset), label, middle)


def eaf_document(
    analysis: Analysis,
    folder: Path,
    *,
    written: datetime | None = None,
    coders: Sequence[CoderTiers] = (),
) -> ET.ElementTree[ET.Element]:
    """The annotation document of one analysis.

    Args:
        analysis: what to annotate.
        folder: where the file will lie, for the relative link to the video.
        written: the document's date; now by default.
        coders: people whose tiers follow the machine's.

    All times are those at which a player of the video is.
    """
    writer = _Writer()
    spotting = analysis.spotting
    spans, longer = (
        [_event_span(analysis, e, event_text(e), apex=True) for e in events]
        for events in (analysis.micro, analysis.macro)
    )
    units = [
        _event_span(analysis, e, "+".join(u.name for u in e.action_units))
        for e in analysis.events
        if e.action_units
    ]
    media = analysis.media_seconds
    blinks = [span_of(media(b.start), media(b.end), "blink") for b in spotting.blinks]
    rejected = [replace(r, peak=media(r.peak)) for r in spotting.rejected]
    tiers = [
        *writer.events(spans),
        *writer.events(longer, kind="macro"),
        *writer.plain("action units", units),
        *writer.plain("blink", blinks),
        *writer.plain("rejected", rejected_spans(rejected)),
    ]
    for coder in coders:
        tiers += writer.events(coder.events, coder.name)
        tiers += writer.events(coder.longer, coder.name, "macro")
        tiers += writer.plain("rejected", coder.rejected, coder.name)
    date = (written or datetime.now(UTC)).isoformat(timespec="seconds")
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "micromimic",
            "DATE": date,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    _media(header, analysis.source.path, folder)
    last = ET.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"})
    last.text = str(writer.annotations)
    root.append(writer.time_order())
    root.extend(tiers)
    _types(root)
    return ET.ElementTree(root)


def write_eaf(analysis: Analysis, path: Path, *, folder: Path | None = None) -> None:
    """Write ``events.eaf``.

    Args:
        analysis: what to annotate.
        path: the file to write.
        folder: where the file will lie in the end, if not beside ``path``.

    Raises:
        OSError: if the file cannot be written.
    """
    document = eaf_document(analysis, path.parent if folder is None else folder)
    path.write_bytes(eaf_bytes(document))


def eaf_bytes(document: ET.ElementTree[ET.Element]) -> bytes:
    """The content of an ``.eaf`` file."""
    ET.indent(document, space="    ")
    text = io.BytesIO()
    document.write(text, encoding="UTF-8", xml_declaration=True)
    return text.getvalue()
