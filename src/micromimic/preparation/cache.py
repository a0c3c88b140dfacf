"""All clips of a manifest prepared, in parallel, and kept on disk.

One file a clip, view and way of preparing (all settings are in its name), so that clips prepared in
several ways lie side by side. Each holds the *stamp* of what it was made of: the clip's numbers,
and names, sizes and times of its frames. What fits is kept, so an interrupted run continues.
(joblib.Memory would do, but for pickles, which run what they hold, and damage, which it reads.)
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError, MicromimicError, OutputError
from micromimic.core.files import write_whole
from micromimic.core.labels import LabelSet, labels_like
from micromimic.core.progress import Progress
from micromimic.core.workers import own_threads, run_tasks
from micromimic.datasets.manifest import Clip
from micromimic.face.landmarks import DlibLandmarks
from micromimic.models.preprocess import read_flow_png
from micromimic.models.samples import Encoder, Samples, View, content_digest
from micromimic.preparation.clip import VIEWS, PrepareConfig, check_views, prepare_clip
from micromimic.preparation.sources import numbered_pictures

STAGE: Final = "preparation"
FORMAT: Final = 2  # raised when the same source and settings give other views: all is made again


@dataclass(frozen=True)
class PrepareFailure:
    clip: Clip
    reason: str


@dataclass(frozen=True)
class Stored:
    """What a file holds: a view, the stamp of what it was made of, and notes, a line each."""

    stamp: str
    notes: tuple[str, ...]
    view: NDArray[np.generic]


def prepare_all(
    clips: Iterable[Clip],
    views: Collection[View],
    cache: Path,
    *,
    config: PrepareConfig | None = None,
    progress: Progress | None = None,
) -> list[PrepareFailure]:
    """Prepare every clip that is not prepared yet; the clips that failed, in their order.

    Tasks run where the caller's ``workers.on_workers`` says; on other machines the clips and the
    folder ``cache`` must have the same paths. Clips of kind ``flow_map`` are read where they lie
    and only checked here.
    """
    from joblib import delayed  # noqa: PLC0415 - slow to import

    rows, config = tuple(clips), config or PrepareConfig()
    for clip in rows:
        check_views(clip, views)
    report = progress or (lambda done, total, stage: None)
    failed: dict[int, str] = {}
    tasks = []
    for number, clip in enumerate(rows):
        try:
            left = _left(clip, views, cache, config)
        except InputError as error:
            failed[number] = str(error)
        else:
            there = replace(clip, path=clip.path.absolute())  # workers have folders of their own
            task = number, there, left, cache.absolute(), config
            tasks += [delayed(_prepare)(*task)] if left else []
    if tasks:  # a cache that cannot be written is an error before the first clip's work
        with _writing(cache):
            cache.mkdir(parents=True, exist_ok=True)
    done = len(rows) - len(tasks)
    report(done, len(rows), STAGE)
    for number, reason in run_tasks(tasks) if tasks else ():
        done += 1
        report(done, len(rows), STAGE)
        if reason is not None:
            failed[number] = reason
    return [PrepareFailure(rows[number], failed[number]) for number in sorted(failed)]


def load_samples(
    clips: Sequence[Clip],
    encoder: Encoder,
    cache: Path,
    config: PrepareConfig | None = None,
    *,
    labels: LabelSet | None = None,
) -> Samples:
    if not clips:
        raise InputError("expected clips to load, got none; add some to the manifest")
    config, contents = config or PrepareConfig(), []
    for number, clip in enumerate(clips):
        view = _view_of(clip, encoder.view, cache, config)
        contents.append(content_digest(view))
        row = encoder.encode(view)
        if number == 0:
            inputs = np.empty((len(clips), *row.shape), row.dtype)
        if row.shape != inputs.shape[1:]:
            raise InputError(
                f"expected {encoder.view} of one shape, got {inputs.shape[1:]} for "
                f"{clips[0].key} and {row.shape} for {clip.key}; list clips of one kind"
            )
        inputs[number] = row
    known = labels or labels_like(clip.label for clip in clips)
    return Samples(
        inputs,
        known.encode(clip.label for clip in clips),
        np.array([clip.dataset for clip in clips]),
        np.array([clip.who for clip in clips]),
        np.array([clip.key for clip in clips]),
        known,
        np.array(contents),
    )


def prepared_notes(clip: Clip, cache: Path, config: PrepareConfig | None = None) -> tuple[str, ...]:
    files = (file_of(clip, view, cache, config) for view in VIEWS[clip.kind])
    notes = [found.notes for file in files if (found := read_prepared(file))]
    return tuple(dict.fromkeys(chain.from_iterable(notes)))


def prepared_summary(
    clips: Sequence[Clip],
    failures: Sequence[PrepareFailure],
    cache: Path,
    config: PrepareConfig | None = None,
) -> str:
    notes = [
        {note.startswith("apex spotted") for note in prepared_notes(clip, cache, config)}
        for clip in clips
    ]
    spotted, other = (sum(kind in each for each in notes) for kind in (True, False))
    cached = [clip for clip in clips if clip.kind != "flow_map"]
    files = [file_of(clip, view, cache, config) for clip in cached for view in VIEWS[clip.kind]]
    size = sum(file.stat().st_size for file in files if file.is_file())
    parts = [f"{len(clips) - len(failures)} of {len(clips)} clips prepared"]
    parts += [f"apex spotted in {spotted}"] if spotted else []
    parts += [f"{other} with frames missing or the face lost in some"] if other else []
    place = f"; {size / 2**20:.0f} MiB in {cache}" if files else "; flow maps are read as they are"
    return ", ".join(parts) + place


def file_of(clip: Clip, view: View, cache: Path, config: PrepareConfig | None = None) -> Path:
    """Where a view of a clip is kept: named after it as far as every file system allows."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", clip.key)[:100]
    settings = json.dumps(asdict(config or PrepareConfig()), sort_keys=True)
    digest = hashlib.sha256(f"{clip.key}\n{settings}".encode()).hexdigest()[:12]
    return cache / f"{name}-{digest}.{view}.npz"


