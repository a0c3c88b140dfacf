"""What the figures are put together from: pictures, boxes, the curve, the flow map."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.types import FlowMap
from micromimic.evaluation.report.plotting import BLUE, GREY, INK, ORANGE, RED, bare

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def show(axes: Axes, picture: NDArray[np.uint8]) -> None:
    """A picture, (H, W) grey or (H, W, 3) RGB, without ticks."""
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    bare(axes)


def draw_boxes(axes: Axes, boxes: NDArray[np.floating], *, thin: bool = False) -> None:
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


def draw_curve(
    axes: Axes,
    curve: NDArray[np.floating],
    annotated: int | None,
    spotted: int | None,
    fps: float | None,
) -> None:
    """M(t), the annotated apex as a red line, the spotted one dashed with a dot on the curve.

    Raises:
        ValueError: if the curve is not (T,) finite numbers, or an apex lies outside it.
    """
    values = np.asarray(curve, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"curve must be (T,) finite numbers, T from 2, got {values.shape}")
    for apex in (annotated, spotted):
        if apex is not None and not 0 <= apex < len(values):
            raise ValueError(f"expected an apex from 0 to {len(values) - 1}, got {apex}")
    unit = 1.0 if fps is None else 1.0 / fps
    axes.plot(np.arange(len(values)) * unit, values, color=BLUE, linewidth=1.6, label="M(t)")
    if annotated is not None:
        axes.axvline(annotated * unit, color=RED, linewidth=1.8, label="annotated apex")
    if spotted is not None:
        axes.axvline(spotted * unit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)),
                     label="spotted apex")  # fmt: skip
        axes.plot(spotted * unit, values[spotted], "o", color=ORANGE, markeredgecolor=INK,
                  markersize=5)  # fmt: skip
    axes.margins(x=0.012)  # an apex at the onset is not to hide behind the axis


def draw_flow(axes: Axes, flow: FlowMap, landmarks: NDArray[np.floating]) -> None:
    """A flow map: size as shade, direction as arrows, the face as faint dots.

    Args:
        axes: where to draw.
        flow: canonical units.
        landmarks: (68, 2) canonical units.
    """
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


def join(figure: Figure, panels: Sequence[Axes]) -> None:
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
