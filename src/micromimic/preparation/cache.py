"""All clips of a manifest prepared, in parallel, and kept on disk.

A clip's file holds its views and the *stamp* of what they were made of: the settings, the clip's
numbers, and names, sizes and times of its frames. What fits is kept, so an interrupted run
continues; views can be added later without making the others again.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.datasets.manifest import Clip
from micromimic.errors import InputError, MicromimicError, OutputError
from micromimic.face.landmarks import DlibLandmarks
from micromimic.labels import EMOTIONS
from micromimic.models.learner import Encoder, Samples, View
from micromimic.models.preprocess import read_flow_png
from micromimic.preparation.clip import (
    PrepareConfig,
    Prepared,
    check_views,
    prepare_clip,
    views_of,
)
from micromimic.preparation.store import (
    file_of,
    read_prepared,
    remove,
    stamp_of,
    write_prepared,
)

__all__ = [
    "PrepareConfig",
    "PrepareFailure",
    "load_samples",
    "prepare_all",
    "prepared_notes",
    "prepared_summary",
    "views_of",
]

STAGE: Final = "preparation"

Progress = Callable[[int, int | None, str], None]
"""Called with clips done, of how many, and the stage's name."""


@dataclass(frozen=True)
class PrepareFailure:
    """A clip that could not be prepared, and why, in one line."""

    clip: Clip
    reason: str


@dataclass(frozen=True)
class _Task:
    """One clip to prepare.

    Args:
        number: among the clips.
        clip: what of.
        views: what to make.
        path: the file to write.
        stamp: what it is made of.
        config: settings.
        parent: number of the process that asks.
    """

    number: int
    clip: Clip
    views: tuple[View, ...]
    path: Path
    stamp: str
    config: PrepareConfig
    parent: int


def prepare_all(
    clips: Iterable[Clip],
    views: Collection[View],
    cache: Path,
    *,
    jobs: int | None = None,
    config: PrepareConfig | None = None,
    progress: Progress | None = None,
    parallel: Callable[..., Any] | None = None,
) -> list[PrepareFailure]:
    """Prepare every clip that is not prepared yet.

    Tasks run where the caller's ``joblib.parallel_config`` says; on other machines ``cache`` and
    the clips must have the same paths. Clips of kind ``flow_map`` are read where they lie and only
    checked here.

    Args:
        clips: rows of a manifest.
        views: what to make of each.
        cache: folder of the prepared clips; made when needed.
        jobs: processes; None leaves it to the caller's context.
        config: settings.
        progress: told of every clip.
        parallel: stands for ``joblib.Parallel``.

    Returns:
        The clips that failed, in their order; the others are complete.

    Raises:
        InputError: a clip's kind cannot give a view; nothing was done then.
        OutputError: the cache cannot be written.
        MicromimicError: a worker process was killed.
    """
    rows, wanted = tuple(clips), _in_order(views)
    for clip in rows:
        check_views(clip, wanted)
    report = progress or (lambda done, total, stage: None)
    failed: dict[int, str] = {}
    tasks: list[_Task] = []
    for number, clip in enumerate(rows):
        try:
            task = _task(number, clip, wanted, cache, config or PrepareConfig())
        except InputError as error:
            failed[number] = str(error)
            continue
        tasks += [task] if task else []
    if tasks:  # told before the first clip's work, not after it
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"expected to write prepared clips to {cache}, got: {error.strerror or error}; "
                "choose another --cache"
            ) from None
    done = len(rows) - len(tasks)
    report(done, len(rows), STAGE)
    for number, reason in _run(tasks, jobs, parallel):
        done += 1
        report(done, len(rows), STAGE)
        if reason is not None:
            failed[number] = reason
    return [PrepareFailure(rows[number], failed[number]) for number in sorted(failed)]


def load_samples(clips: Sequence[Clip], learner: Encoder, cache: Path) -> Samples:
    """Read prepared clips and encode them.

    Args:
        clips: rows of a manifest.
        learner: says what of a clip it looks at, and encodes it.
        cache: as given to ``prepare_all``.

    Returns:
        One row a clip, in their order.

    Raises:
        InputError: a clip is not prepared, its kind cannot give what the learner looks at, there
            are no clips, or their encoded rows differ in shape.
    """
    if not clips:
        raise InputError("expected clips to load, got none; add some to the manifest")
    inputs: NDArray[np.generic] | None = None
    for number, clip in enumerate(clips):
        row = learner.encode(_view_of(clip, learner.view, cache))
        if inputs is None:
            inputs = np.empty((len(clips), *row.shape), row.dtype)
        if row.shape != inputs.shape[1:]:
            raise InputError(
                f"expected {learner.view} of one shape, got {inputs.shape[1:]} for "
                f"{clips[0].key} and {row.shape} for {clip.key}; list clips of one kind"
            )
        inputs[number] = row
    assert inputs is not None  # there is a first clip
    return Samples(
        inputs,
        np.array([EMOTIONS.index(clip.label) for clip in clips], np.int64),
        np.array([clip.dataset for clip in clips]),
        np.array([clip.who for clip in clips]),
        np.array([clip.key for clip in clips]),
    )


