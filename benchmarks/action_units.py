"""How well action units are told: on synthetic maps, in clips from end to end, beside real codes.

    python benchmarks/action_units.py [--maps N] [--measured N]
    python benchmarks/action_units.py --clips DIR
    python benchmarks/action_units.py --annotations DIR [--half development|other|all]

*Maps*: the shipped model on new synthetic maps, and with ``--measured`` on flow that our own
estimator measured on rendered pairs of frames; its card holds the figures across face sources.
*Clips*: analyses the videos of a ``truth.json`` (as ``micromimic synth clips`` writes it) and
compares the units of each event that was found with the planted ones. *Annotations*: agreement with
the official tables of CASME II and SAMM on the flow maps of a manifest, a description that decides
nothing. The control in every table tells the units that are commonest in the class which
flow-capsnet names. Needs the ``train`` extra.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.core.errors import MicromimicError
from micromimic.core.labels import THREE
from micromimic.core.types import UnitEvidence
from micromimic.datasets.annotations import find_table
from micromimic.datasets.databases import database
from micromimic.evaluation.development import development_rows
from micromimic.evaluation.spotting import match_events
from micromimic.models.action_units import SIDES, load_unit_model
from micromimic.models.onnx import load_model
from micromimic.synthesis.maps import MapConfig
from micromimic.synthesis.measured import measured_maps
from micromimic.synthesis.recipes import COMBINATIONS
from micromimic.synthesis.truth import read_truth
from published_maps import default_manifest  # puts tools/ on the path
from weights.real_maps import read_flow_maps
from weights.units_maps import SIDED, TOLD, UnitTruth, truth_of, unit_maps
from weights.units_score import UnitFigures, score_told

SEED = 10_000
"""Faces and maps from here on are used in no training."""
COMMON = 0.4
"""Share of a class's recipes from which on the control tells a unit."""

Told = Sequence[Sequence[UnitEvidence]]


def usual_units() -> dict[str, list[bool]]:
    """Which of ``TOLD`` act in at least `COMMON` of a class's recipes."""
    told: dict[str, list[bool]] = {}
    for label, options in COMBINATIONS.items():
        total = sum(option.share for option in options)
        told[label] = [
            sum(one.share for one in options if unit in one.units) >= COMMON * total
            for unit in TOLD
        ]
    return told


def as_arrays(found: Told) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(n, units) what was told, and (n, sided) on which side."""
    told = np.zeros((len(found), len(TOLD)), bool)
    sides = np.zeros((len(found), len(SIDED)), np.int64)
    for row, units in enumerate(found):
        for one in units:
            told[row, TOLD.index(one.unit)] = True
            if one.unit in SIDED:
                sides[row, SIDED.index(one.unit)] = SIDES.index(one.side)
    return told, sides


def head() -> None:
    """Print the head of the table of sets."""
    print(f"{'set':34s} {'n':>5s}  micro F1  macro F1  AUC    sides  balanced")


def line(name: str, n: int, figures: UnitFigures) -> None:
    """Print one set's figures."""
    print(
        f"{name:34s} {n:5d}  {figures.micro_f1:.3f}     {figures.macro_f1:.3f}     "
        f"{figures.macro_auc:.3f}  {figures.side_accuracy:.3f}  {figures.side_balanced:.3f}",
        flush=True,
    )


def each_unit(figures: UnitFigures) -> None:
    """Print a row a unit, Markdown."""
    print("\n| unit | n | precision | recall | F1 | AUC | sides |\n|---|---|---|---|---|---|---|")
    for row in figures.rows:
        sides = "" if np.isnan(row.sides) else f"{row.sides:.2f}"
        auc = "" if np.isnan(row.auc) else f"{row.auc:.3f}"
        print(
            f"| AU {row.unit} | {row.n} | {row.precision:.2f} | {row.recall:.2f} | {row.f1:.2f} "
            f"| {auc} | {sides} |"
        )
    print()


def compare(
    name: str, maps: NDArray[np.float32], truth: UnitTruth, rows: NDArray[np.bool_] | None = None
) -> UnitFigures:
    """Print the model's and the control's line for a set of maps."""
    model = load_unit_model()
    use = np.ones(len(maps), bool) if rows is None else rows
    maps, truth = maps[use], truth.take(use)
    told, sides = as_arrays(model.evidence(maps))
    figures = score_told(truth, told, sides, model.probabilities(maps))
    line(name, len(maps), figures)
    usual = usual_units()
    classes = load_model().probabilities(maps).argmax(1)
    common = np.array([usual[THREE.names[k]] for k in classes])
    line("  control: the class's usual units", len(maps), score_told(truth, common, 0 * sides))
    return figures