def read_prepared(path: Path) -> Stored | None:
    """A file, checked to the last bit; None if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(str(data["about"]))
            return Stored(about["stamp"], (*about["notes"],), data["view"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _stamp(clip: Clip) -> str:
    """What a prepared clip is made of, as a hash."""
    try:
        paths = [clip.path]
        if clip.kind == "frames":
            paths = [path for _, (_, path) in sorted(numbered_pictures(clip).items())]
        files = [(file.name, file.stat()) for file in paths]
    except OSError as error:
        raise InputError(
            f"expected {error.filename}, got {error.strerror or error}; check the path"
        ) from None
    numbers = [FORMAT, clip.kind, clip.onset, clip.apex, clip.offset, clip.fps]
    source = [numbers, [(name, state.st_size, state.st_mtime_ns) for name, state in files]]
    return hashlib.sha256(json.dumps(source).encode()).hexdigest()


def _left(
    clip: Clip, views: Collection[View], cache: Path, config: PrepareConfig
) -> tuple[View, ...]:
    """Views that are still to be made; what no longer fits is removed."""
    if clip.kind == "flow_map":
        read_flow_png(clip.path)
        return ()
    left = tuple(view for view in get_args(View) if view in views)
    try:
        stamp = _stamp(clip)
        stored = {view: read_prepared(file_of(clip, view, cache, config)) for view in left}
        left = tuple(v for v, found in stored.items() if found is None or found.stamp != stamp)
    finally:
        for view in left:
            file = file_of(clip, view, cache, config)
            with _writing(file):
                file.unlink(missing_ok=True)
    return left


def _view_of(clip: Clip, view: View, cache: Path, config: PrepareConfig) -> NDArray[np.generic]:
    check_views(clip, (view,))
    if clip.kind == "flow_map":
        return read_flow_png(clip.path)
    stored = read_prepared(file_of(clip, view, cache, config))
    if stored is None or stored.stamp != _stamp(clip):
        raise InputError(
            f"expected {clip.key} to be prepared for models that look at {view}, found nothing "
            f"usable in {cache}; run `micromimic datasets prepare` on the manifest"
        )
    return stored.view


def _prepare(
    number: int,
    clip: Clip,
    views: tuple[View, ...],
    cache: Path,
    config: PrepareConfig,
) -> tuple[int, str | None]:
    """Prepare one clip and write it; in a worker. Its number, and why where it failed."""
    if own_threads() is not None:
        cv2.setNumThreads(1)  # processes share the cores already
    try:
        stamp = _stamp(clip)  # before its frames are read: what changes meanwhile does not fit
        made = prepare_clip(clip, views, config, backend=DlibLandmarks())
        for view in views:
            content = io.BytesIO()
            about = np.array(json.dumps({"stamp": stamp, "notes": made.notes}))
            np.savez(content, about=about, view=np.asarray(made.view(view)))
            file = file_of(clip, view, cache, config)
            with _writing(file):
                write_whole(file, content.getvalue())
    except OutputError:
        raise
    except MicromimicError as error:
        return number, str(error)
    except Exception as error:  # noqa: BLE001 - one clip's failure must not end the others
        return number, f"{type(error).__name__}: {' '.join(str(error).split())}"
    return number, None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, OutputError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        raise OutputError(
            f"expected to write prepared clips to {path}, got: "
            f"{getattr(cause, 'strerror', None) or cause}; choose another --cache"
        ) from None
