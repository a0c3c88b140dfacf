"""What flow-units learns from: maps of action units, and the truth about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import THREE
from micromimic.core.progress import Progress
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.maps import Faces, MapConfig, draw_maps
from micromimic.synthesis.recipes import COMBINATIONS
from weights.config import UnitConfig

_BLINK: Final = "45"  # tracking sees blinks, and lids differ in half of all maps
TOLD: Final = tuple(
    sorted(
        {unit for each in COMBINATIONS.values() for one in each for unit in one.units} - {_BLINK},
        key=int,
    )
)
"""Action units that the network tells: those of the recipes but blinks, by number."""
SIDED: Final = tuple(unit for unit in TOLD if f"{unit}L" in UNIT_NAMES)
"""Those with a muscle on each side."""
_HALVES: Final = np.array(  # a midline unit moves both halves of the face
    [[2 * (name == u) + (name in (f"{u}L", f"{u}R")) for u in TOLD] for name in UNIT_NAMES], "f"
)
_PIECE: Final = 3000


class UnitTruth(NamedTuple):
    """What acts in n maps."""

    presence: NDArray[np.bool_]  # (n, units) True where the unit acts; order `TOLD`
    # (n, sided) 0 both, 1 left, 2 right, -1 where the unit does not act; order `SIDED`
    sides: NDArray[np.int64]
    shares: NDArray[np.float32]  # (n, units) parts of the movement, a row adding up to 1

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> UnitTruth:
        """The truth of these rows."""
        return UnitTruth(self.presence[rows], self.sides[rows], self.shares[rows])


class UnitMaps(NamedTuple):
    """Raw maps (n, 3, 28, 28) and their truth."""

    maps: NDArray[np.float32]
    truth: UnitTruth


def truth_of(
    action_units: Sequence[Sequence[str]], weights: NDArray[np.floating] | None = None
) -> UnitTruth:
    """Truth from FACS names, those left out that are not told, and (n, n_units) amplitudes; None
    takes all for equally strong.

    >>> truth = truth_of([("6", "L12")])
    >>> [unit for unit, acts in zip(TOLD, truth.presence[0]) if acts]
    ['6', '12']
    >>> [truth.sides[0, SIDED.index(unit)].item() for unit in ("6", "12", "4")]
    [0, 1, -1]
    """
    presence = np.zeros((len(action_units), len(TOLD)), bool)
    sides = np.full((len(action_units), len(SIDED)), -1, np.int64)
    for row, names in enumerate(action_units):
        for name in names:
            side, unit = (name[0], name[1:]) if name[0] in "LR" else ("", name)
            if unit in TOLD:
                presence[row, TOLD.index(unit)] = True
            if unit in SIDED:
                sides[row, SIDED.index(unit)] = ("", "L", "R").index(side)
    amounts = presence.astype(np.float32)
    if weights is not None:
        amounts *= np.maximum(weights, 0).astype(np.float32) @ _HALVES
    total = amounts.sum(1, keepdims=True)
    shares = np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0)
    return UnitTruth(presence, sides, shares)


def unit_maps(
    count: int, seed: int, config: MapConfig, progress: Progress | None = None
) -> UnitMaps:
    """Draw classes in equal parts, in pieces so that each has its own faces."""
    labels = [THREE.names[index % len(THREE)] for index in range(count)]
    pieces = []
    for number, start in enumerate(range(0, count, _PIECE)):
        drawn = draw_maps(labels[start : start + _PIECE], seed * 1009 + number, config)
        pieces.append(UnitMaps(drawn.maps, truth_of(drawn.action_units, drawn.weights)))
        if progress:
            progress(min(start + _PIECE, count), count, "maps")
    return together(pieces)


def unit_training_maps(
    config: UnitConfig, faces: Faces = "both", progress: Progress | None = None
) -> UnitMaps:
    """The maps that ``config`` trains on: plain ones first, then the harder ones."""
    harder = round(config.maps * config.harder_share)
    settings = MapConfig(faces=faces, recipes=config.recipes)
    plain = unit_maps(config.maps - harder, 2 * config.seed + 100_000, settings, progress)
    rest = unit_maps(harder, 2 * config.seed + 100_001, settings.harder(), progress)
    return together([plain, rest])


def together(parts: Sequence[UnitMaps]) -> UnitMaps:
    """Several sets as one."""
    columns = zip(*(part.truth for part in parts), strict=True)
    truth = UnitTruth(*(np.concatenate(column) for column in columns))
    return UnitMaps(np.concatenate([part.maps for part in parts]), truth)
