"""Tables of per-epoch predictions: one CSV row a clip and epoch, of one or several runs.

Columns ``dataset,subject,clip,fold,seed,epoch,y_true`` and ``y_pred`` (or the three probabilities,
whose largest counts). ``shuffle`` numbers the shuffles of training labels; 0, or no such column, is
the true labels. Classes are words, or 0, 1, 2 as the MEGC 2019 evaluation code writes them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from micromimic.datasets.cells import row_text, text_cells
from micromimic.datasets.columns import check_commas
from micromimic.errors import InputError
from micromimic.evaluation.epochs import EpochRun
from micromimic.evaluation.predictions import ClipKey
from micromimic.files import write_whole
from micromimic.labels import EMOTIONS

REQUIRED: Final = ("dataset", "subject", "clip", "fold", "seed", "epoch", "y_true")
SHUFFLE: Final = "shuffle"
GUESS: Final = "y_pred"
CHANCES: Final = tuple(f"p_{name}" for name in EMOTIONS)

# MEGC 2019 numbers its classes in the order of EMOTIONS.
_CLASSES: Final[Mapping[str, int]] = {
    **{name: number for number, name in enumerate(EMOTIONS)},
    **{str(number): number for number in range(len(EMOTIONS))},
}


def is_epochs_table(path: Path) -> bool:
    """Whether a file's first line names the columns of such a table, as far as its epochs go.

    Raises:
        InputError: if there is no file, or it is no text.
    """
    if not path.is_file():
        raise InputError(
            f"expected a table of epochs or a manifest at {path}, found no file; check the path"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"expected a CSV table in UTF-8, got {error}; check {path}") from None
    return "epoch" in header


def write_epochs(path: Path, runs: Sequence[EpochRun]) -> None:
    """Write runs as one table, whole or not at all; `read_epochs` gives their classes back.

    Raises:
        OutputError: if it cannot be written.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    known = all(run.probabilities is not None for run in runs)
    place = REQUIRED.index("epoch")
    head = [*REQUIRED[:place], SHUFFLE, *REQUIRED[place:], GUESS, *(CHANCES if known else ())]
    writer.writerow(head)
    for run in runs:
        for at, row in _cells(run):
            dataset, subject, clip = run.clips[row]
            names = (dataset, subject, clip, run.folds[row], run.seed, run.shuffle, run.epochs[at])
            classes = (EMOTIONS[run.truth[row]], EMOTIONS[run.guesses[at, row]])
            chances: tuple[str, ...] = ()
            if known and run.probabilities is not None:
                chances = tuple(f"{p:.6f}" for p in run.probabilities[at, row])
            writer.writerow([*text_cells(names), *classes, *chances])
    write_whole(path, out.getvalue())


def read_epochs(path: Path) -> tuple[EpochRun, ...]:
    """Read such a table; further columns are ignored.

    Returns:
        One run a seed and shuffle, in their order; those on true labels first.

    Raises:
        InputError: if the file is missing or no such table, a row is wrong or there twice, a clip
            changes its true class or its fold, or a clip lacks an epoch that its fold has.
    """
    if not path.is_file():
        raise InputError(f"expected a table of epochs at {path}, found no file; check the path")
    runs: dict[tuple[int, int], _Gathered] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
        check_commas(text.splitlines()[:1], REQUIRED, path)
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        _check_header(reader.fieldnames or (), path)
        for fields in reader:
            row = _Row(row_text(fields), f"line {reader.line_num} of {path}")
            key = (row.whole(SHUFFLE) if SHUFFLE in fields else 0, row.whole("seed"))
            runs.setdefault(key, _Gathered(*key)).take(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"expected a table of epochs as CSV in UTF-8, got {error}; check {path}"
        ) from None
    if not runs:
        raise InputError(f"expected predictions in {path}, got only a header; log some epochs")
    return tuple(runs[key].run(path) for key in sorted(runs))


def _cells(run: EpochRun) -> Iterator[tuple[int, int]]:
    """(epoch's place, clip's row) of what was really said, not kept from an earlier epoch."""
    for at in range(len(run.epochs)):
        for row in np.flatnonzero(run.ended > at).tolist():
            yield at, row


def _check_header(header: Sequence[str], path: Path) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if GUESS not in header and not set(CHANCES) <= set(header):
        missing.append(f"{GUESS} (or {', '.join(CHANCES)})")
    if missing:
        raise InputError(
            f"expected columns {','.join(REQUIRED)},{GUESS} in {path}, got none named "
            f"{', '.join(missing)}; write one row a clip and epoch"
        )


