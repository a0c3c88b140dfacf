"""What coders decided as data for ``train`` and ``evaluate``: a manifest beside its videos."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from micromimic.core.errors import RefusedError
from micromimic.core.files import new_folder
from micromimic.datasets.manifest import Clip, manifest_text
from micromimic.preparation.clip import PrepareConfig
from micromimic.workstation.records import recordings, reviews, values
from micromimic.workstation.records.database import Transaction, reading
from micromimic.workstation.records.models import Recording
from micromimic.workstation.records.review import Review, ReviewedEvent

DATASET: Final = "records"
MANIFEST: Final = "manifest.csv"
LEFT_OUT: Final = "left_out.txt"
VIDEOS: Final = "videos"
NOBODY: Final = "unassigned"
"""Subject of recordings that belong to no session: one group, so that no fold tests one of them
with another in its training part."""


@dataclass(frozen=True)
class Gathered:
    """What an export holds: rows of the manifest, with paths relative to it; where each of its
    video files is now; and a line on each event or recording that is not in it, and why.
    """

    clips: tuple[Clip, ...]
    videos: Mapping[str, Path]
    left_out: tuple[str, ...]

    @property
    def subjects(self) -> int:
        """How many people."""
        return len({clip.subject for clip in self.clips})

    def entries(self) -> Iterator[tuple[str, str | Path]]:
        """Every file by name; the lists in memory only, for they say who was filmed."""
        if self.left_out:
            yield LEFT_OUT, "".join(f"{line}\n" for line in self.left_out)
        yield MANIFEST, manifest_text(self.clips)
        yield from self.videos.items()


@reading
def gather(
    transaction: Transaction,
    *,
    coder: str,
    reader: str | None = None,
    subject_id: str | None = None,
    session_id: str | None = None,
) -> Gathered:
    """Look for what one coder accepted or added, in videos that are still there.

    ``reader`` is who asks, where it is another coder: recordings that this one has not marked done
    are left out. `RefusedError` where there is nothing to export, or the recordings' models have
    different classes.
    """
    coder = values.coder(coder)
    reader = coder if reader is None else values.coder(reader)
    clips: list[Clip] = []
    videos: dict[str, Path] = {}
    left_out: list[str] = []
    classes: dict[tuple[str, ...], None] = {}
    for recording in recordings.list_recordings(
        transaction, subject_id=subject_id, session_id=session_id, limit=None
    ):
        if coder not in recording.coders:
            continue
        if reader != coder and not reviews.is_open_to(transaction, recording.id, reader):
            left_out.append(f"recording {recording.id}: {reader} has not marked it done")
            continue
        video = transaction.store.folder(recording.id) / f"video{recording.extension}"
        if reason := _no_use(recording, video):
            left_out.append(f"recording {recording.id}: {reason}")
            continue
        answer = reviews.get_answer(transaction, recording.id)
        assert answer is not None  # since it was decided on
        review = reviews.review_of(transaction, answer, coder)
        place = f"{VIDEOS}/{recording.id}{recording.extension}"
        made, reasons = _clips(recording, review, place, answer.times.fps)
        left_out += reasons
        clips += made
        if made:
            videos[place] = video
            classes[answer.labels] = None
    if not clips:
        why = f" ({left_out[0]})" if left_out else ""
        raise RefusedError(
            f"expected events that {coder} accepted or added, got none to export{why}; "
            "review a recording first"
        )
    if len(classes) > 1:
        raise RefusedError(
            "expected recordings whose models have the same classes, got "
            f"{' and '.join(', '.join(labels) for labels in classes)}; export them by session"
        )
    return Gathered(tuple(clips), videos, tuple(left_out))


def write_gathered(found: Gathered, folder: Path) -> None:
    """Write an export into a new or empty folder, whole or not at all."""
    with new_folder(folder, last=MANIFEST) as staging:
        (staging / VIDEOS).mkdir()
        for name, content in found.entries():
            if isinstance(content, Path):
                shutil.copyfile(content, staging / name)
            else:
                (staging / name).write_text(content, encoding="utf-8", newline="")


def _no_use(recording: Recording, video: Path) -> str:
    """Why nothing of a recording can be exported; empty where it can."""
    if not recording.consent.given:
        return "no consent is noted"
    if recording.media != "kept" or not video.is_file():
        return "its video is no longer kept"
    return ""


def _clips(
    recording: Recording, review: Review, place: str, rate: float
) -> tuple[list[Clip], list[str]]:
    """Rows of one recording, and lines on what is no row."""
    clips, reasons = [], []
    for event in review.events:
        if event.status != "accepted":
            continue
        if reason := _untrainable(event):
            reasons.append(f"recording {recording.id}, event {event.key}: {reason}")
        else:
            clips.append(_clip(recording, review.coder, event, place, rate))
    pending = sum(e.status == "pending" and e.kind == "micro" for e in review.events)
    if pending:
        reasons.append(f"recording {recording.id}: {pending} not decided yet")
    return clips, reasons


def _untrainable(event: ReviewedEvent) -> str:
    """Why an event is no use to a model of micro-expressions; empty where it is."""
    length = event.offset_frame - event.onset_frame + 1
    most = PrepareConfig().most_frames
    if length > most:
        return f"{length} frames from onset to offset, more than {most}"
    if event.kind == "macro":
        return "a longer expression, and models are made for micro-expressions"
    if event.apex_frame == event.onset_frame and length < 3:
        return "onset and apex are one frame, and no other could be the apex"
    return ""


def _clip(recording: Recording, coder: str, event: ReviewedEvent, place: str, rate: float) -> Clip:
    source, machine_label = "added", ""
    if event.machine is not None:  # for people: the machine's word beside the coder's
        source = "corrected" if event.changed else "accepted"
        machine_label = str(event.machine["label"])
    return Clip(
        dataset=DATASET,
        subject=recording.subject_code or NOBODY,
        clip=f"{recording.id}_{event.key}",
        label=event.label,
        kind="video",
        path=Path(place),
        onset=event.onset_frame,
        # An apex at the onset shows no movement; left empty, it is looked for.
        apex=event.apex_frame if event.apex_frame > event.onset_frame else None,
        offset=event.offset_frame,
        fps=rate,
        extra={
            "coder": coder,
            "session": recording.session_id or "",
            "source": source,
            "machine_label": machine_label,
        },
    )
