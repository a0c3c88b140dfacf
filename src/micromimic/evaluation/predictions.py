"""One row a clip: what a model said of it while its subject was held out.

Every score is derived from these rows, and runs are joined by (dataset, subject, clip), never by
position.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from micromimic.datasets.cells import row_text, text_cells
from micromimic.datasets.columns import check_columns, check_commas
from micromimic.errors import InputError
from micromimic.files import write_whole
from micromimic.labels import EMOTIONS, Emotion
from micromimic.models.learner import Samples

COLUMNS: Final = (
    "dataset",
    "subject",
    "clip",
    "fold",
    "seed",
    "y_true",
    "y_pred",
    *(f"p_{name}" for name in EMOTIONS),
)
"""Of ``predictions.csv``, in their order."""

ClipKey = tuple[str, str, str]
"""Dataset, subject and clip, as in the manifest."""

_TOLERANCE: Final = 1e-3  # of the sum of probabilities: float32 and rounded files are welcome


@dataclass(frozen=True)
class Prediction:
    """One clip, predicted once.

    Args:
        dataset, subject, clip: names as in the manifest, unqualified (006 stays 006).
        fold: number of the fold that tested it, from 0.
        seed: of the run.
        y_true, y_pred: classes.
        probabilities: order ``labels.EMOTIONS``, summing to 1.

    Raises:
        ValueError: if a name is empty or not one line, a number negative, a class unknown, or the
            probabilities are none.

    >>> Prediction("samm", "006", "006_1_2", 0, 0, "negative", "surprise", (0.2, 0.2, 0.6)).who
    'samm/006'
    >>> Prediction("samm", "006", "006_1_2", 0, 0, "negative", "fear", (0.2, 0.2, 0.6))
    Traceback (most recent call last):
    ...
    ValueError: y_pred must be among negative, positive, surprise, got 'fear'
    """

    dataset: str
    subject: str
    clip: str
    fold: int
    seed: int
    y_true: Emotion
    y_pred: Emotion
    probabilities: tuple[float, float, float]

    def __post_init__(self) -> None:
        for what in ("dataset", "subject", "clip"):
            name = getattr(self, what)
            if not name or name != name.strip() or len(name.splitlines()) > 1:
                raise ValueError(
                    f"{what} must be one line of text without blanks around it, got {name!r}"
                )
        for what in ("fold", "seed"):
            if getattr(self, what) < 0:
                raise ValueError(f"{what} must be 0 or more, got {getattr(self, what)}")
        for what in ("y_true", "y_pred"):
            if getattr(self, what) not in EMOTIONS:
                raise ValueError(
                    f"{what} must be among {', '.join(EMOTIONS)}, got {getattr(self, what)!r}"
                )
        p = self.probabilities
        fit = len(p) == len(EMOTIONS) and all(0 <= value <= 1 for value in p)
        if not fit or not math.isclose(sum(p), 1.0, abs_tol=_TOLERANCE):
            raise ValueError(
                f"probabilities must be {len(EMOTIONS)} from 0 to 1 that sum to 1, got {p}"
            )

    @property
    def who(self) -> str:
        """The subject, qualified: ``samm/006``."""
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> ClipKey:
        """What runs are joined by."""
        return self.dataset, self.subject, self.clip


def predictions_of(
    samples: Samples, probabilities: NDArray[np.floating], *, fold: int, seed: int
) -> list[Prediction]:
    """Rows of one fold: the likeliest class of each sample.

    Args:
        samples: the fold's test part.
        probabilities: (n, 3), order ``labels.EMOTIONS``.
        fold, seed: numbers to write down.

    Raises:
        ValueError: if the shape does not fit, or a row is no distribution.
    """
    if probabilities.shape != (len(samples), len(EMOTIONS)):
        raise ValueError(
            f"probabilities must be ({len(samples)}, {len(EMOTIONS)}), got {probabilities.shape}"
        )
    rows = []
    for k, chances in enumerate(np.asarray(probabilities, np.float64).tolist()):
        dataset, who = str(samples.datasets[k]), str(samples.subjects[k])
        rows.append(
            Prediction(
                dataset=dataset,
                subject=who.removeprefix(f"{dataset}/"),
                clip=str(samples.clips[k]).removeprefix(f"{who}/"),
                fold=fold,
                seed=seed,
                y_true=EMOTIONS[samples.targets[k]],
                y_pred=EMOTIONS[int(np.argmax(chances))],
                probabilities=cast("tuple[float, float, float]", tuple(chances)),
            )
        )
    return rows


def by_clip(rows: Iterable[Prediction]) -> dict[ClipKey, Prediction]:
    """One run's rows by clip, sorted, so that no result depends on the order of a file.

    Raises:
        InputError: if there are none, or a clip comes twice (as when two seeds are in one file).
    """
    ordered = sorted(rows, key=lambda row: row.key)
    if not ordered:
        raise InputError("expected predictions, got none; run an evaluation first")
    for before, after in itertools.pairwise(ordered):
        if before.key == after.key:
            raise InputError(
                f"expected each clip once in a run, got {'/'.join(after.key)} with seed "
                f"{before.seed} and seed {after.seed}; take one run at a time"
            )
    return {row.key: row for row in ordered}


def write_predictions(path: Path, rows: Iterable[Prediction]) -> None:
    """Write ``predictions.csv``, whole or not at all; reading gives the same rows back.

    Raises:
        ValueError: if there are no rows.
        OutputError: if it cannot be written.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    chosen = list(rows)
    if not chosen:
        raise ValueError("expected predictions to write, got none")
    for row in chosen:
        names = (row.dataset, row.subject, row.clip, row.fold, row.seed, row.y_true, row.y_pred)
        # repr is the shortest text that gives the same float back
        writer.writerow([*text_cells(names), *(repr(float(p)) for p in row.probabilities)])
    write_whole(path, out.getvalue())