def prepared_notes(clips: Iterable[Clip], cache: Path) -> dict[str, tuple[str, ...]]:
    """What should be known of prepared clips, by their qualified names; only those with notes."""
    stored = ((clip.key, read_prepared(file_of(clip, cache), ())) for clip in clips)
    return {key: found.prepared.notes for key, found in stored if found and found.prepared.notes}


def prepared_summary(clips: Sequence[Clip], failures: Sequence[PrepareFailure], cache: Path) -> str:
    """One line on what is prepared."""
    notes = prepared_notes(clips, cache).values()
    spotted = sum(any(note.startswith("apex spotted") for note in some) for some in notes)
    other = sum(any(not note.startswith("apex spotted") for note in some) for some in notes)
    files = [file_of(clip, cache) for clip in clips if clip.kind != "flow_map"]
    size = sum(file.stat().st_size for file in files if file.is_file())
    parts = [f"{len(clips) - len(failures)} of {len(clips)} clips prepared"]
    parts += [f"apex spotted in {spotted}"] if spotted else []
    parts += [f"{other} with frames missing or the face lost in some"] if other else []
    place = f"; {size / 2**20:.0f} MiB in {cache}" if files else "; flow maps are read as they are"
    return ", ".join(parts) + place


def _in_order(views: Collection[View]) -> tuple[View, ...]:
    return tuple(view for view in get_args(View) if view in views)


def _view_of(clip: Clip, view: View, cache: Path) -> NDArray[np.generic]:
    check_views(clip, (view,))
    if clip.kind == "flow_map":
        return read_flow_png(clip.path)
    stored = read_prepared(file_of(clip, cache), (view,))
    array = stored.prepared.view(view) if stored else None
    if array is None:
        raise InputError(
            f"expected {clip.key} to be prepared for models that look at {view}, found nothing "
            f"usable in {cache}; run `micromimic datasets prepare` on the manifest"
        )
    return array


def _task(
    number: int, clip: Clip, views: tuple[View, ...], cache: Path, config: PrepareConfig
) -> _Task | None:
    """What is left to do for one clip; None when nothing is.

    Raises:
        InputError: the clip's source cannot be found.
    """
    if clip.kind == "flow_map":
        read_flow_png(clip.path)
        return None
    path = file_of(clip, cache)
    try:
        stamp = stamp_of(clip, config)
    except InputError:
        remove(path)
        raise
    stored = read_prepared(path, views)
    if stored is None or stored.stamp != stamp:
        remove(path)
        return _Task(number, clip, views, path, stamp, config, os.getpid())
    left = tuple(view for view in views if stored.prepared.view(view) is None)
    return _Task(number, clip, left, path, stamp, config, os.getpid()) if left else None


def _run(
    tasks: Sequence[_Task], jobs: int | None, parallel: Callable[..., Any] | None
) -> Iterator[tuple[int, str | None]]:
    """Numbers of clips as they end, with the reason of those that failed.

    Raises:
        MicromimicError: if a worker was killed.
    """
    if not tasks:
        return
    from joblib import Parallel, delayed  # noqa: PLC0415 - slow to import
    from joblib.externals.loky.process_executor import BrokenProcessPool  # noqa: PLC0415

    work = (parallel or Parallel)(
        n_jobs=jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
    )
    try:
        yield from work(delayed(_prepare)(task) for task in tasks)
    except BrokenProcessPool:
        raise MicromimicError(
            "expected every worker to finish, got one killed (memory?); what is prepared is kept: "
            "run the same command again, with fewer --jobs"
        ) from None


def _prepare(task: _Task) -> tuple[int, str | None]:
    """Prepare one clip and write it; in a worker."""
    if os.getpid() != task.parent:
        cv2.setNumThreads(1)  # processes share the cores already
        if threading.current_thread() is threading.main_thread():
            # Ctrl-C reaches the whole process group: the parent answers it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stored = read_prepared(task.path, views_of(task.clip.kind))
        before = stored.prepared if stored and stored.stamp == task.stamp else Prepared()
        clip = task.clip if before.apex is None else replace(task.clip, apex=before.apex)
        made = prepare_clip(clip, task.views, task.config, backend=DlibLandmarks())
        write_prepared(task.path, task.stamp, _merged(before, made))
    except OutputError:
        raise
    except MicromimicError as error:
        return task.number, str(error)
    except Exception as error:  # noqa: BLE001 - one clip's failure must not end the others
        return task.number, f"{type(error).__name__}: {' '.join(str(error).split())}"
    return task.number, None


def _merged(before: Prepared, made: Prepared) -> Prepared:
    return Prepared(
        made.apex if made.apex is not None else before.apex,
        made.flow if made.flow is not None else before.flow,
        made.faces if made.faces is not None else before.faces,
        made.volume if made.volume is not None else before.volume,
        tuple(dict.fromkeys((*before.notes, *made.notes))),
    )
