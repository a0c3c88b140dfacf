"""Who plays a clip: an actor makes a scene of a plan, and a scene knows what is seen and where.

There are two: `actors.photo` moves a photograph by fields, `actors.head` draws a head in three
dimensions. Whatever makes clips or their truth asks a `Scene` and does not know which one it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, MOUTH
from micromimic.synthesis.clip_nuisances import Pose
from micromimic.synthesis.schedule import ClipPlan

Array = NDArray[np.float64]
Picture = NDArray[np.float32]
Mask = NDArray[np.bool_]
ActorKind = Literal["photo", "mesh"]

ANCHORS: Final = np.array([EYE_RIGHT, EYE_LEFT, MOUTH])
NOSE_DEPTH: Final = 8.0
"""Canonical units of depth that ``ClipConfig.yaw_px`` is given for."""
MIDDLE_HEIGHT: Final = 0.53125
"""Where the middle of the face lies, share of the picture's height."""
_GRAY_WEIGHTS: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Scene(ABC):
    """A plan and an actor made ready.

    ``pivot`` is the image point about which the head rolls, ``peaks`` how far each action unit
    moves the skin at the apex of each of the plan's movements, (n_units,) px.
    """

    def __init__(self, plan: ClipPlan, pivot: Array, peaks: Sequence[Picture]) -> None:
        self.plan = plan
        self.pose = Pose(plan, pivot)
        self._peaks = peaks

    def units_px(self, time: float) -> Picture:
        """(n_units,) largest displacement of each action unit at a time, blinks aside, px."""
        parts = [
            peak * np.float32(move.envelope(time))
            for move, peak in zip(self.plan.movements, self._peaks, strict=True)
        ]
        return np.asarray(sum(parts, self.plan.speech_weights(time)), dtype=np.float32)

    def field(self, event: int) -> Picture:
        """What the plan's micro-expression of this number does to the resting face at its apex.

        (h, w, 2) displacement, image pixels, u right and v down, on every second pixel: entry
        (i, j) belongs to image point (2 j + 0.5, 2 i + 0.5); 0 where no skin is seen.
        """
        micro = [n for n, move in enumerate(self.plan.movements) if move.kind == "micro"]
        return self._field_at_apex(micro[event])

    @abstractmethod
    def _field_at_apex(self, movement: int) -> Picture: ...

    @abstractmethod
    def picture(self, time: float) -> Picture:
        """(H, W) or (H, W, 3) grey levels before the sensor."""

    @abstractmethod
    def landmarks(self, time: float) -> Array:
        """(68, 2) the iBUG/300-W points, image pixels."""

    @abstractmethod
    def face_pose(self, time: float) -> Array:
        """(2, 3) canonical units to image pixels, for the face without its expression."""


class Actor(Protocol):
    """Somebody who can play a plan."""

    def scene(self, plan: ClipPlan) -> Scene:
        """Make ready; InputError where actor and plan do not go together."""


def in_gray(picture: Picture) -> Picture:
    """(H, W) of (H, W, 3) RGB."""
    return np.asarray(picture @ _GRAY_WEIGHTS)


def cover(out: Picture, colour: Picture, share: Picture) -> None:
    """Lay a picture over another, by (H, W) shares; in place."""
    out += (colour - out) * (share if out.ndim == 2 else share[..., None])
