"""What does choosing the epoch on the test subject claim, where there is nothing to learn?

    python benchmarks/audit.py [--manifest FILE] [--shuffles N] [--epochs N] [--jobs N]
                               [--models NAME...] [--init none|default]

Three steps, on the subjects and classes of a manifest of flow maps (leave one subject out):

1. No model at all: answers drawn from the classes' shares, anew in each epoch. How far the best of
   1 to 100 epochs for each subject gets above the last.
2. A small network on random features: 64 numbers a clip that have nothing to do with it. With true
   and with shuffled labels.
3. The models named, with true and with shuffled labels: `micromimic audit` as a user runs it.

Scores are UF1/UAR of all clips; intervals are 95 % over subjects.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from micromimic.core.errors import MicromimicError
from micromimic.core.workers import Workers
from micromimic.datasets.manifest import read_manifest
from micromimic.evaluation.article import COMPOSITE
from micromimic.evaluation.audit.epochs import Audit, EpochRun, audit_runs
from micromimic.evaluation.audit.report import score_rows, sentences
from micromimic.evaluation.audit.runs import audited_runs
from micromimic.evaluation.evaluate import load
from micromimic.evaluation.run import RunConfig
from micromimic.models.base import ClipClassifier, EarlyStopping, FitRun, Init
from micromimic.models.registry import make_model
from micromimic.models.samples import Samples
from micromimic.models.training.batches import balanced_rows, derive_seed, split_batches
from micromimic.models.training.device import threads
from micromimic.models.training.loop import Plan, run_epochs
from micromimic.models.views import encoder_of
from published_maps import default_manifest

FEATURES = 64
COUNTS = (1, 5, 10, 20, 30, 100)


class RandomFeatures(ClipClassifier):
    """A network on numbers that have nothing to do with the clip.

    Args:
        random_state: of weights and order.
        epochs: None takes 30.
        stop: as of the models.
    """

    def __init__(
        self,
        *,
        random_state: int | None = None,
        epochs: int | None = None,
        stop: EarlyStopping | None = None,
    ) -> None:
        self.random_state, self.epochs, self.stop = random_state, epochs, stop

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.float32]:
        """(64,) normal numbers; the same clip gives the same ones, and nothing else of it."""
        digest = blake2b(np.ascontiguousarray(clip).tobytes(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "big"))
        return rng.standard_normal(FEATURES).astype(np.float32)

    def fit(
        self,
        X: NDArray[np.generic],
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        run: FitRun | None = None,
    ) -> Self:
        """Train; see `models.base.ClipClassifier.fit`."""
        places, _ = self.begin(X, y, groups)
        seed = self.random_state or 0
        inputs, targets = torch.from_numpy(np.asarray(X, np.float32)), torch.from_numpy(places)
        with threads(1), torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed))
            classes = len(self.classes_)
            self.network_ = nn.Sequential(
                nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, classes)
            )

            def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
                rows = balanced_rows(places, seed, epoch, len(places))
                for piece in split_batches(rows, 16):
                    yield inputs[piece], targets[piece]

            run_epochs(
                self.network_,
                Plan(
                    torch.optim.Adam(self.network_.parameters(), lr=3e-3),
                    self.epochs or 30,
                    batches,
                    nn.functional.cross_entropy,
                ),
                run or FitRun(),
                seed=seed,
                fitted=lambda _: self,
            )
        return self

    def scores(self, X: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, k) logits."""
        with threads(1), torch.no_grad():
            found = self.network_(torch.from_numpy(np.asarray(X, np.float32)))
        return np.asarray(found.numpy(), np.float64)


def drawn_answers(samples: Samples, epochs: int, seed: int) -> EpochRun:
    """A run whose answers are drawn by the classes' shares, epoch by epoch."""
    names = zip(samples.datasets, samples.subjects, samples.clips, strict=True)
    keys = [(str(d), str(s).split("/", 1)[1], str(c).rsplit("/", 1)[1]) for d, s, c in names]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
    _, folds = np.unique(samples.subjects[order], return_inverse=True)
    shares = np.bincount(samples.targets, minlength=len(samples.label_set)) / len(samples)
    rng = np.random.default_rng(seed)
    return EpochRun(
        seed=seed,
        shuffle=0,
        clips=tuple(keys[row] for row in order),
        folds=folds.astype(np.int64),
        truth=samples.targets[order],
        epochs=tuple(range(1, epochs + 1)),
        guesses=rng.choice(len(samples.label_set), size=(epochs, len(keys)), p=shares).astype(
            np.int64
        ),
        ended=np.full(len(keys), epochs, np.int64),
    )


def show_drawn(samples: Samples, repeats: int) -> None:
    """How far choosing gets without any model."""
    print(f"no model, answers drawn by the classes' shares, mean of {repeats}:")
    print("  epochs   last epoch   one best for all   best of each subject")
    for epochs in COUNTS:
        # two epochs are the fewest that leave a choice; one of them alone is the last
        runs = [drawn_answers(samples, max(2, epochs), seed) for seed in range(repeats)]
        audit = audit_runs(runs, draws=2)
        cells = [_score(audit, choice) for choice in ("last", "overall", "subject")]
        if epochs == 1:
            cells[1:] = cells[:1] * 2
        print(f"  {epochs:6d}   {cells[0]:12s} {cells[1]:18s} {cells[2]}", flush=True)


def _score(audit: Audit, choice: str) -> str:
    scores = next(r for r in audit.rows if r.selection == choice).scores[COMPOSITE]
    return f"{scores['uf1']:.3f}/{scores['uar']:.3f}"


def show(name: str, audit: Audit) -> None:
    """The table of one model."""
    print(f"{name}, {len(audit.runs[0].epochs)} epochs, {audit.shuffles} shuffles:")
    for labels, choice, scores in score_rows(audit):
        part = scores[COMPOSITE]
        low, high = part["uf1_ci95"]
        print(f"  {labels:16s} {choice:36s} {part['uf1']:.3f} [{low:.3f}, {high:.3f}]  "
              f"UAR {part['uar']:.3f}")  # fmt: skip
    for text in sentences(audit):
        print(f"  {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--models", nargs="*", default=["flow-capsnet"])
    parser.add_argument("--init", choices=("none", "default"), default="none")
    parser.add_argument("--shuffles", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=20, help="of the drawn answers")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        clips = read_manifest(options.manifest)
        for place, name in enumerate(["random-features", *options.models]):
            model = RandomFeatures() if place == 0 else make_model(name)[1]
            samples = load(clips, encoder_of(model), Path(tempfile.gettempdir())).samples
            if place == 0:
                print(f"{len(samples)} clips of {len(set(samples.subjects))} subjects")
                show_drawn(samples, options.repeats)
            init: Init = (
                "default" if place == 0 else options.init
            )  # it has weights of no other kind
            config = RunConfig(model=name, init=init, seed=options.seed, epochs=options.epochs)
            with tempfile.TemporaryDirectory() as folder:
                runs, _ = audited_runs(
                    samples,
                    config,
                    Path(folder),
                    model=model,
                    shuffles=options.shuffles,
                    workers=Workers(options.jobs),
                )
            show(name, audit_runs(runs))
    except MicromimicError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
