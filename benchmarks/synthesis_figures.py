"""Draw the figures of docs/synthesis.md: fields, class means, nuisances, curves, measured maps.

    python benchmarks/synthesis_figures.py [--out docs/figures] [--only NAME ...] [--manifest FILE]

Everything drawn is synthetic. Of real maps only numbers are printed, and only of the development
half: how well each synthetic class mean agrees with the real class's. Without real maps that part
is left out, with a word. Needs the ``train`` extra (matplotlib).
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablations import OFF, development_half
from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, MOUTH
from micromimic.core.errors import MicromimicError
from micromimic.core.files import write_whole
from micromimic.core.labels import THREE
from micromimic.evaluation.report.plotting import BLUE, GREY, INK, ORANGE, SKY, bare, drawing
from micromimic.face.units import UNIT_NAMES, unit_fields
from micromimic.models.preprocess import center
from micromimic.synthesis.anny_units import load_anny_units
from micromimic.synthesis.databases.designs import DESIGNS
from micromimic.synthesis.databases.plans import plan_databases
from micromimic.synthesis.maps import MapConfig, draw_maps
from micromimic.synthesis.measured import MeasuredConfig, measured_maps
from published_maps import default_manifest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
Array = NDArray[np.float32]

TITLES = {
    "1": "inner brow raiser", "2": "outer brow raiser", "4": "brow lowerer",
    "5": "upper lid raiser", "6": "cheek raiser", "7": "lid tightener", "9": "nose wrinkler",
    "10": "upper lip raiser", "12": "lip corner puller", "14": "dimpler",
    "15": "lip corner depressor", "16": "lower lip depressor", "17": "chin raiser",
    "18": "lip pucker", "20": "lip stretcher", "23": "lip tightener", "24": "lip pressor",
    "25": "lips part", "26": "jaw drop", "28": "lip suck", "45": "eye closure (43)",
}  # fmt: skip
_SMILE = 15  # number of the map that shows the nuisances
OUTLINE_X, OUTLINE_Y = MOUTH[0], 12.0


def face_lines(axes: Axes, colour: str = GREY) -> None:
    """A face's outline, eyes, brows, nose and mouth in canonical units, so that places are seen."""
    angle = np.linspace(0.0, 2 * np.pi, 100)
    lines: list[tuple[Any, Any]] = [
        (OUTLINE_X + 13.2 * np.cos(angle), OUTLINE_Y + 17.5 * np.sin(angle))
    ]
    arc = np.linspace(-1.0, 1.0, 30)
    for x, y in (EYE_RIGHT, EYE_LEFT):
        lines += [(x + 2.7 * arc, y - 1.0 * (1 - arc**2)), (x + 2.7 * arc, y + 0.7 * (1 - arc**2))]
        lines.append((x + 3.6 * arc, y - 3.8 - 1.1 * (1 - arc**2)))
    lines.append((MOUTH[0] + 4.9 * arc, MOUTH[1] + 0.3 * (1 - arc**2)))
    lines.append((MOUTH[0] + 4.9 * arc, MOUTH[1] - 1.3 * (1 - arc**2)))
    lines.append((MOUTH[0] + 4.9 * arc, MOUTH[1] + 1.7 * (1 - arc**2)))
    lines.append((MOUTH[0] + 2.2 * arc, 14.4 + 0.9 * (1 - arc**2)))
    for x, y in lines:
        axes.plot(x, y, color=colour, linewidth=0.6, zorder=1)


