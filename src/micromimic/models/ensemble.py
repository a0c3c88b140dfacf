"""Two networks that know synthetic motion, and a kernel machine that learns real clips beside them.

The class network says what it would say anyway; the machine is fitted to what is left over. Two
clips are alike to it when their motion is, and when the network of action units sees the same units
in them: what a unit means for the class is then learned from the clips themselves.

Rasmussen and Williams, *Gaussian Processes for Machine Learning* (2006), section 2.7: regression
about a known mean; the kernel is the mean of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import ModelError
from micromimic.models.action_units import SHIPPED_UNITS, load_unit_model
from micromimic.models.base import Array
from micromimic.models.onnx import load_model
from micromimic.models.recognizers import FlowModel
from micromimic.models.svm import RbfMachine


@dataclass(frozen=True)
class Evidence:
    """Views of clips, row by row, as the ensemble looks at them."""

    motion: NDArray[np.float32]  # (n, 1568) float32 u and v of the centred map
    units: Array | None  # (n, units) logits of the network of action units; None without it
    # (n, k) how far the class network's probabilities are from even ones; 0 without it
    start: Array

    def take(self, rows: NDArray[np.integer]) -> Evidence:
        """Some rows, in this order."""
        units = None if self.units is None else self.units[rows]
        return Evidence(self.motion[rows], units, self.start[rows])


class Synthetic:
    """The networks that were trained on synthetic motion.

    ``path``: an ONNX file of a model that looks at flow, as the shipped flow-capsnet; ``labels``:
    the classes wanted; of others than the file's the class network says nothing.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        model = load_model(path)
        if not isinstance(model, FlowModel):
            raise ModelError(
                f"expected a model that looks at flow maps, got one for {model.view} in {path}; "
                "pass a flow-capsnet"
            )
        self.path = path
        self.labels = tuple(labels)
        self.classes = model
        self.units = load_unit_model()
        known = set(self.labels) <= set(model.labels)
        self.columns = [model.labels.index(label) for label in self.labels] if known else None
        """Places of the classes among the file's; None where it does not know them all."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Synthetic, (self.path, self.labels)  # sessions stay where they are

    @property
    def files(self) -> tuple[bytes, bytes]:
        """The class network's and the unit network's ONNX."""
        return self.path.read_bytes(), SHIPPED_UNITS.read_bytes()

    def start(self, view: NDArray[np.float32]) -> Array:
        """(n, k) how far the class network's probabilities are from even ones."""
        if self.columns is None:
            return np.zeros((len(view), len(self.labels)))
        scores = self.classes.one_view(view)[:, self.columns]
        return self.classes.calibration.probabilities(scores) - 1 / len(self.labels)


def evidence_of(view: NDArray[np.float32], synthetic: Synthetic | None, classes: int) -> Evidence:
    """What the ensemble sees.

    ``view``: (n, 3, 28, 28) centred maps, or their mirror images.
    """
    motion = view[:, :2].reshape(len(view), -1)
    if synthetic is None:
        return Evidence(motion, None, np.zeros((len(view), classes)))
    return Evidence(motion, synthetic.units.one_view(view), synthetic.start(view))


@dataclass(frozen=True)
class Machine:
    """``lead * start + motion kernel @ weights + unit kernel @ weights``."""

    motion: RbfMachine  # on u and v
    # on the logits of action units, each divided by its ``spread``; None without them
    units: RbfMachine | None
    spread: Array | None  # (units,) above 0; None without them
    lead: float  # how much of the class network's own answer is kept

    def scores(self, seen: Evidence) -> Array:
        """(n, k)."""
        total = self.lead * seen.start + self.motion.scores(seen.motion)
        if self.units is not None and self.spread is not None and seen.units is not None:
            total = total + self.units.scores(seen.units / self.spread)
        return np.asarray(total)
