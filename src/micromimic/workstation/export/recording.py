"""One recording's events as JSON, CSV, ELAN or BORIS, as the machine or a coder has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal

from micromimic.core.errors import ConflictError
from micromimic.core.results import Analysis, Blink, Rejected, Spotting, kind_counts
from micromimic.core.types import ExpressionKind, MediaTimes
from micromimic.report.elan import CoderTiers, Span, eaf_bytes, eaf_document, span_of
from micromimic.report.tables import events_csv, events_json
from micromimic.workstation.export.boris import Behaviour, apex_comment, boris_project
from micromimic.workstation.export.frames import FrameFormat, frame_columns, frames_file
from micromimic.workstation.export.readers import units_text
from micromimic.workstation.imports.annotations import file_name
from micromimic.workstation.imports.elan import tier_names, with_tiers
from micromimic.workstation.imports.markers_and_codings import kept_tiers, media_times
from micromimic.workstation.records import markers, recordings, reviews
from micromimic.workstation.records.database import Transaction, reading
from micromimic.workstation.records.models import AnalysisRecord
from micromimic.workstation.records.review import FrameTimes, Review, ReviewedEvent, reviewed
from micromimic.workstation.records.values import RESERVED_CODERS

Format = Literal["json", "csv", "eaf", "boris"]
_MACHINES: Final = (
    "probabilities",
    "uncertain",
    "strength",
    "regions",
    "action_units",
    "amplitude",
    "false_alarm_rate_per_hour",
)
"""What only the machine says of an event."""
REVIEW_COLUMNS: Final = (
    *("key", "status", "changed", "note"),
    *("mode", "coded_units", "certainty", "tags"),
)
"""What a coder's table has beside the columns of ``events.csv``."""


@reading
def export_events(
    transaction: Transaction,
    recording_id: str,
    *,
    coder: str | None = None,
    reader: str | None = None,
    format: Format = "json",  # noqa: A002 - as the request says it
) -> bytes:
    """One recording's events as a file, as ``coder`` sees them or the machine's own.

    ``json`` and ``csv`` are as ``analyze`` writes them, a coder's with further keys and columns;
    ``eaf`` has the machine's tiers, and where a coder is named that one's and, once the reader is
    done, those of the recording's other coders; ``boris`` has one's alone, and the markers.
    ``reader`` is who asks, where it is another coder: `ConflictError` before the own review is
    marked done, as before the machine has answered; in a study that is coded blind also where the
    own decisions or the machine's are asked for.
    """
    found = _analysed(transaction, recording_id)
    if coder is not None and coder.casefold() in RESERVED_CODERS:
        coder = None
    reader = coder if reader is None else reader
    review = None
    if coder is not None:
        reviews.check_open(transaction, recording_id, reader, coder)
        review = reviews.get_review(transaction, recording_id, coder)
    reviews.check_machine_open(transaction, recording_id, reader)
    if format == "eaf":
        return _eaf(transaction, found, review, reader)
    if format == "boris":
        return _boris(transaction, found, review)
    if format == "json":
        return events_json(found.payload if review is None else _reviewed(found, review)).encode()
    if review is None:
        return events_csv(found.payload["events"], found.labels).encode()
    rows = [
        {
            **_entry(event, None),
            **_coding(event),
            "coded_units": units_text(event.units),
            "tags": ";".join(event.tags),
        }
        for event in review.events
    ]
    return events_csv(rows, found.labels, REVIEW_COLUMNS).encode()


@reading
def export_frames(
    transaction: Transaction,
    recording_id: str,
    *,
    reader: str | None = None,
    format: FrameFormat = "csv",  # noqa: A002 - as the request says it
) -> bytes:
    """One recording frame by frame; `ConflictError` as of `export_events`."""
    found = _analysed(transaction, recording_id)
    reviews.check_machine_open(transaction, recording_id, reader)
    columns = frame_columns(transaction.store.folder(recording_id), found.review)
    return frames_file(recording_id, columns, format)


def _analysed(transaction: Transaction, recording_id: str) -> AnalysisRecord:
    found = reviews.get_analysis(transaction, recording_id)
    if found is None:
        raise ConflictError(
            "expected an analysed recording, got one whose analysis is not done; wait for it"
        )
    return found


def _reviewed(found: AnalysisRecord, review: Review) -> dict[str, Any]:
    """The content of ``events.json`` with a coder's events in place of the machine's."""
    media = media_times(found.review)
    events = [{**_entry(event, media), "review": _coding(event)} for event in review.events]
    return {
        **found.payload,
        "events": events,
        "counts": kind_counts(events),
        "review": {
            "coder": review.coder,
            "decisions": review.number,
            "complete": review.complete,
            "done": review.done,
            "note": "Events are the coder's, rejected and undecided ones included (see status). "
            "Probabilities, strength, warnings and indicators are the machine's; null where an "
            "event was added.",
        },
    }


