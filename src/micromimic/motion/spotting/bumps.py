"""Movements that come and go: displacement against the local past and future.

A micro-expression is a bump: the skin leaves its place and returns within half a second. The
filter compares the displacement under a raised-cosine window with the mean of what lies just
before and just after, so drift and slow pose change cancel. Each channel is divided by its own
noise (the median absolute deviation), and the strongest cells make the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_AT_ONCE: Final = 2**18
"""Numbers that are filtered or weighed at once, or one column: little beside the whole."""


def bump_kernel(duration: float, rate: float) -> Array:
    """Zero-mean kernel: a raised cosine, minus the mean of half its width on either side.
    ``duration``: seconds from onset to offset. Returns (2n + 1,) weights; the part above 0 sums to
    1, the whole to 0.

    >>> kernel = bump_kernel(0.1, 200.0)
    >>> len(kernel), abs(round(float(kernel.sum()), 12))
    (41, 0.0)
    """
    n = max(2, round(duration * rate))
    t = np.arange(-n, n + 1) / n
    bump = np.where(np.abs(t) <= 0.5, 0.5 + 0.5 * np.cos(2 * np.pi * t), 0.0)
    sides = np.where(np.abs(t) > 0.55, 1.0, 0.0)
    return np.asarray(bump / bump.sum() - sides / sides.sum())


def filter_columns(x: Array, kernels: Sequence[Array]) -> NDArray[np.float32]:
    """Correlate each column with symmetric kernels, edges repeated. ``x``: (T, n); ``kernels``:
    each (2m + 1,). Returns (k, T, n)."""
    widest = max(len(kernel) // 2 for kernel in kernels)
    size = scipy.fft.next_fast_len(len(x) + 2 * widest, real=True)
    transformed = [scipy.fft.rfft(kernel, size)[:, None] for kernel in kernels]
    filtered = np.empty((len(kernels), *x.shape), np.float32)
    columns = max(1, _AT_ONCE // size)
    for first in range(0, x.shape[1], columns):
        some = slice(first, first + columns)
        padded = np.pad(x[:, some], ((widest, widest), (0, 0)), mode="edge")
        waves = scipy.fft.rfft(padded, size, axis=0)
        for kernel, own, answer in zip(kernels, transformed, filtered, strict=True):
            # The circular product is right wherever the kernel lies within the data.
            begin = widest + len(kernel) // 2
            product = scipy.fft.irfft(waves * own, size, axis=0)
            answer[:, some] = product[begin : begin + len(x)]
    return filtered


def peaks(score: Array, least: float, apart: int) -> NDArray[np.intp]:
    """Where a score peaks, the highest first; a plateau counts in its middle.

    `scipy.signal` has the same, and takes .4 s to import. ``score``: (n,).

    >>> peaks(np.array([0.0, 3, 0, 5, 5, 5, 0, 2, 9]), 1.0, 3)
    array([4, 1])
    """
    starts = np.flatnonzero(np.diff(score, prepend=np.nan) != 0)
    middles = (starts + np.append(starts[1:], len(score)) - 1) // 2
    level = score[starts]
    higher = level[1:-1] > np.maximum(level[:-2], level[2:])
    found = middles[1:-1][higher & (level[1:-1] >= least)]
    free, kept = np.ones(len(score), bool), []
    for place in found[np.argsort(-score[found], kind="stable")]:
        if free[place]:
            kept.append(place)
            free[max(0, place - apart + 1) : place + apart] = False
    return np.array(kept, np.intp)


def mad(x: NDArray[np.floating], axis: int = 0) -> Array:
    """Robust standard deviation: 1.4826 times the median absolute deviation."""
    centre = np.median(x, axis=axis, keepdims=True)
    return np.asarray(1.4826 * np.median(np.abs(x - centre), axis=axis))


def strengths(
    response: NDArray[np.float32], noise: NDArray[np.floating], top: int
) -> NDArray[np.floating]:
    """How much the strongest cells stand out of the noise. ``response``: (k, T, c, 2) filter
    outputs; ``noise``: (k, c, 2) their robust standard deviation. Returns (k, T) root mean square
    of the strongest cells' response in multiples of the noise."""
    found = np.empty(response.shape[:2])
    step = max(1, _AT_ONCE // noise[0].size)
    for answers, floor, strength in zip(response, noise, found, strict=True):
        for first in range(0, len(answers), step):
            rows = slice(first, first + step)
            energy = np.sort(((answers[rows] / floor) ** 2).sum(-1), axis=1)
            strength[rows] = np.sqrt(energy[:, -top:].mean(-1))
    return found


def smooth(x: Array, seconds: float, rate: float) -> Array:
    """Gaussian low-pass along the first axis; nothing where it is narrower than half a sample."""
    sigma = seconds * rate
    return np.asarray(scipy.ndimage.gaussian_filter1d(x, sigma, axis=0)) if sigma > 0.5 else x


def local_rest(x: Array, rate: float, window: float = 1.4) -> Array:
    """Where each channel rests: its running median, which movements of half a second do not move.
    ``x``: (T, ...) displacement. Returns the same shape; computed at 40 samples a second and
    interpolated."""
    step = max(1, round(rate / 40.0))
    flat = x.reshape(len(x), -1)
    coarse = flat[::step]
    size = max(1, round(window * rate / step)) | 1
    at = np.arange(len(x))
    # A column at a time: SciPy's filter of one dimension takes a tenth of the time.
    medians = [scipy.ndimage.median_filter(c, size, mode="nearest") for c in coarse.T]
    columns = [np.interp(at, at[::step], median) for median in medians]
    return np.stack(columns, axis=1).reshape(x.shape)


def dilate(mask: Mask, seconds: float, rate: float) -> Mask:
    """Widen a mask by some seconds to both sides."""
    n = round(seconds * rate)
    return np.asarray(scipy.ndimage.binary_dilation(mask, np.ones(2 * n + 1, bool))) if n else mask
