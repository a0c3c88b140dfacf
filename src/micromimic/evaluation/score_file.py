"""Somebody's own predictions of a manifest's clips, scored as ours are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from micromimic.core.errors import InputError, LabelError
from micromimic.core.files import write_whole
from micromimic.core.labels import LabelSet
from micromimic.datasets.clip import is_synthetic
from micromimic.datasets.manifest import Clip, labels_of_manifest, read_manifest
from micromimic.datasets.table import read_table, records
from micromimic.evaluation.by_database import metrics_of
from micromimic.evaluation.predictions import KEY, ClipKey, Predictions, number_cells
from micromimic.evaluation.report.tables import RunSummary, tables_md

if TYPE_CHECKING:
    import pandas as pd

_MORE: Final = ("y_true", "y_pred")
_CHOSEN: Final = (
    "Somebody's own results: who was trained on, and whether anything was chosen on these clips, "
    "is not known."
)
_ODD: Final = (
    "In {} rows y_pred is not the class of the highest probability: the scores are of y_pred, "
    "calibration is of the probabilities."
)
_CERTAIN: Final = (
    "There are no probabilities: each answer counts as certain, and its calibration means nothing."
)


@dataclass(frozen=True)
class OwnPredictions:
    """Somebody's predictions as ours, their `metrics_of`, and what a reader has to know."""

    predictions: Predictions
    metrics: dict[str, Any]
    notes: tuple[str, ...]


def is_predictions(path: str | Path) -> bool:
    """Whether a table has a column ``clip``: found events have ``video``, or ``vid``."""
    return "clip" in read_table(path, (), known=("clip",), what="results")


def score_predictions(
    file: str | Path, manifest: str | Path, *, labels: str = "three", out: str | Path | None = None
) -> OwnPredictions:
    """Score somebody's own predictions."""
    chosen = labels_of_manifest(manifest, labels)
    clips = {
        (clip.dataset, clip.subject, clip.clip): clip
        for clip in read_manifest(manifest, chosen, check_files=False)
    }
    chances = [f"p_{name}" for name in chosen]
    table = read_table(file, KEY, known=(*_MORE, *chances), what="predictions")
    given = [name for name in table if str(name).startswith("p_")]
    if "y_pred" not in table and not given:
        raise InputError(
            f"expected a column y_pred or probabilities {', '.join(chances)} in {file}, got "
            "neither; add one"
        )
    if given and set(given) != set(chances):
        raise InputError(
            f"expected probabilities {', '.join(chances)} in {file}, got "
            f"{', '.join(map(str, given))}; correct them, or name their scheme with --labels"
        )
    rows = _clips_of(table, clips, chosen, file)
    guesses = _guesses(table, chosen, file) if "y_pred" in table else None
    if given:
        chance = np.transpose([number_cells(table, name, file) for name in chances])
    else:
        chance = np.eye(len(chosen))[chosen.encode(guesses or ())]
    predictions = Predictions.of(
        [clip.dataset for clip in rows],
        [clip.subject for clip in rows],
        [clip.clip for clip in rows],
        [clip.label for clip in rows],
        chance,
        labels=chosen,
    )
    notes = [_CHOSEN] if given else [_CHOSEN, _CERTAIN]
    if guesses is not None:
        odd = int((predictions["y_pred"] != guesses).sum())
        notes += [_ODD.format(odd)] * (odd > 0)
        predictions["y_pred"] = guesses
    synthetic = any(is_synthetic(clip) for clip in clips.values())
    if synthetic:
        notes.append("These clips are synthetic: nothing here is about real faces.")
    if len(rows) < len(clips):
        notes.append(
            f"{len(clips) - len(rows)} of {len(clips)} clips of the manifest are not predicted: "
            "the scores are of the others."
        )
    result = OwnPredictions(predictions, metrics_of(predictions), tuple(notes))
    if out is not None:
        _write(result, Path(out), Path(file).name, synthetic)
    return result


def _write(result: OwnPredictions, out: Path, name: str, synthetic: bool) -> None:
    result.predictions.write(out / "predictions.csv")
    write_whole(out / "metrics.json", json.dumps(result.metrics, indent=2) + "\n")
    summary = RunSummary(
        name=name,
        predictions=result.predictions,
        protocol="not known",
        init="not known",
        notes=result.notes,
        synthetic=synthetic,
    )
    write_whole(out / "tables.md", tables_md([summary]))


def _clips_of(
    table: pd.DataFrame, clips: dict[ClipKey, Clip], labels: LabelSet, file: object
) -> list[Clip]:
    """The manifest's clip of each row."""
    found: dict[ClipKey, str] = {}
    for where, row in records(table, file):
        key = row["dataset"], row["subject"], row["clip"]
        name = "/".join(key)
        if key not in clips:
            raise InputError(
                f"expected a clip of the manifest with a label, got {name} in {where}; correct its "
                "name, or remove the row"
            )
        if key in found:
            first = found[key].removesuffix(f" of {file}")
            raise InputError(
                f"expected each clip once, got {name} in {first} and in {where}; remove one, or "
                "score one seed at a time"
            )
        found[key] = where
        label = clips[key].label
        if row.get("y_true") and labels.label_of(row["y_true"]) != label:
            raise InputError(
                f"expected the manifest's class {label} of {name}, got {row['y_true']} in {where}; "
                "correct one of them"
            )
    if not found:
        raise InputError(f"expected predictions in {file}, got only a header; add some")
    return [clips[key] for key in found]


def _guesses(table: pd.DataFrame, labels: LabelSet, file: object) -> list[str]:
    """Each row's predicted class."""
    guesses = []
    for line, text in table["y_pred"].items():
        try:
            label = labels.label_of(text)
        except LabelError:
            label = None
        if label is None:
            raise LabelError(
                f"expected a label among {labels}, got {text!r} in line {line} of {file}; correct "
                "it, or name another scheme with --labels"
            )
        guesses.append(label)
    return guesses
