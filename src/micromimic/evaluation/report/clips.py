"""The article's figures 2, 3 and 4 from the frames of a clip.

Frames may come from anywhere: a reader, a video, the generator. Figures that show a face say so,
because a database's licence may not allow them to be published.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS, apply_affine, compose, invert_affine, scale_of
from micromimic.core.errors import InputError
from micromimic.core.types import FlowMap
from micromimic.datasets.manifest import Clip, read_manifest
from micromimic.evaluation.report.figures import curve_figure, draw_curve
from micromimic.evaluation.report.plotting import (
    FACE_NOTE,
    GREY,
    INK,
    SKY,
    Paths,
    bare,
    drawing,
    save,
    small_print,
)
from micromimic.face.cells import cell_boxes
from micromimic.face.crops import FaceFollower, Followed, face_crop
from micromimic.face.landmarks import DlibLandmarks
from micromimic.motion.apex import fixed_cells, locate, motion_curve, to_gray
from micromimic.motion.flow import average_reach, flow_of_spans
from micromimic.preparation.clip import PrepareConfig
from micromimic.preparation.sources import read_frames

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = NDArray[np.uint8]
Frames = Sequence[Picture]

_ASSUMED_FPS: Final = 200.0
_BLUR: Final = 1 / 160  # of the picture's width: a pixel's own noise is no movement
_DIFFERENCES: Final = (
    "Differences of grey levels after the head's motion and the light are taken out; cells as in a."
)
_STEPS: Final = (
    "1  68 landmarks",
    "2  ten cells",
    "3  apex by M(t)",
    "4  apex, 224 × 224",
    "5  flow, 28 × 28",
)


def clip_figures(manifest: Path, out: Path, name: str | None = None) -> tuple[Path, ...]:
    """Draw the cells and frame differences, the motion curve, and the steps into a folder.

    ``name`` is a clip, as ``lab/sub01/clip03`` or its last part; None takes the first clip with an
    annotated apex, or the first at all.
    """
    clip = _choose(read_manifest(manifest), name)
    frames = read_frames(clip, PrepareConfig().most_frames)
    apex = None if clip.apex is None else frames.row_of(clip.apex)[0]
    pictures = frames.rgb(range(len(frames.numbers)))
    return figures_of_clip(pictures, apex, frames.fps or _ASSUMED_FPS, out)


def _choose(clips: Sequence[Clip], name: str | None) -> Clip:
    """The clip of that name; None takes the first that shows most."""
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
        got = f"{len(found)} of them" if found else "none"
        raise InputError(
            f"expected one clip with frames named {name}, got {got}; "
            "name it as dataset/subject/clip"
        )
    return found[0]


def figures_of_clip(
    frames: Frames,
    apex: int | None,
    fps: float,
    out_dir: Path,
    *,
    landmarks: NDArray[np.floating] | None = None,
) -> tuple[Path, ...]:
    """Figures 2, 3 and 4 of one clip: ``cells``, ``curve`` and ``steps`` in a folder.

    Frames, from onset to offset, are pictures of one size, (H, W) grey or (H, W, 3) RGB, uint8; of
    apexes None takes the spotted one. Landmarks are (68, 2) pixels in the first frame; None finds
    them by dlib.
    """
    steps = steps_of_clip(frames, apex, fps, landmarks=landmarks)
    return (
        *cells_figure(frames, steps.apex, steps.landmarks, out_dir / "cells"),
        *curve_figure(steps.curve, steps.annotated, steps.spotted, fps, out_dir / "curve"),
        *steps_figure(steps, out_dir / "steps"),
    )


@dataclass(frozen=True)
class ClipSteps:
    """What the preprocessing makes of one clip, step by step."""

    onset: Picture
    landmarks: NDArray[np.float64]  # (68, 2) pixels in the onset frame
    place: NDArray[np.float64]  # (2, 3) canonical units to pixels of the onset frame
    curve: NDArray[np.float64]  # (T,) M(t) from onset to offset, by the article's rule
    spotted: int  # frame of the curve where M is largest
    annotated: int | None  # frame of the curve that people took for the apex
    face: Picture  # (224, 224, 3) RGB, the crop at the apex
    flow: FlowMap
    fps: float

    @property
    def apex(self) -> int:
        """The frame that is cropped and whose flow is taken: the annotated apex if there is one."""
        return self.spotted if self.annotated is None else self.annotated


def steps_of_clip(
    frames: Frames,
    apex: int | None,
    fps: float,
    *,
    landmarks: NDArray[np.floating] | None = None,
) -> ClipSteps:
    """Landmarks, curve, crop and flow of a clip; arguments and errors as in `figures_of_clip`."""
    if not fps > 0:
        raise ValueError(f"expected fps above 0, got {fps}")
    gray = _grays(frames, apex)
    if landmarks is None:
        landmarks = locate(gray[0], DlibLandmarks())
    follower = FaceFollower.from_landmarks(gray[0], landmarks)
    followed = [follower.next(picture) for picture in gray]
    lost = sum(not found.found for found in followed)
    if lost:
        raise InputError(
            f"expected one face from onset to offset, lost it in {lost} of {len(gray)} frames; "
            "take a clip in which it stays in view"
        )
    curve = motion_curve(fixed_cells(gray, [np.asarray(landmarks, np.float64)]), robust=False)
    spotted = 1 + int(np.argmax(curve[1:]))  # the onset has no neighbour before it
    shown = spotted if apex is None else apex
    return ClipSteps(
        onset=frames[0],
        landmarks=np.asarray(landmarks, np.float64),
        place=follower.start,
        curve=curve,
        spotted=spotted,
        annotated=apex,
        face=face_crop(frames[shown], followed[shown].transform),
        flow=_flow(gray, followed, shown, fps),
        fps=fps,
    )


def _flow(gray: Sequence[Picture], followed: Sequence[Followed], apex: int, fps: float) -> FlowMap:
    """Onset to apex, each the mean of a few frames, the onset's from its own side only."""
    reach = average_reach(0, apex, fps)
    seen = [(picture, place.transform) for picture, place in zip(gray, followed, strict=True)]
    scale = float(scale_of(followed[0].transform))
    return flow_of_spans(
        seen[: reach + 1], seen[max(0, apex - reach) : apex + reach + 1], scale=scale
    )


