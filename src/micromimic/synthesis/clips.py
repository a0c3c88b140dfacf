"""Videos with known truth: rendered, written with their ``truth.json``, all of them or none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError, OutputError
from micromimic.core.files import begun
from micromimic.core.progress import Progress
from micromimic.media.video import VideoWriter
from micromimic.synthesis.actors.base import Actor, ActorKind, Scene
from micromimic.synthesis.actors.head.moving import draw_head
from micromimic.synthesis.actors.photo import astronaut
from micromimic.synthesis.clip_nuisances import Sensor
from micromimic.synthesis.schedule import (
    CLIP_KINDS,
    ClipConfig,
    ClipKind,
    ClipPlan,
    clip_of_kind,
    plan_clip,
)
from micromimic.synthesis.truth import (
    TRUTH_FILE,
    ClipTruth,
    tracks_of,
    truth_document,
    truth_of,
)

__all__ = ["ClipConfig", "ClipPlan", "plan_clip", "planted_field", "planted_poses", "render"]

PEOPLE: Final = 10_000
"""Rendered people of clips that may be trained on have numbers below this; those above it are for
benchmarks."""


def scene_of(plan: ClipPlan, actor: Actor | None = None) -> Scene:
    """A plan made ready; the runtime's face plays it where nobody else is given."""
    return (actor or astronaut(plan)).scene(plan)


