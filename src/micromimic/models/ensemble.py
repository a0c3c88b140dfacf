"""Two networks that know synthetic motion, and a kernel machine that learns real clips beside them.

The class network says what it would say anyway; the machine is fitted to what is left over. Two
clips are alike to it when their motion is, and when the network of action units sees the same units
in them: what a unit means for the class is then learned from the clips themselves.

Rasmussen and Williams, *Gaussian Processes for Machine Learning* (2006), section 2.7: regression
about a known mean; the kernel is the mean of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import MissingExtraError, ModelError
from micromimic.labels import EMOTIONS
from micromimic.models.action_units import SHIPPED_UNITS, load_unit_model
from micromimic.models.onnx import load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.recognizers import FlowModel
from micromimic.models.svm import RbfMachine

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Views of clips, row by row, as the ensemble looks at them.

    Args:
        motion: (n, 1568) float32 u and v of the centred map.
        units: (n, units) logits of the network of action units; None without it.
        start: (n, 3) how far the class network's probabilities are from even ones; 0 without it.
    """

    motion: NDArray[np.float32]
    units: Array | None
    start: Array


class Synthetic:
    """The networks that were trained on synthetic motion.

    Args:
        path: an ONNX file of a model that looks at flow, as the shipped flow-capsnet.

    Raises:
        ModelError: if it is none.
    """

    def __init__(self, path: Path) -> None:
        model = load_model(path)
        if not isinstance(model, FlowModel):
            raise ModelError(
                f"expected a model that looks at flow maps, got one for {model.view} in {path}; "
                "pass a flow-capsnet"
            )
        self.path = path
        self.classes = model
        self.units = load_unit_model()

    @property
    def files(self) -> tuple[bytes, bytes]:
        """The class network's and the unit network's ONNX."""
        return self.path.read_bytes(), SHIPPED_UNITS.read_bytes()


def evidence_of(view: NDArray[np.float32], synthetic: Synthetic | None) -> Evidence:
    """What the ensemble sees.

    Args:
        view: (n, 3, 28, 28) centred maps, or their mirror images.
        synthetic: None leaves its networks out.
    """
    motion = view[:, :2].reshape(len(view), -1)
    if synthetic is None:
        return Evidence(motion, None, np.zeros((len(view), len(EMOTIONS))))
    classes = synthetic.classes
    chances = classes.calibration.probabilities(classes.one_view(view))
    return Evidence(motion, synthetic.units.one_view(view), chances - 1 / len(EMOTIONS))


@dataclass(frozen=True)
class Machine:
    """``lead * start + motion kernel @ weights + unit kernel @ weights``.

    Args:
        motion: on u and v.
        units: on the logits of action units, each divided by its ``spread``; None without them.
        spread: (units,) above 0; None without them.
        lead: how much of the class network's own answer is kept.
    """

    motion: RbfMachine
    units: RbfMachine | None
    spread: Array | None
    lead: float

    def scores(self, seen: Evidence) -> Array:
        """(n, 3)."""
        total = self.lead * seen.start + self.motion.scores(seen.motion)
        if self.units is not None and self.spread is not None and seen.units is not None:
            total = total + self.units.scores(seen.units / self.spread)
        return np.asarray(total)


class FittedEnsemble:
    """A trained machine with its networks; `models.learner.Fitted`.

    Args:
        machine: trained.
        synthetic: the networks beside it, if any.
        sharpness: scores are multiplied by, so that ``softmax(scores)`` gives probabilities.
    """

    def __init__(self, machine: Machine, synthetic: Synthetic | None, sharpness: float) -> None:
        self.machine = machine
        self.synthetic = synthetic
        self.sharpness = sharpness

    def scores(self, inputs: NDArray[np.generic]) -> Array:
        """(n, 3) of (n, 3, 28, 28) raw maps, averaged over each map and its mirror image."""
        data = center(inputs)
        views = (data, mirror(data))
        said = [self.machine.scores(evidence_of(view, self.synthetic)) for view in views]
        return self.sharpness * np.asarray(said[0] + said[1]) / 2

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """One graph of machine and networks, which `models.onnx.load_model` opens.

        Raises:
            MissingExtraError: without the package onnx.
        """
        try:
            from micromimic.models.ensemble_onnx import build_onnx  # noqa: PLC0415 - train extra
        except ImportError as error:
            raise MissingExtraError(
                "expected the package onnx, got none; pip install 'micromimic[train]'"
            ) from error
        return build_onnx(self, metadata)