def cells_figure(frames: Frames, apex: int, landmarks: NDArray[np.floating], out: Path) -> Paths:
    """Figure 2: the ten cells on the face, and the frame differences that M(t) is made of.

    The frames are brought to the onset's place first, or a head's drift would be all there is to
    see; differences are smoothed by a pixel or two for the eye, and the light of one frame is
    fitted to the other's.
    """
    gray = _grays(frames, apex)
    window = _window(landmarks, gray[0].shape)
    boxes = cell_boxes(landmarks) - np.tile([window[1].start, window[0].start], 2)
    others = {"onset": 0, "offset": len(gray) - 1, "previous": max(apex - 1, 0)}
    follower = FaceFollower.from_landmarks(gray[0], landmarks)
    still = {k: _brought_back(gray[k], follower) for k in sorted({*others.values(), apex} - {0})}
    still[0] = gray[0]
    changes = {
        f"|apex − {name}|": _change(still[apex][window], still[other][window])
        for name, other in others.items()
    }
    with drawing(7.4, 2.3) as figure:
        face, *panels = figure.subplots(1, 4)
        _show(face, frames[0][window])
        _draw_boxes(face, boxes)
        face.set_title("a  ten cells")
        largest = max(6.0, float(np.percentile(list(changes.values())[:2], 99.7)))
        for letter, axes, (name, change) in zip("bcd", panels, changes.items(), strict=True):
            picture = axes.imshow(change, cmap="Purples", vmin=0, vmax=largest)
            _draw_boxes(axes, boxes, thin=True)
            axes.set_title(f"{letter}  {name}")
            bare(axes)
        bar = figure.colorbar(picture, ax=panels, shrink=0.72, pad=0.015, aspect=18)
        bar.set_label("grey levels")
        bar.outline.set_visible(False)
        small_print(figure, _DIFFERENCES, FACE_NOTE)
        return save(figure, out)


def steps_figure(steps: ClipSteps, out: Path) -> Paths:
    """Figure 4: landmarks, cells, apex by M(t), face crop, flow map, from left to right."""
    window = _window(steps.landmarks, steps.onset.shape)
    points = steps.landmarks - [window[1].start, window[0].start]
    lines = "Red line: annotated apex, which steps 4 and 5 show; dashed: as spotted."
    if steps.annotated is None:
        lines = "Dashed line: apex as spotted."
    with drawing(9.0, 2.6) as figure:
        figure.get_layout_engine().set(wspace=0.1)  # type: ignore[union-attr, call-arg]
        panels = figure.subplots(1, 5, width_ratios=[1, 1, 1.1, 1, 1])
        for axes in panels[:2]:
            _show(axes, steps.onset[window])
        dots = {"markersize": 2.2, "markeredgecolor": INK, "markeredgewidth": 0.3}
        panels[0].plot(*points.T, "o", color=SKY, **dots)
        _draw_boxes(panels[1], cell_boxes(points))
        draw_curve(panels[2], steps.curve, steps.annotated, steps.spotted, steps.fps)
        panels[2].set_box_aspect(0.9)
        panels[2].set_yticks([])
        panels[2].set_xlabel("time from onset (s)")
        _show(panels[3], steps.face)
        units = apply_affine(invert_affine(steps.place), steps.landmarks)
        _draw_flow(panels[4], steps.flow, units)
        for axes, title in zip(panels, _STEPS, strict=True):
            axes.set_title(title)
        _join(figure, panels)
        small_print(figure, lines, FACE_NOTE)
        return save(figure, out)


