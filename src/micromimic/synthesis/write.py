"""Writes synthetic clips and their truth: all of them, or none."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from micromimic.errors import InputError, OutputError
from micromimic.synthesis.clips import write_clip
from micromimic.synthesis.schedule import ClipConfig
from micromimic.synthesis.truth import ClipTruth, truth_document

TRUTH_FILE = "truth.json"

Progress = Callable[[int, int | None, str], None]


def synth_clips(
    out_dir: str | Path,
    count: int = 3,
    seconds: float = 20.0,
    fps: float = 200.0,
    peak: float = 1.5,
    seed: int = 0,
    progress: Progress | None = None,
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

    Returns:
        The truth, clip by clip.

    Raises:
        InputError: if a number is out of range.
        OutputError: if the folder cannot be written.
    """
    if count < 1:
        raise InputError(f"expected at least 1 clip, got {count}; pass a larger --count")
    try:
        config = ClipConfig(seconds=seconds, fps=fps, peak_px=peak)
    except ValueError as error:
        raise InputError(str(error)) from None
    out = Path(out_dir)
    fresh = not out.exists()
    staging = out / f".{uuid.uuid4().hex[:8]}.part"
    done = False
    try:
        staging.mkdir(parents=True)
        truths = _render_all(staging, config, count, seed, progress)
        document = json.dumps(truth_document(truths), indent=1) + "\n"
        (staging / TRUTH_FILE).write_text(document, encoding="utf-8")
        for name in (*(truth.path for truth in truths), TRUTH_FILE):
            (staging / name).replace(out / name)
        done = True
    except OSError as error:
        raise OutputError(
            f"expected to write clips into {out}, got {error.strerror or error}; choose a "
            "writable folder with room"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if fresh and not done:
            shutil.rmtree(out, ignore_errors=True)
    return truths


def clip_seed(seed: int, number: int) -> int:
    """The seed of one clip of a series; series of different seeds share no clip.

    >>> clip_seed(1, 0) != clip_seed(1, 1) != clip_seed(2, 0)
    True
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _render_all(
    folder: Path, config: ClipConfig, count: int, seed: int, progress: Progress | None
) -> list[ClipTruth]:
    total = count * config.frames
    truths = []
    for number in range(count):
        before = number * config.frames

        def advance(frames: int, _: int | None, stage: str, before: int = before) -> None:
            if progress is not None:
                progress(before + frames, total, stage)

        path = folder / f"clip_{number + 1:03d}.mp4"
        truths.append(write_clip(path, config, clip_seed(seed, number), progress=advance))
    return truths