def read_predictions(path: Path) -> list[Prediction]:
    """Read ``predictions.csv``; further columns are ignored, several seeds may share a file.

    Raises:
        InputError: if the file is missing, no such table, or a row is wrong or there twice.
    """
    if not path.is_file():
        raise InputError(f"expected predictions at {path}, found no file; check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
        check_commas(text.splitlines()[:1], COLUMNS, path)
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        check_columns(reader.fieldnames, COLUMNS, path, "pass a predictions.csv")
        rows = [_row(row_text(fields), f"line {reader.line_num} of {path}") for fields in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"expected predictions as a CSV table in UTF-8, got {error}; check {path}"
        ) from None
    if not rows:
        raise InputError(f"expected predictions in {path}, got only a header; evaluate again")
    seen: set[tuple[ClipKey, int]] = set()
    for row in rows:
        if (row.key, row.seed) in seen:
            raise InputError(
                f"expected each clip once a seed, got {'/'.join(row.key)} twice with seed "
                f"{row.seed} in {path}; remove one row"
            )
        seen.add((row.key, row.seed))
    return rows


def _row(fields: Mapping[str, str | None], where: str) -> Prediction:
    def text(name: str) -> str:
        return fields.get(name) or ""

    def whole(name: str) -> int:
        if not text(name).isdecimal():
            raise InputError(
                f"expected {name} to be a whole number from 0, got {text(name)!r} in {where}; "
                "correct it"
            )
        return int(text(name))

    def chance(name: str) -> float:
        try:
            return float(text(name))
        except ValueError:
            raise InputError(
                f"expected {name} to be a number, got {text(name)!r} in {where}; correct it"
            ) from None

    negative, positive, surprise = (chance(f"p_{name}") for name in EMOTIONS)
    try:
        return Prediction(
            text("dataset"),
            text("subject"),
            text("clip"),
            whole("fold"),
            whole("seed"),
            text("y_true"),
            text("y_pred"),
            (negative, positive, surprise),
        )
    except ValueError as error:
        raise InputError(f"{error} in {where}; correct it") from None
