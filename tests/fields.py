"""Fields of action units, sampled where a test looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates


def sample_field(
    field: NDArray[np.floating], units_xy: NDArray[np.floating]
) -> NDArray[np.float64]:
    """(..., *points) of fields (..., 84, 84) at canonical points (*points, 2), bilinear."""
    places = np.moveaxis((np.asarray(units_xy)[..., ::-1] + 7) * 2 - 0.5, -1, 0)
    planes = np.asarray(field, np.float64).reshape(-1, 84, 84)
    found = [map_coordinates(plane, places, order=1, mode="nearest") for plane in planes]
    return np.array(found).reshape(*field.shape[:-2], *places.shape[1:])