def _entry(event: ReviewedEvent, media: MediaTimes | None) -> dict[str, Any]:
    """One entry of ``events``: times and class as the coder has them, the rest the machine's."""
    seconds = {"onset_s": event.onset_s, "apex_s": event.apex_s, "offset_s": event.offset_s}
    if media is not None:
        seconds |= {f"media_{name}": media.at(value) for name, value in seconds.items()}
    return {
        **(event.machine or dict.fromkeys(_MACHINES)),
        **seconds,
        "kind": event.kind,
        "onset_frame": event.onset_frame,
        "apex_frame": event.apex_frame,
        "offset_frame": event.offset_frame,
        "label": event.label,
    }


def _coding(event: ReviewedEvent) -> dict[str, Any]:
    return {
        "key": event.key,
        "status": event.status,
        "changed": event.changed,
        "note": event.note,
        "decided_at": event.decided_at.isoformat() if event.decided_at else None,
        "mode": event.mode,
        "units": [dict(unit) for unit in event.units],
        "certainty": event.certainty,
        "tags": list(event.tags),
    }


def _eaf(
    transaction: Transaction, found: AnalysisRecord, review: Review | None, reader: str | None
) -> bytes:
    one, media = found.recording_id, media_times(found.review)
    shown = [] if review is None else [review]
    if review is not None and reviews.is_open_to(transaction, one, reader):
        others = [name for name in reviews.coders(transaction, one) if name != review.coder]
        shown += [reviews.get_review(transaction, one, name) for name in others]
    kept = None
    if reviews.is_import_open(transaction, one, reader):
        kept = kept_tiers(transaction.store, one)
    there = (
        frozenset() if kept is None else tier_names(kept)
    )  # what ELAN wrote comes back as it was
    at = _player(media)
    rows: dict[str, list[Span]] = {}
    for marker in markers.list_markers(transaction, one):
        if marker.tier not in there:
            span = span_of(at(marker.onset_s), at(marker.offset_s), marker.label)
            rows.setdefault(marker.tier, []).append(span)
    document = eaf_document(
        _result(found, media),
        None,
        written=found.created_at,
        coders=[_tiers(review, at) for review in shown],
        rows=rows,
    )
    return eaf_bytes(document) if kept is None else with_tiers(eaf_bytes(document), kept)


def _boris(transaction: Transaction, found: AnalysisRecord, review: Review | None) -> bytes:
    recording = recordings.get_recording(transaction, found.recording_id)
    at = _player(media_times(found.review))
    if review is None:
        coder, events = "", reviewed(found.payload["events"], (), FrameTimes.of(found.review))
    else:
        coder = review.coder
        events = tuple(event for event in review.events if event.status == "accepted")
    seen = [
        Behaviour(
            f"{event.kind}-expression {coder}".strip(),
            event.label,
            at(event.onset_s),
            at(event.offset_s),
            "; ".join(filter(None, (apex_comment(at(event.apex_s)), " ".join(event.note.split())))),
            units_text(event.units).replace("+", "|"),
        )
        for event in events
    ]
    for marker in markers.list_markers(transaction, found.recording_id):
        start, end = at(marker.onset_s), at(marker.offset_s)
        seen.append(Behaviour(marker.tier, marker.label, start, end))
    times = FrameTimes.of_media(found.review) or FrameTimes.of(found.review)
    return boris_project(
        seen,
        name=recording.name,
        observation=f"{recording.name} {coder or 'machine'}",
        fps=times.fps,
        length=times.seconds(times.frames - 1) + 1 / times.fps if times.frames else 0.0,
        written=found.created_at,
    ).encode()


def _player(media: MediaTimes | None) -> Callable[[float], float]:
    """When a player of the video shows a moment of the analysis."""
    return float if media is None else media.at


def _tiers(review: Review, at: Callable[[float], float]) -> CoderTiers:
    def span(event: ReviewedEvent, text: str, apex: float | None = None) -> Span:
        return span_of(at(event.onset_s), at(event.offset_s), text, apex)

    def spans(status: str, *kinds: ExpressionKind) -> list[Span]:
        return [
            span(event, event.label, at(event.apex_s))
            for event in review.events
            if event.status == status and event.kind in kinds
        ]

    notes = [
        (event, "; ".join(filter(None, (event.certainty, *event.tags, event.note))))
        for event in review.events
    ]
    return CoderTiers(
        review.coder,
        spans("accepted", "micro"),
        rejected=spans("rejected", "micro", "macro"),
        longer=spans("accepted", "macro"),
        units=[span(event, units_text(event.units)) for event in review.events if event.units],
        notes=[span(event, text) for event, text in notes if text],
    )


def _result(found: AnalysisRecord, media: MediaTimes | None) -> Analysis:
    """What ELAN's tiers need of an analysis; curve and track are empty."""
    payload, review = found.payload, found.review
    source = {**payload["source"], "path": f"/{file_name(str(payload['source']['path']))}"}
    spotting = Spotting(
        threshold=float(review["threshold"] or 0.0),
        blinks=tuple(Blink(b["start"], b["peak"], b["end"]) for b in review["blinks"]),
        rejected=tuple(Rejected(r["peak"], r["reason"]) for r in review["rejected"]),
        gated_s={},
        observed_s=0.0,
    )
    return replace(
        Analysis.from_dict({**payload, "source": source}), spotting=spotting, media=media
    )
