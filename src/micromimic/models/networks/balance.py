"""Put u and v of a flow map back on one scale, and keep out what only real flow has.

Published maps stretch each channel to its own range, and `models.preprocess.center` does likewise,
so how much of a movement is upward and how much sideways is lost: where a brow only rises, the
noise in u is blown up to the size of v. Optical strain tells: it is known (up to a factor) beside u
and v, each up to a factor of its own, and with only one ratio of those do the three agree, since
``S^2 = u_x^2 + v_y^2 + (u_y + v_x)^2 / 2``. On drawn maps the ratio is found to 4 % (median); the
strain of real ones then correlates .89 with the given one (median of the development half).

What remains is smoothed, since real flow is far less smooth than drawn one, and brought to one
size.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromimic.core.canonical import UNITS

RATIOS: Final = np.exp(np.linspace(np.log(0.08), np.log(12.0), 41)).astype(np.float32)
"""Ratios of v to u that are tried, each channel having a spread of 1."""
SMOOTHING: Final = 2**0.5
"""Standard deviation, canonical units."""
SIZE: Final = 0.5
"""Root mean square of u and v together afterwards."""
FLOOR: Final = 1e-6


def difference_matrix() -> NDArray[np.float32]:
    """(28, 28) central differences, one-sided at the ends, as ``numpy.gradient``.

    >>> bool(np.allclose(difference_matrix() @ np.arange(28.0) ** 2, np.gradient(np.arange(28.0) ** 2)))
    True
    """  # noqa: E501 - one statement
    return np.asarray(np.gradient(np.eye(UNITS), axis=0), np.float32)


def smoothing_matrix() -> NDArray[np.float32]:
    """(28, 28) Gaussian along one axis; rows sum to 1, so edges keep their level."""
    at = np.arange(UNITS)
    # twice with half of the variance: at the edges, a little nearer to a true Gaussian
    once = np.exp(-((at[:, None] - at) ** 2) / SMOOTHING**2)
    once /= once.sum(1, keepdims=True)
    return np.asarray(once @ once, np.float32)


class Balance(nn.Module):
    """Centred maps to u and v on one scale; nothing in it is learnt.

    >>> Balance()(torch.randn(2, 3, 28, 28)).shape
    torch.Size([2, 2, 28, 28])
    """

    difference: Tensor
    smoothing: Tensor
    ratios: Tensor

    def __init__(self) -> None:
        super().__init__()
        # not part of the state: weights of any origin fit
        for name, values in (
            ("difference", difference_matrix()),
            ("smoothing", smoothing_matrix()),
            ("ratios", RATIOS),
        ):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    @torch.no_grad()
    def forward(self, maps: Tensor) -> Tensor:
        """(B, 2, 28, 28) u and v of (B, 3, 28, 28) centred maps."""
        spread = maps[:, :2].std((2, 3), correction=0, keepdim=True)
        flow = maps[:, :2] / (spread + FLOOR)
        flow = torch.stack([flow[:, 0], flow[:, 1] * self._ratio(flow, maps[:, 2])], 1)
        flow = self.smoothing @ flow @ self.smoothing.T
        size = torch.sqrt((flow * flow).mean((1, 2, 3), keepdim=True))
        return flow * (SIZE / (size + FLOOR))

    def _ratio(self, flow: Tensor, strain: Tensor) -> Tensor:
        """(B, 1, 1) factor of v with which the strain of u and v is likest to the given one."""
        u, v = flow[:, :1], flow[:, 1:]
        u_x, u_y = u @ self.difference.T, self.difference @ u
        v_x, v_y = v @ self.difference.T, self.difference @ v
        ratios = self.ratios.view(1, -1, 1, 1)
        own = torch.sqrt(u_x**2 + (ratios * v_y) ** 2 + 0.5 * (u_y + ratios * v_x) ** 2)
        own = own - own.mean((2, 3), keepdim=True)
        given = strain - strain.mean((1, 2), keepdim=True)
        norm = torch.sqrt((own * own).sum((2, 3))) + FLOOR
        likeness = (own * given.unsqueeze(1)).sum((2, 3)) / norm
        return self.ratios[likeness.argmax(1)].view(-1, 1, 1)
