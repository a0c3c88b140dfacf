"""Networks on flow maps: the compact capsule network, its plain counterpart, and what they see."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromimic.core.canonical import UNITS
from micromimic.models.networks.capsules import dynamic_routing, lengths_of, squash

RATIOS: Final = np.exp(np.linspace(np.log(0.08), np.log(12.0), 41)).astype(np.float32)
"""Ratios of v to u that are tried, each channel having a spread of 1."""
SMOOTHING: Final = 2**0.5
"""Standard deviation, canonical units."""
SIZE: Final = 0.5
"""Root mean square of u and v together afterwards."""
FLOOR: Final = 1e-6


def difference_matrix() -> NDArray[np.float32]:
    """(28, 28) central differences, one-sided at the ends, as ``numpy.gradient``."""
    return np.asarray(np.gradient(np.eye(UNITS), axis=0), np.float32)


def smoothing_matrix() -> NDArray[np.float32]:
    """(28, 28) Gaussian along one axis; rows sum to 1, so edges keep their level."""
    at = np.arange(UNITS)
    # twice with half of the variance: at the edges, a little nearer to a true Gaussian
    once = np.exp(-((at[:, None] - at) ** 2) / SMOOTHING**2)
    once /= once.sum(1, keepdims=True)
    return np.asarray(once @ once, np.float32)


class Balance(nn.Module):
    """Put u and v of centred maps back on one scale, and keep out what only real flow has.

    Published maps stretch each channel to its own range, and `models.preprocess.center` does
    likewise, so how much of a movement is upward and how much sideways is lost: where a brow only
    rises, the noise in u is blown up to the size of v. Optical strain tells: it is known (up to a
    factor) beside u and v, each up to a factor of its own, and with only one ratio of those do the
    three agree, since ``S^2 = u_x^2 + v_y^2 + (u_y + v_x)^2 / 2``. On drawn maps the ratio is found
    to 4 % (median). What remains is smoothed, since real flow is far less smooth than drawn one,
    and brought to one size. Nothing in it is learnt.

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


GRID: Final = 7
"""Places of primary capsules along a side of the face."""
PRIMARY_SIZE: Final = 8
CLASS_SIZE: Final = 16


class FlowCapsNet(nn.Module):
    """Class lengths from centred flow maps: convolution, primary capsules, class capsules.

    Both convolutions have kernel 6, stride 2 and padding 2, so a 28-unit map becomes 14 x 14 and
    then 7 x 7 places that tile the face: place (row, column) has its receptive field's centre at
    ``(4 column + 2, 4 row + 2)`` canonical units, the field is 16 units wide, and a mirrored map
    gives mirrored places. ``balanced`` looks at what `Balance` makes of the map, which carries over
    from drawn maps to real ones; else at the three centred channels.

    >>> FlowCapsNet()(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        width: int = 16,
        capsule_types: int = 4,
        iterations: int = 3,
        *,
        balanced: bool = False,
        classes: int = 3,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.capsule_types = capsule_types
        self.iterations = iterations
        self.balance = Balance() if balanced else None
        self.conv = nn.Conv2d(2 if balanced else 3, width, 6, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(width)
        self.primary = nn.Conv2d(width, capsule_types * PRIMARY_SIZE, 6, stride=2, padding=2)
        places = GRID * GRID * capsule_types
        self.transform = nn.Parameter(torch.randn(places, PRIMARY_SIZE, classes * CLASS_SIZE) * 0.1)

    def seen(self, maps: Tensor) -> Tensor:
        """What the first convolution sees of (B, 3, 28, 28) centred maps."""
        return maps if self.balance is None else self.balance(maps)

    def votes(self, maps: Tensor) -> Tensor:
        """(B, types * 49, k, 16) what each primary capsule predicts for each class capsule.

        Of (B, 3, 28, 28) centred maps; primary capsules by type, then row, then column.
        """
        return self._votes(self.seen(maps))

    def _votes(self, seen: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.conv(seen)))
        shape = (-1, self.capsule_types, PRIMARY_SIZE, GRID * GRID)
        capsules = squash(self.primary(hidden).reshape(shape).transpose(2, 3))
        capsules = capsules.reshape(-1, self.capsule_types * GRID * GRID, PRIMARY_SIZE)
        predicted = torch.matmul(capsules.transpose(0, 1), self.transform).transpose(0, 1)
        return predicted.reshape(-1, predicted.shape[1], self.classes, CLASS_SIZE)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, k) lengths of the class capsules, each in [0, 1)."""
        return self.lengths_of(self.seen(maps))

    def lengths_of(self, seen: Tensor) -> Tensor:
        upper, _ = dynamic_routing(self._votes(seen), self.iterations)
        return lengths_of(upper)


def two_convolutions(width: int) -> nn.Sequential:
    """(B, 3, 28, 28) maps to (B, 2 width, 7, 7) features."""
    return nn.Sequential(
        nn.Conv2d(3, width, 6, stride=2, padding=2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 6, stride=2, padding=2),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
    )


class FlowCnn(nn.Module):
    """Class logits from centred flow maps: the same two convolutions, no capsules."""

    def __init__(self, width: int = 16, dropout: float = 0.5, classes: int = 3) -> None:
        super().__init__()
        self.features = two_convolutions(width)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(2 * width * GRID * GRID, classes)

    def forward(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.last(self.dropout(self.features(maps).flatten(1)))
        return logits
