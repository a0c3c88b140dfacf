"""Where the 68 landmarks lie on the rendered head, as points of its triangles.

The places were measured once: the landmarks that dlib finds on fourteen rendered people, carried
back to the unshaped mesh, their medians made symmetric. Those of lids and lips are then moved onto
the very edge that opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np

from micromimic.face.units import MIDLINE, UNIT_NAMES
from micromimic.synthesis.actors.base import Array
from micromimic.synthesis.actors.head.data import Numbers
from micromimic.synthesis.actors.head.mesh import Part, head_mesh
from micromimic.synthesis.actors.head.raster import Seen, look

_RESOLUTION: Final = 16.0  # pixels a canonical unit
_LEFT, _TOP, _SIDE = -8.0, -4.0, 44.0
# the right half and the midline, canonical units outward from the midline and down
_HALF: Final[dict[int, tuple[float, float]]] = {
    **dict(enumerate([(17.5, 6.0), (17.2, 10.5), (16.6, 14.4), (15.5, 18.7), (13.9, 22.7)])),
    **{5: (11.7, 26.1), 6: (8.6, 29.4), 7: (4.8, 32.5), 8: (0.0, 33.9)},
    **{17: (12.9, 3.6), 18: (10.9, 1.7), 19: (8.0, 0.9), 20: (4.9, 1.1), 21: (2.4, 2.4)},
    **{27: (0.0, 5.6), 28: (0.0, 8.2), 29: (0.0, 11.1), 30: (0.0, 14.0)},
    **{31: (3.1, 17.1), 32: (1.4, 17.9), 33: (0.0, 18.2)},
    **{36: (10.3, 6.9), 37: (8.4, 5.9), 38: (6.3, 5.8), 39: (4.4, 7.1)},
    **{40: (6.5, 7.8), 41: (8.7, 7.8)},
    **{48: (5.9, 23.0), 49: (3.6, 21.0), 50: (1.5, 20.4), 51: (0.0, 21.1)},
    **{57: (0.0, 25.7), 58: (1.3, 25.3), 59: (3.5, 24.7)},
    **{60: (4.7, 23.0), 61: (1.3, 22.6), 62: (0.0, 22.8), 66: (0.0, 23.1), 67: (1.3, 22.9)},
}
_MIRRORED: Final = {
    **{16 - i: i for i in range(8)},
    **{26 - i: 17 + i for i in range(5)},
    **{35: 31, 34: 32, 45: 36, 44: 37, 43: 38, 42: 39, 47: 40, 46: 41},
    **{54: 48, 53: 49, 52: 50, 55: 59, 56: 58, 64: 60, 63: 61, 65: 67},
}
_UPPER_INNER: Final = (61, 62, 63)
_LOWER_INNER: Final = (65, 66, 67)
_CROSS: Final = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True)
class Landmarks:
    """68 points of the surface."""

    corners: Numbers  # (68, 3) vertices
    weights: Array  # (68, 3) shares of them

    def of(self, vertices: Array) -> Array:
        """(68, c) the points, for (n, c) vertices."""
        return np.asarray((vertices[self.corners] * self.weights[..., None]).sum(1))


@cache
def head_landmarks() -> Landmarks:
    """Find the points on the unshaped head; once a process."""
    mesh = head_mesh()
    drawn = mesh.of(Part.SKIN, Part.EYE) & (mesh.base[mesh.triangles].mean(1)[:, 2] > -20.0)
    places = (mesh.base[:, :2] - (_LEFT, _TOP)) * _RESOLUTION - 0.5
    side = round(_SIDE * _RESOLUTION)
    seen = look(places, mesh.base[:, 2] * _RESOLUTION, mesh.triangles[drawn], (side, side))
    eye = mesh.parts[drawn][seen.triangles] == Part.EYE
    near = cv2.dilate(seen.picture(eye), _CROSS)[seen.rows, seen.columns] > 0
    at = np.column_stack([seen.columns, seen.rows]).astype(np.float64)
    wanted = np.array([_place(number) for number in range(68)])
    wanted = (wanted - (_LEFT, _TOP)) * _RESOLUTION - 0.5
    lids, skin = np.flatnonzero(~eye & near), np.flatnonzero(~eye)
    chosen = []
    for number, point in enumerate(wanted):
        among = lids if 36 <= number < 48 else skin
        chosen.append(int(among[np.argmin(np.hypot(*(at[among] - point).T))]))
    jaw = mesh.motions[UNIT_NAMES.index("26")][:, 1:2].astype(np.float64)
    falls = -seen.values(jaw)[:, 0] / -float(jaw.min())
    for upper, lower in zip(_UPPER_INNER, reversed(_LOWER_INNER), strict=True):
        chosen[upper], chosen[lower] = _lips(seen, falls, wanted[upper])
    numbers = np.array(chosen)
    return Landmarks(seen.corners[numbers], seen.weights[numbers])


def _place(number: int) -> tuple[float, float]:
    """Canonical point of a landmark on the unshaped head."""
    if number in _MIRRORED:
        out, y = _HALF[_MIRRORED[number]]
        return MIDLINE + out, y
    out, y = _HALF[number]
    return MIDLINE - out, y


def _lips(seen: Seen, falls: Array, point: Array) -> tuple[int, int]:
    """The pixels just over and just under where the lips meet, in a column near a point.

    ``falls``: (p,) how far each pixel sinks with the jaw, of the most.
    """
    column = np.flatnonzero(
        (seen.columns == round(point[0])) & (np.abs(seen.rows - point[1]) < 2 * _RESOLUTION)
    )
    column = column[np.argsort(seen.rows[column])]
    jump = int(np.argmax(np.diff(falls[column])))
    return int(column[jump]), int(column[jump + 1])
