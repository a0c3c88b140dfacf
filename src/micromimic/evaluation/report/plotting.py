"""How figures look, and how they are written: one style, PNG and SVG, whole or not at all.

matplotlib belongs to the ``train`` extra and is imported when a figure is drawn. pyplot is not
used: a figure is an object, and the settings of the caller's own plots come back unchanged.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from micromimic.core.errors import MissingExtraError
from micromimic.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Paths = tuple[Path, Path]
"""A PNG and an SVG."""

# Okabe and Ito's palette: told apart with any colour vision.
BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
ORANGE: Final = "#E69F00"
RED: Final = "#C8102E"  # the article's red line; dark enough beside the blue, and drawn thicker
INK: Final = "#1A1F2B"
GREY: Final = "#6B7280"

FACE_NOTE: Final = "Contains a face; check your licence before publishing."

_STYLE: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "svg.hashsalt": "micromimic",  # the same figure gives the same file
    "svg.fonttype": "path",
}
_DPI: Final = 220


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure in our style, of so many inches; save it before the context ends."""
    try:
        from matplotlib import style  # noqa: PLC0415 - belongs to an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            "expected matplotlib for figures, got none; pip install 'micromimic[train]'"
        ) from error
    with style.context(["default", _STYLE]):
        yield Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, out: Path) -> Paths:
    """Write a figure as ``out.png`` and ``out.svg``; dots in the name are kept."""
    paths = (out.with_name(f"{out.name}.png"), out.with_name(f"{out.name}.svg"))
    contents = []
    for path in paths:
        kind = path.suffix[1:]
        content = io.BytesIO()
        # no date inside: a file changes only if the figure does
        metadata = {"Date": None} if kind == "svg" else {"Software": "micromimic"}
        figure.savefig(content, format=kind, dpi=_DPI, metadata=metadata)
        contents.append(content.getvalue())
    for path, data in zip(paths, contents, strict=True):
        write_whole(path, data)
    return paths


def bare(axes: Axes) -> None:
    """Take ticks and frame away: for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def small_print(figure: Figure, *lines: str) -> None:
    """Lines in small grey type below everything else."""
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7.0, color=GREY)