def show_field(
    axes: Axes, uv: Array, spacing: float, margin: float, *, length: float = 2.6
) -> None:
    """Arrows of a (2, H, W) field whose largest is 1, and its size in colour."""
    height, width = uv.shape[1:]
    size = np.hypot(uv[0], uv[1])
    extent = (-margin, width * spacing - margin, height * spacing - margin, -margin)
    axes.imshow(size, extent=extent, cmap="Blues", vmin=0.0, vmax=1.3, interpolation="bilinear")
    face_lines(axes)
    step = max(1, round(1.6 / spacing))
    at = np.arange(step // 2, height, step)
    x, y = np.meshgrid((at + 0.5) * spacing - margin, (at + 0.5) * spacing - margin)
    u, v = uv[0][np.ix_(at, at)], uv[1][np.ix_(at, at)]
    strong = np.hypot(u, v) > 0.12
    axes.quiver(
        x[strong], y[strong], u[strong], v[strong], angles="xy", scale_units="xy",
        scale=1 / length, width=0.011, color=INK, zorder=3,
    )  # fmt: skip
    axes.set_xlim(-2.5, 29.5)
    axes.set_ylim(31.0, -6.5)
    axes.set_aspect("equal")
    bare(axes)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of 64 colours: a tenth of the size, and no eye tells it."""
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib

    content, small = io.BytesIO(), io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    picture = Image.open(content).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    write_whole(path.with_suffix(".png"), small.getvalue())


def both_sides(fields: Array, unit: str) -> Array:
    """(2, 84, 84) of a unit, both sides of a paired one, its peak 1."""
    names = [unit] if unit in UNIT_NAMES else [f"{unit}L", f"{unit}R"]
    field = np.sum([fields[UNIT_NAMES.index(name)] for name in names], axis=0)
    return np.asarray(field / np.hypot(field[0], field[1])[8:78, 8:78].max(), np.float32)


def draw_units(out: Path) -> None:
    """The action units' fields, the mean own face above, the mean of the packed ones below."""
    own, mesh = unit_fields(), load_anny_units()[0].mean(0)
    agreement = {}
    columns = 7
    units = list(TITLES)
    with drawing(11.0, 12.6) as figure:
        axes = figure.subplots(2 * (len(units) // columns), columns)
        for place, unit in enumerate(units):
            row, column = 2 * (place // columns), place % columns
            fields = [both_sides(source, unit) for source in (own, mesh)]
            inside = [field[:, 14:70, 14:70].ravel() for field in fields]
            agreement[unit] = float(np.corrcoef(inside[0], inside[1])[0, 1])
            for offset, field in enumerate(fields):
                show_field(axes[row + offset, column], field, 0.5, 7.0)
            axes[row, column].set_title(f"AU {unit}\n{TITLES[unit]}", fontsize=8)
            axes[row + 1, column].set_xlabel(f"agreement {agreement[unit]:.2f}", fontsize=7)
            if column == 0:
                axes[row, 0].set_ylabel("own", fontsize=8)
                axes[row + 1, 0].set_ylabel("mesh", fontsize=8)
        save(figure, out / "synthesis-units")
    print("own and mesh fields, correlation inside the face:")
    print(", ".join(f"{unit} {value:.2f}" for unit, value in agreement.items()))


def class_means(maps: Array, labels: NDArray[np.str_]) -> Array:
    """(3, 2, 28, 28) mean centred u, v of each class."""
    seen = center(maps)[:, :2]
    return np.stack([seen[labels == name].mean(0) for name in THREE.names])


def draw_means(out: Path) -> None:
    """The mean map of each class: drawn from own faces, mesh faces, and measured."""
    labels: list[str] = [THREE.names[k % 3] for k in range(1800)]
    few = labels[:180]
    names = np.asarray(labels)
    sources: list[tuple[str, Array]] = [
        ("own", class_means(draw_maps(labels, 11, MapConfig(faces="own")).maps, names)),
        ("mesh", class_means(draw_maps(labels, 11, MapConfig(faces="mesh")).maps, names)),
        ("measured", class_means(measured_maps(few, 11, MeasuredConfig()).maps, names[:180])),
    ]
    with drawing(7.5, 8.2) as figure:
        axes = figure.subplots(len(sources), len(THREE))
        for row, (source, means) in enumerate(sources):
            for column, label in enumerate(THREE.names):
                mean = means[column] / np.hypot(means[column, 0], means[column, 1]).max()
                show_field(axes[row, column], mean, 1.0, 0.0, length=2.2)
                if row == 0:
                    axes[row, column].set_title(label)
            axes[row, 0].set_ylabel(source)
        save(figure, out / "synthesis-means")


def draw_nuisances(out: Path) -> None:
    """One smile, clean, then with one nuisance at a time, then with all of them."""
    everything = {name: value for part in OFF.values() for name, value in part.items()}
    clean = replace(MapConfig(faces="own", peak_units=(1.0, 1.0)), **everything)
    usual = MapConfig()
    shown: dict[str, dict[str, Any]] = {"clean": {}}
    titles = {
        "crop shift": "crop shifted", "crop scale": "crop scaled", "crop rotation": "crop turned",
        "crop warp": "crop bent", "head motion": "head motion", "translation": "translation",
        "noise": "noise", "gain patches": "gain", "boundary": "background", "blur": "blur",
        "blink": "lids differ", "strays": "stray units", "asymmetry": "asymmetry",
    }  # fmt: skip
    strong: dict[str, Any] = {
        "noise": (0.35, 0.35), "blur": (1.1,), "boundary_probability": 1.0,
        "boundary_motion": 0.4, "blink_probability": 1.0, "blink_strength": 0.9,
        "stray_probability": 1.0, "stray_strength": 0.6, "asymmetry": 0.4, "rigid_level": 0.3,
        "gain_patchiness": 0.4, "crop_shift": (1.6, 2.0), "crop_warp": 1.0,
    }  # fmt: skip
    for name, title in titles.items():
        change = {key: strong.get(key, getattr(usual, key)) for key in OFF[name]}
        if name == "strays":
            change["stray_strength"] = strong["stray_strength"]
        if name == "blink":
            change["blink_strength"] = strong["blink_strength"]
        if name == "boundary":
            change["boundary_motion"] = strong["boundary_motion"]
        shown[title] = change
    shown["all, as drawn"] = {key: getattr(usual, key) for key in everything}
    columns = 5
    with drawing(10.0, 7.6) as figure:
        axes = figure.subplots(len(shown) // columns, columns).ravel()
        for panel, (title, change) in zip(axes, shown.items(), strict=True):
            config = replace(clean, identities=1, **change)
            uv = draw_maps(["positive"], 3, config, first=_SMILE).maps[0, :2]
            show_field(panel, uv / np.hypot(uv[0], uv[1]).max(), 1.0, 0.0, length=2.2)
            panel.set_title(title)
        save(figure, out / "synthesis-nuisances")


def draw_curves(out: Path) -> None:
    """Rise and fall of planted micro-expressions: some of each database's durations."""
    clips = plan_databases(12, seed=1)
    time = np.linspace(-0.05, 0.6, 300)
    with drawing(9.0, 2.6) as figure:
        axes = figure.subplots(1, len(DESIGNS), sharey=True)
        for panel, design, colour in zip(axes, DESIGNS, (BLUE, ORANGE, SKY), strict=True):
            chosen = [clip for clip in clips if clip.dataset == design.name][:24]
            for clip in chosen:
                rise = (clip.apex - clip.onset) / clip.fps
                fall = (clip.offset - clip.apex) / clip.fps
                up = 0.5 - 0.5 * np.cos(np.pi * np.clip(time / rise, 0, 1))
                down = 0.5 + 0.5 * np.cos(np.pi * np.clip((time - rise) / fall, 0, 1))
                panel.plot(time, up * down, color=colour, linewidth=0.8, alpha=0.6)
            panel.set_title(design.name)
            panel.set_xlabel("seconds after onset")
        axes[0].set_ylabel("share of the peak")
        save(figure, out / "synthesis-curves")


def tell_agreement(manifest: Path) -> None:
    """How well synthetic class means agree with those of the real development half: numbers."""
    real = development_half(manifest)
    wanted = class_means(real.maps, real.labels)
    labels: list[str] = [THREE.names[k % 3] for k in range(1800)]
    names = np.asarray(labels)
    print(f"class means beside those of {len(real.labels)} real maps (development half), r:")
    drawn: list[tuple[str, Array, NDArray[np.str_]]] = [
        ("own", draw_maps(labels, 11, MapConfig(faces="own")).maps, names),
        ("mesh", draw_maps(labels, 11, MapConfig(faces="mesh")).maps, names),
        ("measured", measured_maps(labels[:180], 11).maps, names[:180]),
    ]
    for source, maps, told in drawn:
        means = class_means(maps, told)
        table = np.array([[np.corrcoef(a.ravel(), b.ravel())[0, 1] for b in wanted] for a in means])
        for label, row in zip(THREE.names, table, strict=True):
            cells = ", ".join(f"{name} {r:+.2f}" for name, r in zip(THREE.names, row, strict=True))
            print(f"  {source:9s} {label:9s} with real {cells}")


DRAW: dict[str, Callable[[Path], None]] = {
    "units": draw_units,
    "means": draw_means,
    "nuisances": draw_nuisances,
    "curves": draw_curves,
}


def main() -> int:
    """Draw what was asked for; exit code 1 if something is missing."""
    parser = argparse.ArgumentParser(description="The figures of docs/synthesis.md.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures")
    parser.add_argument("--only", nargs="+", choices=(*DRAW, "agreement"), default=None)
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    options = parser.parse_args()
    chosen = options.only or [*DRAW, "agreement"]
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name in chosen:
            if name in DRAW:
                DRAW[name](options.out)
        if "agreement" in chosen and options.manifest.is_file():
            tell_agreement(options.manifest)
        elif "agreement" in chosen:
            print(f"no real maps at {options.manifest}: nothing to compare the means with")
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
