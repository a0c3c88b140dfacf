"""The article's figures from the data at hand: PNG for documents, SVG for print.

Figure 5 is `confusion_figure`, figure 3 `curve_figure`, figure 2 `cells_figure`, figure 4
`steps_figure`; `figures_of_clip` makes the last three from the frames of one clip. How far a run's
answers can be relied on: `reliability_figure` and `coverage_figure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import LabelSet
from micromimic.evaluation.article import RECALLS, is_full_composite
from micromimic.evaluation.metrics import confusion, uar, uf1
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.report.clip_figures import (
    ClipSteps,
    cells_figure,
    steps_figure,
    steps_of_clip,
)
from micromimic.evaluation.report.panels import draw_curve
from micromimic.evaluation.report.plotting import INK, bare, drawing, save, small_print
from micromimic.evaluation.report.reliability import coverage_figure, reliability_figure
from micromimic.face.landmarks import LandmarkBackend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ClipSteps",
    "cells_figure",
    "confusion_figure",
    "coverage_figure",
    "curve_figure",
    "figures_of_clip",
    "reliability_figure",
    "steps_figure",
    "steps_of_clip",
]


def confusion_figure(
    rows: Predictions,
    out: Path,
    *,
    title: str | None = None,
    beside_article: bool | None = None,
) -> tuple[Path, Path]:
    """Figure 5: counts, and recalls on the diagonal.

    Args:
        rows, title: of one run, each clip once; as the model's name.
        out: path without an ending.
        beside_article: whether to print the article's recalls below; None does where the clips are
            those of the full composite by number (pass False for synthetic ones).

    Raises:
        InputError: if there are no rows, or a clip comes twice.
        MissingExtraError, OutputError: as `plotting.drawing` and `plotting.save`.
    """
    clips = rows.one_run()
    truth, guess, labels = clips.truth, clips.guess, clips.labels
    table = confusion(truth, guess, labels)
    people = len(set(clips.who))
    lines = [
        f"{len(clips)} clips of {people} {'subject' if people == 1 else 'subjects'}, pooled over "
        f"folds: UF1 {uf1(truth, guess, labels):.3f}, UAR {uar(truth, guess, labels):.3f}.",
        "Shares are of each row; on the diagonal they are recalls.",
    ]
    if is_full_composite(clips) if beside_article is None else beside_article:
        told = ", ".join(f"{v:.3f} {n}" for v, n in zip(RECALLS, labels, strict=True))
        lines.append(f"The article's recalls: {told}.")
    more = 0.9 * max(0, len(labels) - 3)  # a cell is as large with seven classes as with three
    with drawing(4.6 + more, 4.5 + more) as figure:
        axes = figure.add_subplot()
        _draw_matrix(axes, table, labels)
        if title:
            axes.set_title(title, pad=10)
        small_print(figure, *lines)
        return save(figure, out)


def _draw_matrix(axes: Axes, table: NDArray[np.int64], labels: LabelSet) -> None:
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for i, j in np.ndindex(*table.shape):
        colour = "white" if shares[i, j] > 0.55 else INK
        text: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
        weight = "bold" if i == j else "normal"
        axes.text(j, i - 0.06, str(table[i, j]), fontsize=15, fontweight=weight, **text)
        if table[i].sum():
            axes.text(j, i + 0.24, f"{shares[i, j]:.3f}", **text)
    bare(axes)
    edges = np.arange(len(labels) + 1) - 0.5
    axes.hlines(edges, edges[0], edges[-1], color="white", linewidth=2)
    axes.vlines(edges, edges[0], edges[-1], color="white", linewidth=2)
    axes.set_xticks(range(len(labels)), labels.names)
    names = [f"{name}\nn = {n}" for name, n in zip(labels, table.sum(1), strict=True)]
    axes.set_yticks(range(len(labels)), names)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def curve_figure(
    curve: NDArray[np.floating],
    annotated_apex: int | None,
    spotted_apex: int | None,
    fps: float | None,
    out: Path,
    *,
    title: str | None = None,
) -> tuple[Path, Path]:
    """Figure 3: M(t) from onset to offset, with the annotated apex as a red line.

    Args:
        curve: (T,) M(t); its first frame is the onset, its last the offset.
        annotated_apex, spotted_apex: frames of the curve; None leaves the line out.
        fps: None counts frames.
        out: path without an ending.

    Raises:
        ValueError: if the curve is not (T,) finite numbers, or an apex lies outside it.
        MissingExtraError, OutputError: as `plotting.drawing` and `plotting.save`.
    """
    with drawing(6.4, 3.2) as figure:
        axes = figure.add_subplot()
        draw_curve(axes, curve, annotated_apex, spotted_apex, fps)
        axes.set_ylabel("M(t), mean over the cells")
        axes.set_xlabel("frames from onset" if fps is None else "time from onset (s)")
        if fps is not None:
            both_ways = partial(np.multiply, fps), partial(np.multiply, 1 / fps)
            top = axes.secondary_xaxis("top", functions=both_ways)
            top.set_xlabel("frames from onset")
        if title:
            axes.set_title(title, pad=10)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        return save(figure, out)


def figures_of_clip(
    frames: Sequence[NDArray[np.uint8]],
    onset: int,
    apex: int | None,
    offset: int,
    fps: float,
    out_dir: Path,
    *,
    landmarks: NDArray[np.floating] | None = None,
    backend: LandmarkBackend | None = None,
) -> tuple[Path, ...]:
    """Figures 2, 3 and 4 of one clip: ``cells``, ``curve`` and ``steps`` in a folder.

    Args:
        frames: pictures of one size, (H, W) grey or (H, W, 3) RGB, uint8.
        onset, apex, offset: positions in ``frames``; apex None takes the spotted one.
        landmarks: (68, 2) pixels in the onset frame; None finds them by ``backend``, dlib's.

    Returns:
        The files, PNG and SVG of each.

    Raises:
        InputError: fewer than three frames from onset to offset, frames of different sizes, or a
            face that cannot be followed.
        NoFaceError: no face in the onset frame.
        ValueError: onset, apex and offset out of order.
        MissingExtraError, OutputError: as `plotting.drawing` and `plotting.save`.
    """
    steps = steps_of_clip(frames, onset, apex, offset, fps, landmarks=landmarks, backend=backend)
    shown = onset + steps.apex
    return (
        *cells_figure(frames, onset, shown, offset, steps.landmarks, out_dir / "cells"),
        *curve_figure(steps.curve, steps.annotated, steps.spotted, fps, out_dir / "curve"),
        *steps_figure(steps, out_dir / "steps"),
    )
