"""The folder of a run: each fold is kept as it ends, so a killed run goes on where it stopped."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np

from micromimic.core.errors import InputError
from micromimic.core.files import write_whole
from micromimic.evaluation.folds import Fold, FoldResult
from micromimic.models.samples import Samples

_RECORD: Final = "run.json"
_FOLDS: Final = "folds"


class RunFolder:
    """What is kept of one run.

    ``path``: the folder; made when the first thing is written; ``record``: everything that decides
    the run's outcome.
    """

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:
        self.path = path
        self._folds = path / _FOLDS
        file = path / _RECORD
        text = json.dumps(dict(record), indent=2, sort_keys=True, default=str)
        if file.is_file():
            self._check(json.loads(file.read_text(encoding="utf-8")), json.loads(text))
        elif path.is_dir() and any(path.iterdir()):
            raise InputError(
                f"expected an empty folder or one of the same run at {path}, got other files; "
                "choose another --out"
            )
        else:
            write_whole(file, text + "\n")

    def _check(self, kept: dict[str, Any], asked: dict[str, Any]) -> None:
        names = [n for n in sorted({*kept, *asked}) if kept.get(n) != asked.get(n)]
        if names:
            was, now = (str(side.get(names[0])) for side in (kept, asked))
            raise InputError(
                f"expected the same run as before in {self.path}, got another {', '.join(names)} "
                f"({names[0]}: {_short(was)} before, {_short(now)} now); choose another --out"
            )

    def abandon_if_empty(self) -> None:
        """Leave no trace of a run that came to nothing: it can be put right and repeated."""
        if not self._folds.is_dir() or not any(self._folds.iterdir()):
            (self.path / _RECORD).unlink(missing_ok=True)
            for folder in (self._folds, self.path):
                with contextlib.suppress(OSError):  # not there, or other things in it
                    folder.rmdir()

    def checkpoint(self, fold: Fold) -> Path:
        """Where a fold in hand may keep its state."""
        return self._folds / f"{fold.number:04d}.ckpt"

    def save(self, result: FoldResult, fold: Fold, samples: Samples) -> None:
        """Keep one fold; what it kept in hand is removed."""
        content = io.BytesIO()
        none = np.empty((0, *result.probabilities.shape))
        np.savez_compressed(
            content,
            probabilities=result.probabilities,
            epochs=none if result.epochs is None else result.epochs,
            seconds=np.float64(result.seconds),
            clips=samples.clips[fold.test],
        )
        write_whole(self._file(fold), content.getvalue())
        self.checkpoint(fold).unlink(missing_ok=True)

    def load(self, fold: Fold, samples: Samples) -> FoldResult | None:
        """A fold that ended before; None where there is none, or its file is damaged."""
        try:
            with np.load(self._file(fold), allow_pickle=False) as kept:
                if not np.array_equal(kept["clips"], samples.clips[fold.test]):
                    return None
                epochs = kept["epochs"]
                return FoldResult(
                    fold.number,
                    kept["probabilities"],
                    epochs if len(epochs) else None,
                    float(kept["seconds"]),
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # it is done again

    def _file(self, fold: Fold) -> Path:
        return self._folds / f"{fold.number:04d}.npz"


def digest_of_file(path: Path) -> str:
    """A fingerprint of a file's content."""
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
