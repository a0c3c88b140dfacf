"""The half of the composite's subjects that choices may look at, and the other, scored once."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.evaluation.article import of_composite

if TYPE_CHECKING:
    from micromimic.evaluation.predictions import Predictions

DEVELOPMENT: Final = "development half"
OTHER: Final = "other half"


def is_development(subject: str) -> bool:
    """Whether a subject, as ``lab/006``, belongs to the half that choices may look at.

    The last bit of the name's BLAKE2b hash is 0. It follows from the name alone, so nobody can
    arrange it, and it stays the same when data are added.

    >>> is_development("lab/006"), is_development("lab/003")
    (False, True)
    """
    return blake2b(subject.encode(), digest_size=8).digest()[-1] % 2 == 0


def development_rows(subjects: Sequence[str] | NDArray[np.str_]) -> NDArray[np.bool_]:
    """(n,) which rows belong to the development half; see `is_development`."""
    return np.array([is_development(str(subject)) for subject in subjects], bool)


def halves_of(rows: Predictions) -> dict[str, Predictions]:
    """The rows of each half of the composite's subjects; nothing for other clips."""
    if not of_composite(rows):
        return {}
    seen = development_rows(rows.who)
    parts = {DEVELOPMENT: rows[seen], OTHER: rows[~seen]}
    return {name: part for name, part in parts.items() if len(part)}