def maps_table(count: int, measured: int) -> None:
    """The shipped model on synthetic maps of seeds that no training draws."""
    head()
    for faces in ("own", "mesh"):
        for name, config in (
            ("plain", MapConfig(faces=faces)),
            ("harder", MapConfig(faces=faces).harder()),
        ):
            drawn = unit_maps(count, SEED, config)
            figures = compare(f"{faces} faces, {name}", drawn.maps, drawn.truth)
    if measured:
        labels = [THREE.names[k % len(THREE)] for k in range(measured)]
        rendered = measured_maps(labels, SEED)
        truth = truth_of(rendered.action_units, rendered.weights)
        figures = compare("measured on rendered pairs", rendered.maps, truth)
    print("\nby unit, the last set:")
    each_unit(figures)


def clips_table(folder: Path) -> None:
    """From video to units, for the videos of a ``truth.json``."""
    cv2.setNumThreads(1)
    found: list[tuple[UnitEvidence, ...]] = []
    names: list[tuple[str, ...]] = []
    planted = 0
    usual, common = usual_units(), []
    for clip in read_truth(folder / "truth.json"):
        analysis = analyze(folder / clip.path, config=AnalyzeConfig(evidence=False))
        planted += len(clip.events)
        score = match_events(
            clip.intervals(),
            [event.interval for event in analysis.micro],
            duration_s=clip.frames / clip.fps,
            fps=clip.fps,
        )
        for pair in score.pairs:
            event = analysis.micro[pair.found]
            names.append(clip.events[pair.truth].action_units)
            found.append(event.action_units)
            common.append(usual[event.label])
        print(f"{clip.path}: {len(score.pairs)} of {len(clip.events)} events found", flush=True)
    if not found:
        print("no planted event was found")
        return
    truth = truth_of(names)
    told, sides = as_arrays(found)
    figures = score_told(truth, told, sides)
    head()
    line(f"events found, of {planted} planted", len(found), figures)
    control = score_told(truth, np.array(common), np.zeros_like(sides))
    line("  control: the class's usual units", len(found), control)
    each_unit(figures)


def read_codes(text: str) -> tuple[str, ...] | None:
    """Units of a cell of an annotation table; None where it leaves a choice or is unknown.

    Intensities (``7B``), references (``ref(43)``) and trunk units (``T18``: top) lose their mark;
    asymmetric (``A12``) and bilateral (``B18``) count as both sides.

    >>> read_codes("A12B+ref(L10)+43E"), read_codes("L12 or L14"), read_codes("?")
    (('12', 'L10', '43'), None, None)
    """
    if not text or " or " in text or "/" in text or "?" in text:
        return None
    names = []
    for part in re.sub(r"ref\(([^)]*)\)", r"\1", text).split("+"):
        match = re.fullmatch(r"\s*([LRATB]?)(\d+)[A-E]?\s*", part)
        if match:
            side = match.group(1) if match.group(1) in ("L", "R") else ""
            names.append(side + match.group(2))
    return tuple(names) or None


def codes_of(folder: Path) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """Units by (dataset, subject, clip) of the official tables in a folder."""
    codes = {}
    for each in (database("casme2"), database("samm")):
        spec = each.table
        assert spec is not None, "both have a table"
        for row in find_table(spec, each, folder, sorted(folder.iterdir())).rows:
            number = int(re.sub(r"\D", "", row["subject"]))
            units = read_codes(row["action_units"])
            if units is not None:
                codes[each.name, each.subject_name(number), row["clip"]] = units
    return codes


def real_table(manifest: Path, annotations: Path, half: str) -> None:
    """Agreement with human coders on the flow maps of a manifest."""
    data, codes = read_flow_maps(manifest), codes_of(annotations)
    keys = [
        (dataset, who.split("/", 1)[1], clip.rsplit("/", 1)[-1])
        for dataset, who, clip in zip(
            data.datasets.tolist(), data.subjects.tolist(), data.clips.tolist(), strict=True
        )
    ]
    development = development_rows(data.subjects)
    chosen = {"development": development, "other": ~development, "all": development | True}[half]
    coded = np.array([key in codes for key in keys])
    truth = truth_of([codes.get(key, ()) for key in keys])
    known = truth.presence.any(1) & coded & chosen
    print(f"coded clips of the {half} half whose code names a unit that is told: {known.sum()}")
    head()
    figures = compare("real maps", data.maps, truth, known)
    for name in ("casme2", "samm"):
        compare(name, data.maps, truth, known & (data.datasets == name))
    each_unit(figures)


def main() -> int:
    """Print the tables; exit code 1 if something cannot be read."""
    parser = argparse.ArgumentParser(description="How well action units are told.")
    parser.add_argument("--maps", type=int, default=3000, help="synthetic maps a set")
    parser.add_argument("--measured", type=int, default=0, help="rendered pairs of frames")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="a folder with truth.json")
    parser.add_argument("--annotations", type=Path, metavar="DIR", help="the official tables")
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--half", choices=("development", "other", "all"), default="development")
    options = parser.parse_args()
    try:
        if options.clips:
            clips_table(options.clips)
        elif options.annotations:
            real_table(options.manifest, options.annotations, options.half)
        else:
            maps_table(options.maps, options.measured)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
