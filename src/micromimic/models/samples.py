"""Clips as models see them: views, what makes one row of a clip, and all rows with their names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, Literal, Protocol

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
        names = ["inputs", "targets", "datasets", "subjects", "clips"]
        names += [] if self.contents is None else ["contents"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def digest(self) -> str:
        """A fingerprint of names, classes and inputs: a run knows its data by it."""
        return digest_of(self.inputs, self.targets, *self.clips, *self.label_set)

    @property
    def labels(self) -> NDArray[np.str_]:
        return self.label_set.decode(self.targets)


def digest_of(
    inputs: NDArray[np.generic], targets: NDArray[np.generic] | None = None, *names: Any
) -> str:
    sums = blake2b("\n".join(map(str, names)).encode(), digest_size=16)
    sums.update(f"{inputs.dtype}{inputs.shape}".encode())
    if targets is not None:
        sums.update(np.ascontiguousarray(targets).tobytes())
    for row in inputs:  # one by one: face crops are large, and may lie in several places
        sums.update(np.ascontiguousarray(row).tobytes())
    return sums.hexdigest()


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """(..., k) probabilities of (..., k) scores."""
    scaled = np.asarray(scores, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


UNKNOWN: Final = "not known what it was fitted to"


@dataclass(frozen=True)
class FittedTo:
    """What a model was fitted to, beside synthetic data."""

    clips: frozenset[str] = frozenset()  # digests of their content (`content_digest`)
    subjects: frozenset[str] = frozenset()  # qualified by database

    def __or__(self, other: FittedTo) -> FittedTo:
        return FittedTo(self.clips | other.clips, self.subjects | other.subjects)

    def to_json(self) -> dict[str, list[str]]:
        return {"clips": sorted(self.clips), "subjects": sorted(self.subjects)}

    @classmethod
    def of(cls, samples: Samples) -> FittedTo:
        contents = [] if samples.contents is None else samples.contents.tolist()
        return cls(frozenset(contents) - {""}, frozenset(samples.subjects.tolist()))

    @classmethod
    def from_json(cls, value: Any) -> FittedTo | None:
        """What a file says; None where it says nothing."""
        if value is None:
            return None
        return cls(frozenset(map(str, value["clips"])), frozenset(map(str, value["subjects"])))

    def overlap(self, other: FittedTo) -> str | None:
        """What of the other's it was fitted to, in words; None if nothing.

        Names that differ in capitals or leading zeros count as one person's.

        >>> FittedTo(frozenset({"d1"}), frozenset({"db/a"})).overlap(FittedTo(frozenset({"d1"})))
        'fitted to 1 of these clips'
        """
        # What reads databases is not needed where a model only names movements.
        from micromimic.datasets.base import normalized_name  # noqa: PLC0415

        seen = self.clips & other.clips
        own = {normalized_name(who) for who in self.subjects}
        people = sorted(who for who in other.subjects if normalized_name(who) in own)
        parts = [f"{len(seen)} of these clips"] if seen else []
        if people:
            more = ", ..." if len(people) > 1 else ""
            parts.append(f"{len(people)} of these subjects ({people[0]}{more})")
        return f"fitted to {' and '.join(parts)}" if parts else None


def content_digest(clip: NDArray[np.generic]) -> str:
    """The digest of a clip's view: of face crops the apex counts; empty where nothing is seen."""
    seen = clip[0] if clip.ndim == 4 else clip
    return digest_of(seen) if seen.size and (seen != seen.flat[0]).any() else ""