def render(
    plan: ClipPlan, *, actor: Actor | None = None, frames: range | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip: (H, W) grey or (H, W, 3) RGB, one at a time; all, or some of them.

    The same plan gives the same bytes on one machine.
    """
    scene, sensor = scene_of(plan, actor), Sensor(plan)
    for number in range(plan.config.frames) if frames is None else frames:
        time = number / plan.config.fps
        yield sensor.expose(scene.picture(time), time)


def planted_field(plan: ClipPlan, event: int, *, actor: Actor | None = None) -> NDArray[np.float32]:
    """What a micro-expression does to the resting face at its apex; see `Scene.field`."""
    return scene_of(plan, actor).field(event)


def planted_poses(plan: ClipPlan, *, actor: Actor | None = None) -> NDArray[np.float64]:
    """(frames, 2, 3) canonical units to image pixels: the tracker's right answer."""
    scene = scene_of(plan, actor)
    return np.stack([scene.face_pose(time) for time in plan.times])


def write_clip(
    path: str | Path,
    config: ClipConfig,
    seed: int,
    *,
    crf: int | None = None,
    preset: str = "ultrafast",
    actor: ActorKind = "photo",
    arrays: bool = False,
    progress: Progress | None = None,
) -> ClipTruth:
    """Plan, render and write one clip.

    Parameters
    ----------
    path
        The video (``.mp4`` or ``.mkv``); its folder must exist. Nothing is left there after an
        error.
    config
        The settings.
    seed
        The same seed gives the same clip.
    crf
        x264's quality, for a smaller file; None keeps every bit.
    preset
        x264's, beside ``crf``; ``ultrafast`` leaves block edges, ``superfast`` does not.
    actor
        ``photo`` is the photographed face; ``mesh`` renders another person for each seed and needs
        the ``faces3d`` extra and OpenCV 5.
    arrays
        Write landmarks, poses, action units and flows beside it, in an ``.npz``.
    progress
        Called with (frames done, frames, "render").

    Returns
    -------
    ClipTruth
        What was planted; its path is the video's name.

    Raises
    ------
    MissingExtraError
        For rendered people without the extra or OpenCV 5.
    OutputError
        If the video cannot be written.
    """
    path = Path(path)
    plan = plan_clip(config, seed)
    truth = truth_of(plan, path.name)
    who = None
    if actor == "mesh":
        who = draw_head(seed % PEOPLE, config)
        truth = replace(truth, actor="mesh", identity=seed % PEOPLE)
    write_frames(path, plan, render(plan, actor=who), crf=crf, preset=preset, progress=progress)
    if arrays:
        truth = replace(truth, arrays=f"{path.stem}.npz")
        tracks_of(scene_of(plan, who)).save(path.with_suffix(".npz"))
    return truth


def write_frames(
    path: Path,
    plan: ClipPlan,
    frames: Iterable[NDArray[np.uint8]],
    *,
    crf: int | None = None,
    preset: str = "ultrafast",
    progress: Progress | None = None,
) -> None:
    """Write the frames of a plan, all or none; arguments as of `write_clip`."""
    config = plan.config
    size, lossless = (config.width, config.height), crf is None
    video = VideoWriter(path, config.fps, *size, lossless=lossless, crf=crf or 0, preset=preset)
    with video as writer:
        for done, frame in enumerate(frames, start=1):
            writer.write(frame)
            if progress is not None and (done % 50 == 0 or done == config.frames):
                progress(done, config.frames, "render")


@dataclass(frozen=True)
class ClipOptions:
    """What the clips show, beside length, rate and strength."""

    kind: ClipKind = "mixed"
    actor: ActorKind = "photo"
    blinks: float | None = None  # a minute; None is the kind's own
    macros: float | None = None  # longer expressions a minute; None is the kind's own
    colour: bool = False  # RGB instead of grey
    crf: int | None = None  # x264's quality for compressed videos; None keeps every bit
    arrays: bool = False  # write landmarks, poses, action units and flows too

    def __post_init__(self) -> None:
        actors = get_args(ActorKind)
        if self.kind not in CLIP_KINDS or self.actor not in actors:
            raise ValueError(
                f"expected a kind among {', '.join(CLIP_KINDS)} and an actor among "
                f"{', '.join(actors)}, got {self.kind!r} and {self.actor!r}"
            )
        if min(self.blinks or 0.0, self.macros or 0.0) < 0.0:
            raise ValueError(f"expected rates from 0, got {self.blinks} and {self.macros}")
        if self.crf is not None and not 0 < self.crf <= 51:
            raise ValueError(f"expected a quality (crf) of 1 to 51, got {self.crf}")

    def config(self, seconds: float, fps: float, peak: float) -> ClipConfig:
        """The settings of a clip; ValueError where a number is out of range."""
        rates = {"blinks_per_minute": self.blinks, "macros_per_minute": self.macros}
        given = {name: rate for name, rate in rates.items() if rate is not None}
        return clip_of_kind(
            self.kind, seconds=seconds, fps=fps, peak_px=peak, colour=self.colour, **given
        )


def clip_options(**given: Any) -> ClipOptions:
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

    Parameters
    ----------
    out_dir
        Created if it does not exist.
    count
        Number of clips.
    seconds, fps
        Of each.
    peak
        Largest displacement of each planted micro-expression, pixels.
    seed
        The same seed gives the same clips.
    progress
        Called with (frames done, frames in all, "render").
    options
        What they show; None is the photographed face with everything mixed.

    Returns
    -------
    list of ClipTruth
        The truth, clip by clip.

    Raises
    ------
    InputError
        If a number is out of range.
    MissingExtraError
        For rendered people without the ``faces3d`` extra or OpenCV 5.
    OutputError
        If the folder cannot be written.
    """
    if count < 1:
        raise InputError(f"expected at least 1 clip, got {count}; pass a larger --count")
    options = options or ClipOptions()
    try:
        config = options.config(seconds, fps, peak)
    except ValueError as error:
        raise InputError(str(error)) from None
    out = Path(out_dir)
    with ExitStack() as undo:
        if not out.exists():
            undo.callback(shutil.rmtree, out, ignore_errors=True)
        try:
            out.mkdir(parents=True, exist_ok=True)
            with begun(out, as_folder=True) as staging:
                truths = _write_all(staging, config, options, count, seed, progress)
                document = json.dumps(truth_document(truths), indent=1) + "\n"
                (staging / TRUTH_FILE).write_text(document, encoding="utf-8")
                arrays = [truth.arrays for truth in truths if truth.arrays]
                for name in (*(truth.path for truth in truths), *arrays, TRUTH_FILE):
                    (staging / name).replace(out / name)
        except OSError as error:
            raise OutputError(
                f"expected to write clips into {out}, got {error.strerror or error}; choose a "
                "writable folder with room"
            ) from error
        undo.pop_all()
    return truths


def _write_all(
    folder: Path,
    config: ClipConfig,
    options: ClipOptions,
    count: int,
    seed: int,
    progress: Progress | None,
) -> list[ClipTruth]:
    truths = []
    for number in range(count):
        before = number * config.frames

        def advance(frames: int, _: int | None, stage: str, before: int = before) -> None:
            if progress is not None:
                progress(before + frames, count * config.frames, stage)

        truths.append(
            write_clip(
                folder / f"clip_{number + 1:03d}.mp4",
                config,
                # series of different seeds share no clip
                int(np.random.SeedSequence([seed, number]).generate_state(1)[0]),
                crf=options.crf,
                preset="ultrafast" if options.crf is None else "superfast",
                actor=options.actor,
                arrays=options.arrays,
                progress=advance,
            )
        )
    return truths
