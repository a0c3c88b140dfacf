"""Clips as models see them: views, what makes one row of a clip, and all rows with their names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import THREE, LabelSet

View = Literal["flow", "faces", "volume"]
"""What of a clip a model looks at.

``flow``: (3, 28, 28) float32, raw u, v, strain from onset to apex.
``faces``: (k, 224, 224, 3) uint8 RGB, face crops: the apex first, then its neighbours (k = 1 where
only one picture exists, else 5).
``volume``: (T, 170, 140) uint8 grey, the face from onset to offset, registered to the onset.
"""


class Encoder(Protocol):
    """What a model makes of one clip before it looks at any label."""

    view: View  # what of a clip it looks at

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """One clip's view as one row of `Samples.inputs`: no labels, no other clips."""
        ...


@dataclass(frozen=True)
class Samples:
    """Labelled, encoded clips, row by row."""

    inputs: NDArray[np.generic]  # (n, ...) what an encoder made of each clip
    targets: NDArray[np.int64]  # (n,) int64 places in ``label_set``
    datasets: NDArray[np.str_]  # (n,) database names
    subjects: NDArray[np.str_]  # (n,) qualified by database, as ``db/006``
    clips: NDArray[np.str_]  # (n,) qualified, as ``db/006/006_1_2``
    label_set: LabelSet = THREE  # the classes
    # (n,) digests of what is seen of each clip (`fitted_to.content_digest`), empty where nothing
    # is; None where they were not taken
    contents: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.inputs), len(self.targets), len(self.datasets)}
        lengths |= {len(self.subjects), len(self.clips)}
        if len(lengths) != 1:
            raise ValueError(f"expected columns of one length, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: NDArray[np.integer]) -> Samples:
        """The rows of these numbers, in their order."""
        names = ["inputs", "targets", "datasets", "subjects", "clips"]
        names += [] if self.contents is None else ["contents"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def digest(self) -> str:
        """A fingerprint of names, classes and inputs: a run knows its data by it.

        >>> Samples(np.zeros((1, 2)), np.zeros(1, np.int64), np.array(["db"]),
        ...         np.array(["db/s01"]), np.array(["db/s01/01"])).digest()
        '...'
        """
        return digest_of(self.inputs, self.targets, *self.clips, *self.label_set)

    @property
    def labels(self) -> NDArray[np.str_]:
        """(n,) class names."""
        return self.label_set.decode(self.targets)


def digest_of(
    inputs: NDArray[np.generic], targets: NDArray[np.generic] | None = None, *names: Any
) -> str:
    """A fingerprint of arrays and names."""
    sums = blake2b("\n".join(map(str, names)).encode(), digest_size=16)
    sums.update(f"{inputs.dtype}{inputs.shape}".encode())
    if targets is not None:
        sums.update(np.ascontiguousarray(targets).tobytes())
    for row in inputs:  # one by one: face crops are large, and may lie in several places
        sums.update(np.ascontiguousarray(row).tobytes())
    return sums.hexdigest()


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """(n, k) probabilities of (n, k) scores.

    >>> softmax(np.array([[1.0, 1.0, 1.0]])).round(3)
    array([[0.333, 0.333, 0.333]])
    """
    scaled = np.asarray(scores, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
