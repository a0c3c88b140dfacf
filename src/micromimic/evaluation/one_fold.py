"""One fold: train on its training part, score its test part; each is kept as it ends."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError, RandomWeightsWarning
from micromimic.core.files import write_whole
from micromimic.models.base import FitRun
from micromimic.models.fitting import fit_model, probabilities_of, seeded
from micromimic.models.samples import Samples


@dataclass(frozen=True)
class Fold:
    number: int  # from 0
    train: NDArray[np.int64]  # (k,) ascending
    test: NDArray[np.int64]


@dataclass(frozen=True)
class FoldResult:
    number: int  # the fold's
    # (n, k) of the test rows, in the order of the samples' label set
    probabilities: NDArray[np.float64]
    # (e, n, k) probabilities after each epoch, where they were asked for
    epochs: NDArray[np.float64] | None = None


def run_fold(
    name: str,
    packed: bytes,
    samples: Samples,
    fold: Fold,
    seed: int,
    run: FitRun,
    *,
    each_epoch: bool,
    labels: NDArray[np.str_] | None,
) -> FoldResult:
    """Fit a model, packed by cloudpickle, to the training part, with these labels or its own."""
    wanted, names = samples.inputs[fold.test], samples.label_set.names
    seen: list[NDArray[np.float64]] = []

    def probabilities(model: Any) -> NDArray[np.float64]:
        return probabilities_of(model, name, wanted, names)

    own = int(np.random.SeedSequence([seed, fold.number]).generate_state(1)[0])
    watch = (lambda _, model: seen.append(probabilities(model))) if each_epoch else None
    run = replace(run, threads=1, each_epoch=watch)
    part = samples.take(fold.train)
    model = seeded(pickle.loads(packed), own)  # our own content, from the process that sent it
    with warnings.catch_warnings():
        # whoever started the run has been told once; not again in each fold and process
        warnings.simplefilter("ignore", RandomWeightsWarning)
        y = part.labels if labels is None else labels
        fit_model(model, name, part.inputs, y, part.subjects, run)
    epochs = np.stack(seen) if seen else None
    return FoldResult(fold.number, probabilities(model), epochs)


_RECORD: Final = "run.json"
_FOLDS: Final = "folds"


class RunFolder:
    """What is kept of one run; ``record`` is everything that decides its outcome."""

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

    def _check(self, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
        names = [n for n in sorted({*stored, *wanted}) if stored.get(n) != wanted.get(n)]
        if names:
            was, now = (str(side.get(names[0])) for side in (stored, wanted))
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
        return self._folds / f"{fold.number:04d}.ckpt"

    def save(self, result: FoldResult, fold: Fold, samples: Samples) -> None:
        """Keep one fold; what it kept in hand is removed."""
        content = io.BytesIO()
        none = np.empty((0, *result.probabilities.shape))
        np.savez_compressed(
            content,
            probabilities=result.probabilities,
            epochs=none if result.epochs is None else result.epochs,
            clips=samples.clips[fold.test],
        )
        write_whole(self._file(fold), content.getvalue())
        self.checkpoint(fold).unlink(missing_ok=True)

    def load(self, fold: Fold, samples: Samples) -> FoldResult | None:
        """A fold that ended before; None where there is none, or its file is damaged."""
        try:
            with np.load(self._file(fold), allow_pickle=False) as stored:
                if not np.array_equal(stored["clips"], samples.clips[fold.test]):
                    return None
                epochs = stored["epochs"]
                kept = epochs if len(epochs) else None
                return FoldResult(fold.number, stored["probabilities"], kept)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None  # it is done again

    def _file(self, fold: Fold) -> Path:
        return self._folds / f"{fold.number:04d}.npz"


def digest_of_file(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def best_epoch(right: NDArray[np.bool_]) -> int:
    """The epoch that the published code of the method keeps: most clips of the *test* part right.

    Its place, the first of equals, of (epochs, n) right answers.
    """
    return int(right.sum(1).argmax())


def shuffled_order(
    clips: Sequence[str] | NDArray[np.str_], seed: int, number: int
) -> dict[str, str]:
    """For each clip, the clip whose label it takes: one uniform permutation of all clips.

    The order of the (n,) names does not matter; a run of one seed can have several, by number.
    """
    names = sorted(str(name) for name in clips)
    places = np.random.default_rng([seed, number]).permutation(len(names))
    return {name: names[place] for name, place in zip(names, places.tolist(), strict=True)}


def shuffled_within(samples: Samples, order: Mapping[str, str]) -> Samples:
    """The part with its own labels shuffled: each class keeps its clips' number.

    The order is that of all clips, but a label never comes from a clip outside the part: where it
    would, the chain is followed until it leads back inside. So every training part of a run sees
    the same shuffle as far as it can, each is shuffled uniformly, and no label of a tested clip is
    ever trained on.

    >>> part = Samples(np.zeros((2, 1)), np.array([0, 2]), np.array(["d"] * 2),
    ...                np.array(["d/s"] * 2), np.array(["a", "b"]))
    >>> shuffled_within(part, {"a": "c", "c": "b", "b": "a"}).targets  # c is not in the part
    array([2, 0])
    """
    place = {str(name): row for row, name in enumerate(samples.clips)}
    rows = []
    for name in place:
        source = order[name]
        while source not in place:
            source = order[source]
        rows.append(place[source])
    return replace(samples, targets=samples.targets[np.array(rows, np.int64)])