class _Row:
    """One line, read with care."""

    def __init__(self, fields: Mapping[str, str | None], where: str) -> None:
        self._fields, self.where = fields, where

    def text(self, name: str) -> str:
        """One line of text."""
        value = (self._fields.get(name) or "").strip()
        if not value or len(value.splitlines()) > 1:
            raise InputError(f"expected a {name}, got {value!r} in {self.where}; fill it in")
        return value

    def whole(self, name: str) -> int:
        """A whole number from 0."""
        value = self.text(name)
        if not value.isdecimal():
            raise InputError(
                f"expected {name} to be a whole number from 0, got {value!r} in {self.where}; "
                "correct it"
            )
        return int(value)

    def known(self, name: str) -> int:
        """A class."""
        value = self.text(name)
        if value not in _CLASSES:
            raise InputError(
                f"expected {name} to be {', '.join(EMOTIONS)} (or 0, 1, 2 for them), got {value!r} "
                f"in {self.where}; correct it"
            )
        return _CLASSES[value]

    def guess(self) -> int:
        """The predicted class."""
        if GUESS in self._fields:
            return self.known(GUESS)
        try:
            chances = [float(self.text(name)) for name in CHANCES]
        except ValueError:
            chances = [float("nan")]
        if not np.isfinite(chances).all():
            raise InputError(
                f"expected {', '.join(CHANCES)} to be numbers, got others in {self.where}; "
                "correct them"
            )
        return int(np.argmax(chances))

    @property
    def clip(self) -> ClipKey:
        """What clips are joined by."""
        return self.text("dataset"), self.text("subject"), self.text("clip")


@dataclass
class _Said:
    """What a run said of one clip."""

    truth: int
    fold: int
    epochs: dict[int, int] = field(default_factory=dict)


@dataclass
class _Gathered:
    """A run, row by row."""

    shuffle: int
    seed: int
    clips: dict[ClipKey, _Said] = field(default_factory=dict)

    def take(self, row: _Row) -> None:
        """Add one line."""
        clip, truth, fold, epoch = (
            row.clip,
            row.known("y_true"),
            row.whole("fold"),
            row.whole("epoch"),
        )
        said = self.clips.setdefault(clip, _Said(truth, fold))
        name = "/".join(clip)
        if (said.truth, said.fold) != (truth, fold):
            what = "true class" if said.truth != truth else "fold"
            raise InputError(
                f"expected {name} to keep its {what}, got another in {row.where}; correct one"
            )
        if epoch in said.epochs:
            raise InputError(
                f"expected one row a clip and epoch, got {name} twice in epoch {epoch} of seed "
                f"{self.seed} in {row.where}; remove one, or number seeds and shuffles apart"
            )
        said.epochs[epoch] = row.guess()

    def run(self, path: Path) -> EpochRun:
        """The run, once all lines are there."""
        epochs = sorted({epoch for said in self.clips.values() for epoch in said.epochs})
        of_fold: dict[int, list[int]] = {}
        for clip, said in self.clips.items():
            own = sorted(said.epochs)
            if own != epochs[: len(own)] or own != of_fold.setdefault(said.fold, own):
                raise InputError(
                    f"expected each clip in every epoch of its fold, got {'/'.join(clip)} in "
                    f"{_told(own)} where {_told(of_fold.get(said.fold, epochs))} were logged "
                    f"(seed {self.seed}) in {path}; log every epoch of a fold"
                )
        keys = sorted(self.clips)
        ended = np.array([len(self.clips[key].epochs) for key in keys], np.int64)
        guesses = np.empty((len(epochs), len(keys)), np.int64)
        for column, key in enumerate(keys):
            own = [said for _, said in sorted(self.clips[key].epochs.items())]
            guesses[:, column] = own + own[-1:] * (len(epochs) - len(own))
        return EpochRun(
            seed=self.seed,
            shuffle=self.shuffle,
            clips=tuple(keys),
            folds=np.array([self.clips[key].fold for key in keys], np.int64),
            truth=np.array([self.clips[key].truth for key in keys], np.int64),
            epochs=tuple(epochs),
            guesses=guesses,
            ended=ended,
        )


def _told(epochs: Sequence[int]) -> str:
    """Epochs in a word or two.

    >>> _told([1, 2, 3]), _told([])
    ('3 epochs (1 to 3)', '0 epochs')
    """
    span = f" ({epochs[0]} to {epochs[-1]})" if epochs else ""
    return f"{len(epochs)} epochs{span}"
