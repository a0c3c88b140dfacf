"""Temporal interpolation: every clip resampled to the same number of frames.

The temporal interpolation model (TIM) of Zhou, Zhao and Pietikainen, "Towards a practical
lipreading system", CVPR 2011, takes a clip's frames for the nodes of a path graph, embeds the
mean-free frames so that they lie on the eigenvectors of the graph's Laplacian, extends those to the
continuous curves ``sin(pi k t + pi (T - k) / (2 T))`` and maps points of the curves back to frames.

For linearly independent frames the embedding cancels out. The eigenvectors of a path are the
DCT-II basis, the curves are its cosines at times between frames, and what remains is a matrix that
depends on the numbers of frames alone::

    A[s, i] = 1/T + 2/T sum_k cos(pi k (p_s - 1/2) / T) cos(pi k (i - 1/2) / T)

with positions ``p_s`` spread evenly from frame 1 to frame T. We apply that matrix: no decomposition
of pictures, and no failure where frames are equal or dependent, where the embedding has no solution
and this is the limit of those that have one.
"""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError


def interpolation_matrix(length: int, frames: int) -> NDArray[np.float64]:
    """(frames, length): new frames as weighted sums of the old ones; each row sums to 1.

    >>> interpolation_matrix(3, 5).round(3) + 0.0
    array([[ 1.   ,  0.   ,  0.   ],
           [ 0.455,  0.667, -0.122],
           [ 0.   ,  1.   ,  0.   ],
           [-0.122,  0.667,  0.455],
           [ 0.   ,  0.   ,  1.   ]])
    """
    if length < 2 or frames < 2:
        raise ValueError(f"expected 2 frames or more in and out, got {length} and {frames}")
    orders = np.arange(1, length)[:, None]
    known = np.cos(np.pi * orders * (np.arange(length) + 0.5) / length)
    wanted = np.cos(np.pi * orders * (np.linspace(0, length - 1, frames) + 0.5) / length)
    return np.asarray((1 + 2 * wanted.T @ known) / length)


@overload
def interpolate(volume: NDArray[np.uint8], frames: int = 10) -> NDArray[np.uint8]: ...


@overload
def interpolate(volume: NDArray[np.floating], frames: int = 10) -> NDArray[np.float64]: ...


def interpolate(
    volume: NDArray[np.uint8] | NDArray[np.floating], frames: int = 10
) -> NDArray[np.uint8] | NDArray[np.float64]:
    """Resample a clip in time with the temporal interpolation model. ``volume``: (T, H, W) uint8 or
    floating, T of 2 or more; fewer frames than wanted will do. Returns (frames, H, W). uint8 comes
    back as uint8, rounded to the nearest and cut to 0..255, as if the frames had been saved as
    pictures; floating types as float64. With ``frames`` equal to T a uint8 clip comes back
    unchanged.

    >>> clip = np.array([10, 20, 10], np.uint8).reshape(3, 1, 1)
    >>> interpolate(clip, 5).ravel()
    array([10, 17, 20, 17, 10], dtype=uint8)
    """
    data = np.asarray(volume)
    if data.ndim != 3 or not data.size:
        raise ValueError(f"volume must be (T, H, W) and not empty, got {data.shape}")
    if len(data) < 2:
        raise InputError(
            "expected a clip of 2 frames or more, got 1; interpolation in time needs motion, so "
            "give the clip's frames from onset to offset"
        )
    matrix = interpolation_matrix(len(data), frames)
    mixed = matrix @ data.reshape(len(data), -1).astype(np.float64)
    mixed = mixed.reshape(frames, *data.shape[1:])
    if data.dtype == np.uint8:
        return np.asarray(np.rint(mixed).clip(0, 255), np.uint8)
    return np.asarray(mixed)
