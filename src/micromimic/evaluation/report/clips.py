"""The article's figures 2, 3 and 4 from a clip of a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from micromimic.core.errors import InputError
from micromimic.datasets.manifest import Clip, read_manifest
from micromimic.evaluation.report.figures import figures_of_clip
from micromimic.preparation.clip import PrepareConfig
from micromimic.preparation.sources import read_frames

ASSUMED_FPS = 200.0


def clip_figures(manifest: Path, out: Path, name: str | None = None) -> tuple[Path, ...]:
    """Draw the cells and frame differences, the motion curve, and the steps.

    Args:
        manifest: CSV as in `datasets.manifest`.
        out: folder for the pictures.
        name: a clip, as ``lab/sub01/clip03`` or its last part; None takes the first clip with
            an annotated apex, or the first at all.

    Returns:
        The files.

    Raises:
        InputError: no such clip, or it has no frames.
        NoFaceError: no face in its onset frame.
    """
    clip = choose(read_manifest(manifest), name)
    frames = read_frames(clip, PrepareConfig().most_frames)
    apex = None if clip.apex is None else frames.row_of(clip.apex)[0]
    pictures = frames.rgb(range(len(frames.numbers)))
    return figures_of_clip(pictures, 0, apex, len(pictures) - 1, frames.fps or ASSUMED_FPS, out)


def choose(clips: Sequence[Clip], name: str | None) -> Clip:
    """The clip of that name; None takes the first that shows most.

    Raises:
        InputError: if none or several fit, or it has no frames.
    """
    with_frames = [clip for clip in clips if clip.kind in ("frames", "video")]
    if name is None:
        known = [clip for clip in with_frames if clip.apex is not None]
        if not with_frames:
            raise InputError(
                "expected a clip with frames, got pictures and flow maps only; "
                "pass a manifest of frames or videos"
            )
        return (known or with_frames)[0]
    found = [clip for clip in with_frames if name in (clip.key, clip.clip)]
    if len(found) != 1:
        told = f"{len(found)} of them" if found else "none"
        raise InputError(
            f"expected one clip with frames named {name}, got {told}; "
            "name it as dataset/subject/clip"
        )
    return found[0]
