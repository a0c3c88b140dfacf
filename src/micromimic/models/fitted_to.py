"""Which clips and people a model was fitted to, as its file says it: what it may not be tested on.

A clip is known by the digest of its content as a model sees it, whatever it is named; a person by
the qualified name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.datasets.base import loose
from micromimic.models.samples import Samples, digest_of

UNKNOWN: Final = "not known what it was fitted to"


@dataclass(frozen=True)
class FittedTo:
    """What a model was fitted to, beside synthetic data."""

    clips: frozenset[str] = frozenset()  # digests of their content (`content_digest`)
    subjects: frozenset[str] = frozenset()  # qualified by database

    def __or__(self, other: FittedTo) -> FittedTo:
        return FittedTo(self.clips | other.clips, self.subjects | other.subjects)

    def to_json(self) -> dict[str, list[str]]:
        """For a file's description."""
        return {"clips": sorted(self.clips), "subjects": sorted(self.subjects)}

    @classmethod
    def of(cls, samples: Samples) -> FittedTo:
        """These clips and people."""
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
        seen = self.clips & other.clips
        own = {loose(who) for who in self.subjects}
        people = sorted(who for who in other.subjects if loose(who) in own)
        parts = [f"{len(seen)} of these clips"] if seen else []
        if people:
            more = ", ..." if len(people) > 1 else ""
            parts.append(f"{len(people)} of these subjects ({people[0]}{more})")
        return f"fitted to {' and '.join(parts)}" if parts else None


def content_digest(clip: NDArray[np.generic]) -> str:
    """The digest of a clip's view: of face crops the apex counts; empty where nothing is seen."""
    seen = clip[0] if clip.ndim == 4 else clip
    return digest_of(seen) if seen.size and (seen != seen.flat[0]).any() else ""
