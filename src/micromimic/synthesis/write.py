"""Writes synthetic clips and their truth: all of them, or none."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from micromimic.core.errors import InputError, OutputError
from micromimic.core.files import begun
from micromimic.core.progress import Progress
from micromimic.synthesis.clips import render, write_frames
from micromimic.synthesis.schedule import (
    CLIP_KINDS,
    ClipConfig,
    ClipKind,
    ClipPlan,
    clip_of_kind,
    plan_clip,
)
from micromimic.synthesis.truth import ClipTruth, truth_document, truth_of

if TYPE_CHECKING:
    from micromimic.synthesis.actors.head.moving import Head
    from micromimic.synthesis.tracks import Tracks

TRUTH_FILE = "truth.json"
PEOPLE: Final = 10_000
"""Rendered people of clips that may be trained on have numbers below this; those above it are for
benchmarks."""

ActorKind = Literal["photo", "mesh"]
ACTORS: Final[tuple[ActorKind, ...]] = ("photo", "mesh")


@dataclass(frozen=True)
class ClipOptions:
    """What the clips show, beside length, rate and strength.

    Args:
        kind: what they are about (`schedule.clip_of_kind`).
        actor: ``photo`` is the photographed face; ``mesh`` renders another person for each clip
            and needs the ``faces3d`` extra.
        blinks: a minute; None is the kind's own.
        macros: longer expressions a minute; None is the kind's own.
        colour: RGB instead of grey.
        crf: x264's quality for compressed videos; None keeps every bit.
        arrays: write landmarks, poses, action units and flows too, one ``.npz`` a clip.
    """

    kind: ClipKind = "mixed"
    actor: ActorKind = "photo"
    blinks: float | None = None
    macros: float | None = None
    colour: bool = False
    crf: int | None = None
    arrays: bool = False

    def __post_init__(self) -> None:
        if self.kind not in CLIP_KINDS or self.actor not in ACTORS:
            raise ValueError(
                f"expected a kind among {', '.join(CLIP_KINDS)} and an actor among "
                f"{', '.join(ACTORS)}, got {self.kind!r} and {self.actor!r}"
            )
        if min(self.blinks or 0.0, self.macros or 0.0) < 0.0:
            raise ValueError(f"expected rates from 0, got {self.blinks} and {self.macros}")
        if self.crf is not None and not 0 < self.crf <= 51:
            raise ValueError(f"expected a quality (crf) of 1 to 51, got {self.crf}")

    def config(self, seconds: float, fps: float, peak: float) -> ClipConfig:
        """The settings of a clip.

        Raises:
            ValueError: if a number is out of range.
        """
        rates = {"blinks_per_minute": self.blinks, "macros_per_minute": self.macros}
        given = {name: rate for name, rate in rates.items() if rate is not None}
        return clip_of_kind(
            self.kind, seconds=seconds, fps=fps, peak_px=peak, colour=self.colour, **given
        )


def clip_options(**given: Any) -> ClipOptions:
    """Options from what a user typed.

    Raises:
        InputError: if one of them is unknown or out of range.
    """
    try:
        return ClipOptions(**given)
    except ValueError as error:
        raise InputError(f"{error}; see micromimic synth clips --help") from None


def synth_clips(
    out_dir: str | Path,
    count: int = 3,
    seconds: float = 20.0,
    fps: float = 200.0,
    peak: float = 1.5,
    seed: int = 0,
    progress: Progress | None = None,
    options: ClipOptions | None = None,
) -> list[ClipTruth]:
    """Write lossless videos ``clip_001.mp4``, ... and ``truth.json``.

    Everything is written into a hidden folder first and moved when complete; clips of the same
    names from an earlier call are replaced. A lossless frame of 640 x 480 takes about 0.17 MB.

    Args:
        out_dir: created if it does not exist.
        count: number of clips.
        seconds, fps: of each.
        peak: largest displacement of each planted micro-expression, pixels.
        seed: the same seed gives the same clips.
        progress: called with (frames done, frames in all, "render").
        options: what they show; None is the photographed face with everything mixed.

    Returns:
        The truth, clip by clip.

    Raises:
        InputError: if a number is out of range.
        MissingExtraError: for rendered people without the ``faces3d`` extra or OpenCV 5.
        OutputError: if the folder cannot be written.
    """
    if count < 1:
        raise InputError(f"expected at least 1 clip, got {count}; pass a larger --count")
    options = options or ClipOptions()
    try:
        config = options.config(seconds, fps, peak)
    except ValueError as error:
        raise InputError(str(error)) from None
    out = Path(out_dir)
    fresh = not out.exists()
    done = False
    try:
        out.mkdir(parents=True, exist_ok=True)
        with begun(out, as_folder=True) as staging:
            truths = _render_all(staging, config, options, count, seed, progress)
            document = json.dumps(truth_document(truths), indent=1) + "\n"
            (staging / TRUTH_FILE).write_text(document, encoding="utf-8")
            arrays = [truth.arrays for truth in truths if truth.arrays]
            for name in (*(truth.path for truth in truths), *arrays, TRUTH_FILE):
                (staging / name).replace(out / name)
        done = True
    except OSError as error:
        raise OutputError(
            f"expected to write clips into {out}, got {error.strerror or error}; choose a "
            "writable folder with room"
        ) from error
    finally:
        if fresh and not done:
            shutil.rmtree(out, ignore_errors=True)
    return truths


def clip_seed(seed: int, number: int) -> int:
    """The seed of one clip of a series; series of different seeds share no clip.

    >>> clip_seed(1, 0) != clip_seed(1, 1) != clip_seed(2, 0)
    True
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def write_clip(
    path: Path,
    config: ClipConfig,
    seed: int,
    *,
    options: ClipOptions | None = None,
    progress: Progress | None = None,
) -> ClipTruth:
    """Plan, render and write one clip, and its arrays beside it where they are wanted.

    Args:
        path: the video; its folder must exist.
        config: the settings.
        seed: the same seed gives the same clip.
        options: actor, compression and arrays.
        progress: called with (frames done, frames, "render").

    Raises:
        MissingExtraError: for rendered people without the ``faces3d`` extra or OpenCV 5.
        OutputError: if the video cannot be written.
        OSError: if the arrays cannot.
    """
    options = options or ClipOptions()
    plan = plan_clip(config, seed)
    head = _head(plan) if options.actor == "mesh" else None
    truth = truth_of(plan, path.name)
    if head is None:
        frames = render(plan)
    else:
        from micromimic.synthesis.actors.head.moving import render_head  # noqa: PLC0415 - optional

        frames = render_head(plan, head)
        truth = replace(truth, actor="mesh", identity=head.seed)
    preset = "ultrafast" if options.crf is None else "superfast"
    write_frames(path, plan, frames, crf=options.crf, preset=preset, progress=progress)
    if options.arrays:
        truth = replace(truth, arrays=f"{path.stem}.npz")
        _tracks(plan, head).save(path.with_suffix(".npz"))
    return truth


def _head(plan: ClipPlan) -> Head:
    """Another person, camera and light for each clip."""
    from micromimic.synthesis.actors.head.moving import draw_studio, make_head  # noqa: PLC0415 - optional

    identity = plan.seed % PEOPLE
    return make_head(identity, plan.config, draw_studio(identity))


def _tracks(plan: ClipPlan, head: Head | None) -> Tracks:
    from micromimic.synthesis.tracks import head_tracks, photo_tracks  # noqa: PLC0415 - rarely

    return photo_tracks(plan) if head is None else head_tracks(plan, head)


def _render_all(
    folder: Path,
    config: ClipConfig,
    options: ClipOptions,
    count: int,
    seed: int,
    progress: Progress | None,
) -> list[ClipTruth]:
    total = count * config.frames
    truths = []
    for number in range(count):
        before = number * config.frames

        def advance(frames: int, _: int | None, stage: str, before: int = before) -> None:
            if progress is not None:
                progress(before + frames, total, stage)

        path = folder / f"clip_{number + 1:03d}.mp4"
        truths.append(
            write_clip(path, config, clip_seed(seed, number), options=options, progress=advance)
        )
    return truths