def _grays(frames: Frames, apex: int | None) -> list[Picture]:
    """Grey frames, after checks of the apex and of sizes."""
    if len(frames) < 3:
        raise InputError(
            f"expected a clip of at least 3 frames, got {len(frames)}; widen the interval"
        )
    if not 0 <= (apex or 0) < len(frames):
        raise ValueError(f"expected an apex from 0 to {len(frames) - 1}, got {apex}")
    gray = [to_gray(frame) for frame in frames]
    if len({picture.shape for picture in gray}) > 1:
        raise InputError("expected frames of one size, got several; resize them first")
    return gray


def _window(landmarks: NDArray[np.floating], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a square around the face, inside the picture."""
    low, high = np.min(landmarks, axis=0), np.max(landmarks, axis=0)
    side = min(round(1.35 * float((high - low).max())), *shape[:2])
    centre = (low + high) / 2 - [0.0, 0.08 * (high[1] - low[1])]  # landmarks end at the brows
    x, y = np.clip(np.rint(centre - side / 2), 0, [shape[1] - side, shape[0] - side]).astype(int)
    return slice(y, y + side), slice(x, x + side)


def _brought_back(gray: Picture, follower: FaceFollower) -> Picture:
    """A frame warped so that its face lies where the onset's does."""
    found = follower.next(gray)
    if not found.found:
        raise InputError(
            f"expected the onset's face in every frame, got a match of only "
            f"{found.similarity:.2f}; take a clip in which it stays in view"
        )
    matrix = compose(found.transform, invert_affine(follower.start))
    return np.asarray(
        cv2.warpAffine(
            gray,
            matrix,
            gray.shape[::-1],
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _change(one: Picture, other: Picture) -> NDArray[np.float64]:
    """(H, W) absolute difference, smoothed, after the light of one is fitted to the other's."""
    after, before = (
        cv2.GaussianBlur(picture.astype(np.float64), (0, 0), max(0.6, _BLUR * one.shape[1]))
        for picture in (one, other)
    )
    # What moves changes its place and hardly the shares of dark and light: compare those.
    (low, middle, high), (dark, mean, light) = (
        np.quantile(picture, [0.1, 0.5, 0.9]) for picture in (after, before)
    )
    gain = (high - low) / (light - dark) if light - dark > 1 else 1.0
    return np.asarray(np.abs(after - middle - gain * (before - mean)))


def _show(axes: Axes, picture: NDArray[np.uint8]) -> None:
    """A picture, (H, W) grey or (H, W, 3) RGB, without ticks."""
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    bare(axes)


def _draw_boxes(axes: Axes, boxes: NDArray[np.floating], *, thin: bool = False) -> None:
    """Outline (n, 4) left, top, right, bottom; light on dark unless thin, seen on any skin."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - belongs to an extra
    from matplotlib.patheffects import Normal, Stroke  # noqa: PLC0415

    width = 0.6 if thin else 1.0
    for left, top, right, bottom in boxes.tolist():
        axes.add_patch(
            Rectangle(
                (left, top),
                right - left,
                bottom - top,
                fill=False,
                linewidth=width,
                edgecolor=INK if thin else "white",
                path_effects=[] if thin else [Stroke(linewidth=2.0, foreground=INK), Normal()],
            )
        )


def _draw_flow(axes: Axes, flow: FlowMap, landmarks: NDArray[np.floating]) -> None:
    """A flow map: size as shade, direction as arrows, the landmarks (canonical) as faint dots."""
    u, v = np.asarray(flow.uv, np.float64)
    size = np.hypot(u, v)
    peak = max(float(np.percentile(size, 99)), 1e-6)
    axes.imshow(size, cmap="Purples", vmin=0, vmax=1.6 * peak, extent=(0, UNITS, UNITS, 0))
    axes.plot(*np.asarray(landmarks).T, "o", markersize=1.2, color=GREY, alpha=0.7)
    rows, columns = np.mgrid[1:UNITS:2, 1:UNITS:2]
    picked = size[rows, columns] > 0.25 * peak
    x, y = columns[picked], rows[picked]
    arrows: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": peak / 3.0}
    axes.quiver(x + 0.5, y + 0.5, u[y, x], v[y, x], width=0.009, color=INK, **arrows)
    axes.set_xlim(0, UNITS)
    axes.set_ylim(UNITS, 0)
    bare(axes)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.6)


def _join(figure: Figure, panels: Sequence[Axes]) -> None:
    """Arrows from each panel to the next."""
    from matplotlib.patches import ConnectionPatch  # noqa: PLC0415 - belongs to an extra

    for left, right in itertools.pairwise(panels):
        figure.add_artist(
            ConnectionPatch(
                (1.0, 0.5),
                (0.0, 0.5),
                "axes fraction",
                "axes fraction",
                axesA=left,
                axesB=right,
                arrowstyle="-|>",
                mutation_scale=11,
                color=INK,
                linewidth=1.2,
                shrinkA=2,
                shrinkB=2,
            )
        )
