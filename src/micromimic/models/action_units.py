"""Which facial action units (AUs) a movement looks like: a small network on the flow map.

Evidence for a coder, not a coding: it is trained on synthetic motion alone, as the shipped
flow-capsnet is (``tools/weights``), and tells the units of the Facial Action Coding System that the
annotation tables of micro-expression databases name.

An ONNX file holds the graph and, under ``models.runtime.METADATA_KEY``, its description as JSON:
name, version, trained_on, ``units`` (numbers, as text), ``sided`` (those that can act on one side),
and for each unit ``slope``, ``offset`` and ``threshold``. Ends, all float32:

| end | shape | |
|---|---|---|
| ``maps`` | (n, 3, 28, 28) | centred by `models.preprocess.center` |
| ``presence`` | (n, units) | logit that the unit acts |
| ``sides`` | (n, sided, 3) | logits of both, left, right, if it acts |
| ``shares`` | (n, units) | its part of the movement; a row adds up to 1 |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.core.results import ModelInfo
from micromimic.core.types import Side, UnitEvidence
from micromimic.models.preprocess import center, mirror
from micromimic.models.runtime import model_file, open_session, read_description, run_graph
from micromimic.models.samples import softmax

SHIPPED_UNITS: Final = Path(__file__).parent / "weights" / "flow-units.onnx"
NEVER: Final = 1.0
"""A threshold that no probability reaches: the network does not tell this unit well enough."""
SIDES: Final[tuple[Side, ...]] = ("both", "left", "right")
"""Order of the last axis of ``sides``; a mirrored face exchanges the last two."""

_CERTAIN: Final = 1.0 - 1e-9
_REMEDY: Final = "pass a file that `python tools/weights action-units` wrote"


@dataclass(frozen=True)
class UnitCalibration:
    units: tuple[str, ...]  # numbers, as ``12``
    sided: tuple[str, ...]  # those that can act on one side only
    # slope, offset: probability is ``1 / (1 + exp(-(slope * logit + offset)))``
    slope: tuple[float, ...]
    offset: tuple[float, ...]
    # a unit is told from this probability on; `NEVER` where it is not told at all
    threshold: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.units), len(self.slope), len(self.offset), len(self.threshold)}
        if len(lengths) != 1 or not set(self.sided) <= set(self.units):
            raise ValueError(
                "expected slope, offset and threshold for each unit and sided units among them, "
                f"got lengths {sorted(lengths)}"
            )

    def probabilities(self, presence: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, units) probabilities of (n, units) logits."""
        logits = np.array(self.slope) * presence + np.array(self.offset)
        return np.asarray(np.minimum(0.5 + 0.5 * np.tanh(0.5 * logits), _CERTAIN))


class UnitScores(NamedTuple):
    presence: NDArray[np.float64]  # (n, units) logits
    sides: NDArray[np.float64]  # (n, sided, 3) chances of both, left, right, if the unit acts
    shares: NDArray[np.float64]  # (n, units) parts of the movement


class UnitModel:
    def __init__(self, session: Any, info: ModelInfo, calibration: UnitCalibration) -> None:
        self._session = session
        self.info = info
        self.calibration = calibration

    def scores(self, maps: NDArray[np.generic]) -> UnitScores:
        """Of (n, 3, 28, 28) raw u, v, strain, averaged over each map and its mirror image."""
        data = center(maps)
        views = [self._run(view) for view in (data, mirror(data))]
        turned = views[1][1][..., [0, 2, 1]]
        return UnitScores(
            (views[0][0] + views[1][0]) / 2,
            (softmax(views[0][1]) + softmax(turned)) / 2,
            (views[0][2] + views[1][2]) / 2,
        )

    def one_view(self, view: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, units) presence logits of (n, 3, 28, 28) centred maps as they are, not mirrored."""
        return self._run(view)[0]

    def probabilities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, units) calibrated probability that each unit acts; ``maps`` as of `scores`."""
        return self.calibration.probabilities(self.scores(maps).presence)

    def evidence(self, maps: NDArray[np.generic]) -> list[tuple[UnitEvidence, ...]]:
        """Of each map the units that it looks like, the largest share of the movement first."""
        if not len(maps):
            return []
        scores = self.scores(maps)
        probabilities = self.calibration.probabilities(scores.presence)
        return [
            self._evidence_of(row, sides, shares)
            for row, sides, shares in zip(probabilities, scores.sides, scores.shares, strict=True)
        ]

    def _evidence_of(
        self,
        probabilities: NDArray[np.float64],
        sides: NDArray[np.float64],
        shares: NDArray[np.float64],
    ) -> tuple[UnitEvidence, ...]:
        about = self.calibration
        found = []
        for k in np.flatnonzero(probabilities >= np.array(about.threshold)):
            unit = about.units[k]
            side: Side = "both"
            if unit in about.sided:
                side = SIDES[int(sides[about.sided.index(unit)].argmax())]
            share = min(1.0, max(0.0, float(shares[k])))
            found.append(UnitEvidence(unit, side, share, float(probabilities[k])))
        return tuple(sorted(found, key=lambda one: (-one.share, about.units.index(one.unit))))

    def _run(self, data: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        ends, name = ("presence", "sides", "shares"), self.info.name
        outputs = run_graph(self._session, ends, "maps", data, model=name, remedy=_REMEDY)
        return [np.asarray(output, np.float64) for output in outputs]


def load_unit_model(path: Path | None = None) -> UnitModel:
    """Open a model of action units; None opens the shipped one.

    >>> load_unit_model().info.name
    'flow-units'
    """
    file = model_file(path, SHIPPED_UNITS, "a model of action units")
    session = open_session(file.read_bytes(), file, _REMEDY)
    details = read_description(session, file, _REMEDY)
    try:
        info = ModelInfo(str(details["name"]), str(details["version"]), str(details["trained_on"]))
        calibration = UnitCalibration(
            tuple(str(unit) for unit in details["units"]),
            tuple(str(unit) for unit in details["sided"]),
            *(tuple(float(n) for n in details[key]) for key in ("slope", "offset", "threshold")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"expected a complete description of action units in {file}, got a broken one "
            f"({error}); {_REMEDY}"
        ) from error
    _check_ends(session, calibration, file)
    return UnitModel(session, info, calibration)


@cache
def shipped_unit_model() -> UnitModel:
    """The shipped one, opened once a process."""
    return load_unit_model()


def _check_ends(session: Any, calibration: UnitCalibration, file: Path) -> None:
    units, sided = len(calibration.units), len(calibration.sided)
    wanted = {
        "maps": [3, UNITS, UNITS],
        "presence": [units],
        "sides": [sided, len(SIDES)],
        "shares": [units],
    }
    ends = [*session.get_inputs(), *session.get_outputs()]
    got = {end.name: list(end.shape)[1:] for end in ends}
    free_axis = all(end.shape and not isinstance(end.shape[0], int) for end in ends)
    if got != wanted or not free_axis or {end.type for end in ends} != {"tensor(float)"}:
        raise ModelError(
            f"expected float32 ends {wanted} after a free first axis, got {got} in {file}; "
            f"{_REMEDY}"
        )
