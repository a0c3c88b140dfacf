"""Annotated long videos, and found events as somebody's file has them: what is compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from micromimic.core.errors import InputError, LabelError
from micromimic.core.labels import LabelSet
from micromimic.datasets.clip import Event, is_synthetic
from micromimic.datasets.events import (
    Video,
    check_place,
    event_of,
    read_events,
    read_videos,
    videos_path,
)
from micromimic.datasets.manifest import manifest_clips
from micromimic.datasets.table import frame_of, records
from micromimic.evaluation.predictions import number_cells
from micromimic.evaluation.spotting import Span, SpottedVideo, read_found
from micromimic.media.video import open_source


@dataclass(frozen=True)
class SpottingTruth:
    videos: tuple[Video, ...]  # all that are known, those without an event too
    events: tuple[Event, ...]
    # of videos by key, where it is known
    minutes: Mapping[str, float | None] = field(default_factory=dict)
    complete: bool = True  # whether the videos came from a manifest, not from the events alone
    synthetic: bool = False  # whether the manifest says that a video is

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of the videos."""
        incomplete = (
            "There is no manifest of the videos: those without an event are not known, and what is "
            "found in them is not asked for; name it with --videos."
        )
        synthetic = "These videos are synthetic: nothing here is about real faces."
        return (synthetic,) * self.synthetic + (incomplete,) * (not self.complete)

    def spans(self, labels: LabelSet) -> dict[str, tuple[Span, ...]]:
        """Events by video, each with its class of a label set; None where the set leaves it out."""
        spans: dict[str, list[Span]] = {video.key: [] for video in self.videos}
        for event in self.events:
            label = labels.label_of(event.label) if event.label else None
            spans[event.key].append(
                Span(event.onset, event.offset, event.kind, label, apex=event.apex)
            )
        return {key: tuple(sorted(found, key=lambda s: s.onset)) for key, found in spans.items()}


def read_truth(events: str | Path, videos: str | Path | None = None) -> SpottingTruth:
    """Read annotated events and their videos. ``videos``: the manifest of the videos; None looks
    beside the table, and does without."""
    manifest = Path(videos or videos_path(events))
    if videos is None and (not manifest.is_file() or manifest == Path(events)):
        found = read_events(events)
        known = {e.key: Video(e.dataset, e.subject, e.video, "video", Path()) for e in found}
        return SpottingTruth(tuple(known.values()), found, complete=False)
    measured = [_measured(video) for video in read_videos(manifest)]
    listed = tuple(video for video, _ in measured)
    return SpottingTruth(
        listed,
        read_events(events, listed),
        minutes={video.key: minutes for video, minutes in measured},
        synthetic=any(is_synthetic(clip) for clip in manifest_clips(manifest, check_files=False)),
    )


def _measured(video: Video) -> tuple[Video, float | None]:
    """A video with its last frame, and its length in minutes, where its container states them."""
    last, fps = video.last, video.fps
    if video.kind == "video" and (last is None or fps is None):
        with open_source(video.path, fps) as source:
            fps = fps or source.nominal_fps
            if last is None and source.expected_frames:
                last = source.expected_frames - 1
    minutes = None if last is None or not fps else (last - video.first + 1) / fps / 60
    return replace(video, last=last), minutes


def spotted(
    truth: SpottingTruth, found: Mapping[str, Iterable[Span]], labels: LabelSet
) -> tuple[SpottedVideo, ...]:
    spans = truth.spans(labels)
    return tuple(
        SpottedVideo(
            video.dataset,
            video.subject,
            video.video,
            spans[video.key],
            tuple(sorted(found.get(video.key, ()), key=lambda s: (s.onset, s.offset))),
            truth.minutes.get(video.key),
        )
        for video in truth.videos
    )


def found_events(
    file: str | Path, truth: SpottingTruth, labels: LabelSet
) -> tuple[dict[int, dict[str, list[Span]]], tuple[str, ...]]:
    table = read_found(file)
    by_name: dict[str, list[Video]] = {}
    for video in truth.videos:
        by_name.setdefault(video.video, []).append(video)
    scores: Sequence[float | None] = [None] * len(table)
    if "score" in table:
        scores = number_cells(table, "score", file)
    epochs: dict[int, dict[str, list[Span]]] = {}
    for (where, row), score in zip(records(table, file), scores, strict=True):
        video = _video_of(row, by_name, where)
        names = {"dataset": video.dataset, "subject": video.subject, "apex": ""}
        event = event_of({**row, **names, "kind": row.get("kind") or "micro"}, where)
        check_place(event, video, where)
        try:
            label = labels.label_of(event.label) if event.label else None
        except LabelError as error:
            raise LabelError(f"{error}, in {where}") from None
        span = Span(event.onset, event.offset, event.kind, label, score)
        epoch = frame_of(row.get("epoch") or "0", "epoch", where)
        epochs.setdefault(epoch, {}).setdefault(video.key, []).append(span)
    notes = list(truth.notes)
    if "kind" not in table:
        notes.append("There is no column kind: every found event counts as a micro-expression.")
    if "score" not in table:
        notes.append("There is no column score: no threshold is chosen, and no curve drawn.")
    return epochs or {0: {}}, tuple(notes)


def _video_of(row: Mapping[str, str], by_name: Mapping[str, list[Video]], where: str) -> Video:
    """The video of a row, which may leave out database and subject where its name tells it."""
    fitting = [
        video
        for video in by_name.get(row["video"], ())
        if row.get("dataset", "") in ("", video.dataset)
        and row.get("subject", "") in ("", video.subject)
    ]
    name = "/".join(row[n] for n in ("dataset", "subject", "video") if row.get(n))
    if not fitting:
        raise InputError(
            f"expected a video that is annotated, got {name!r} in {where}; correct its name, or "
            "list it in the manifest of the videos"
        )
    if len(fitting) > 1:
        raise InputError(
            f"expected one video of the name {name!r} in {where}, got {fitting[0].key} and "
            f"{fitting[1].key}; add columns dataset and subject"
        )
    return fitting[0]
