"""Pictures, flow, units and the magnified clip of any stretch of a recording, and the clips of the
machine's own events, made when asked for.

A worker makes them, as any analysis, in a folder beside the uploads; then they lie with the
pictures of the machine's own events, and go with those. One is made at a time: they answer what a
person asks.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from anyio import to_thread

from micromimic.core.errors import ConflictError, InputError, NotFoundError, RefusedError
from micromimic.core.files import sync_tree
from micromimic.workstation.context import Workstation
from micromimic.workstation.errors import NOT_ANALYSED
from micromimic.workstation.jobs.confinement import Limits
from micromimic.workstation.jobs.supervise import Report, TimeLimits, run_worker, task_for
from micromimic.workstation.records import recordings, reviews
from micromimic.workstation.records.folder import PICTURES as FOLDER
from micromimic.workstation.records.folder_lock import writing_files
from micromimic.workstation.records.models import Recording
from micromimic.workstation.records.review import FrameTimes
from micromimic.workstation.records.study import get_study
from micromimic.workstation.records.values import new_id

DOCUMENT: Final = "evidence.json"
CLIPS: Final = ("face.mp4", "magnified.mp4")
_FILES: Final = frozenset({DOCUMENT, "onset.jpg", "apex.jpg", *CLIPS})
_TIMES: Final = TimeLimits(whole_s=600.0, silence_s=600.0)
"""Where no index was kept, frames are counted from the video's start: an hour's takes minutes."""
_LOOK_S: Final = 1.0
"""How often is asked whether it is still wanted: its recording may be removed meanwhile."""

Stretch = tuple[int, int, int]
"""Onset, apex and offset: frames."""


def name_of(stretch: Stretch) -> str:
    """A stretch as part of an address, and its folder.

    >>> name_of((120, 128, 140))
    '120-128-140'
    """
    return "-".join(map(str, stretch))


async def evidence(
    here: Workstation, recording_id: str, coder: str, stretch: Stretch
) -> dict[str, Any]:
    """What the machine makes of a stretch, made now where nobody has asked before.

    While a study is coded blind, only of events that this coder has decided. `InputError` where it
    cannot be made, `ConflictError` where it may not be seen yet, `NotFoundError` where the video is
    gone, `RefusedError` for frames that are no stretch.
    """
    check = partial(_checked, here, recording_id, coder, stretch)
    await to_thread.run_sync(check)
    place = here.store.folder(recording_id) / FOLDER / name_of(stretch)
    async with here.making_evidence:
        found = await to_thread.run_sync(_read, place)
        if found is None:
            await _make(here, check, stretch, partial(_place, place=place))
            found = await to_thread.run_sync(_read, place)
    if found is None:
        raise NotFoundError("expected evidence, got none: its recording was removed meanwhile")
    return found


async def make_clips(here: Workstation, recording_id: str, coder: str | None, index: int) -> None:
    """The clips of one of the machine's events, made now where nobody has looked before.

    Nothing where there is no such event, or the video is gone; `ConflictError` where the coder may
    not see it yet, `InputError` where they cannot be made.
    """
    place = here.store.folder(recording_id) / FOLDER / str(index)

    def check() -> Recording:
        reviews.check_machine_open(here.store, recording_id, coder, index)
        return recordings.get_recording(here.store, recording_id)

    def lacking() -> Stretch | None:
        answer = reviews.get_analysis(here.store, recording_id)
        events = () if answer is None else answer.payload["events"]
        if check().media != "kept" or index >= len(events) or not place.is_dir():
            return None
        if all((place / name).is_file() for name in CLIPS):
            return None
        event = events[index]
        return event["onset_frame"], event["apex_frame"], event["offset_frame"]

    if await to_thread.run_sync(lacking) is None:
        return
    async with here.making_evidence:
        stretch = await to_thread.run_sync(lacking)  # the other clip's request may have come first
        if stretch is not None:
            await _make(here, check, stretch, partial(_place_clips, place=place))


def _checked(here: Workstation, recording_id: str, coder: str, stretch: Stretch) -> Recording:
    recording = recordings.get_recording(here.store, recording_id)
    answer = reviews.get_analysis(here.store, recording_id)
    if answer is None or (recording.job and recording.job.status in ("queued", "running")):
        raise ConflictError(NOT_ANALYSED)
    if recording.media != "kept":
        raise NotFoundError(
            f"expected the video of {recording.name}, got none: it was removed with its retention"
        )
    onset, apex, offset = stretch
    frames = FrameTimes.of(answer.review).frames
    if not onset < apex <= offset < frames:
        raise RefusedError(
            f"expected onset < apex <= offset <= {frames - 1}, got {onset}, {apex}, {offset}; "
            "choose frames in that order"
        )
    review = reviews.get_review(here.store, recording_id, coder)
    if get_study(here.store).mode == "blind" and not review.done:
        own = {
            (event.onset_frame, event.apex_frame, event.offset_frame)
            for event in review.events
            if event.status == "accepted"
        }
        hidden = any(
            event.masked and event.onset_frame <= offset and onset <= event.offset_frame
            for event in review.events
        )
        if stretch not in own or hidden:
            raise ConflictError(
                "expected a stretch that you have decided, got another: this study is coded "
                "blind; decide first"
            )
    return recording


def _read(place: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((place / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not made yet, or lost with the power
        return None
    return content if isinstance(content, dict) else None


async def _make(
    here: Workstation,
    check: Callable[[], Recording],
    stretch: Stretch,
    keep: Callable[[Path], None],
) -> None:
    """Evidence of a stretch, in a folder that is shown to ``keep``, as long as ``check`` passes."""
    own = new_id()
    work = here.store.incoming / own
    recording = await to_thread.run_sync(check)
    folder = here.store.folder(recording.id)
    limits = here.runner.limits if here.runner else Limits()
    task = task_for(
        recording,
        folder,
        work / "out",
        here.settings,
        limits,
        results=str(folder),
        stretch=stretch,
    )

    async def look(report: Report, woken: bool) -> None:
        await to_thread.run_sync(check)

    with writing_files(own):
        try:
            await to_thread.run_sync(lambda: (work / "out").mkdir(parents=True, mode=0o700))
            end = await run_worker(task, work / "log", look, times=_TIMES, every_s=_LOOK_S)
            await to_thread.run_sync(check)  # what it lacked may have been removed: that is why
            if end.kind != "finished":
                raise InputError(end.line)
            await to_thread.run_sync(_keep_whole, work / "out" / "0", keep)
        finally:
            await to_thread.run_sync(lambda: shutil.rmtree(work, ignore_errors=True))


def _keep_whole(made: Path, keep: Callable[[Path], None]) -> None:
    """Into the recording's folder, whole, where that is still there."""
    items = list(made.iterdir())
    if {item.name for item in items} != _FILES or any(
        item.is_symlink() or not item.is_file() for item in items
    ):  # a worker that a video has taken over could point at any file of this machine
        raise InputError("expected complete evidence, got a part; make room and try again")
    sync_tree(made)
    try:
        keep(made)
    except FileNotFoundError:  # the recording was removed meanwhile
        return


def _place(made: Path, place: Path) -> None:
    place.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)


def _place_clips(made: Path, place: Path) -> None:
    for name in CLIPS:
        (made / name).replace(place / name)
