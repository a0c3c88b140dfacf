"""What an epoch sees: which examples in which order, and how they are varied.

Decided by (seed, epoch) alone: an epoch's draws never depend on the epochs before it, so a run that
resumes sees what an unbroken one sees. Every example of a batch gets its own draw, one resampling
does all geometry, and what is drawn follows from the generator alone, on whatever device the batch
lies. (torchvision's transforms give a whole batch one draw, resample once a step, and take theirs
from the global generator.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def derive_seed(*numbers: int) -> int:
    """One seed from several numbers, as (seed, epoch); near numbers give unrelated seeds."""
    low, high = np.random.SeedSequence(list(numbers)).generate_state(2)
    # 62 bits: torch takes signed 64-bit seeds
    return (int(high) << 32 | int(low)) >> 2


def balanced_rows(
    targets: NDArray[np.integer], seed: int, epoch: int, count: int | None = None
) -> NDArray[np.int64]:
    """(count,) rows of one epoch with the classes in equal parts, in random order; None draws n.

    Each class is passed over in random order, and over again, until its part is full: of a class
    with more rows than its part no row comes twice, and of a rare one all rows come equally often,
    but for one.

    >>> rows = balanced_rows(np.array([0] * 8 + [1] * 2), seed=0, epoch=0)
    >>> np.bincount((rows >= 8).astype(int))
    array([5, 5])
    """
    if not len(targets):
        raise ValueError("expected at least one example, got none")
    count = len(targets) if count is None else count
    rng = np.random.default_rng([seed, epoch])
    classes = np.unique(targets)
    # which classes get the rest of an uneven division is drawn too
    parts = np.full(len(classes), count // len(classes))
    parts[rng.permutation(len(classes))[: count % len(classes)]] += 1
    drawn = []
    for number, part in zip(classes, parts, strict=True):
        rows = np.flatnonzero(targets == number)
        rounds = [rng.permutation(rows) for _ in range(-(-int(part) // len(rows)))]
        drawn.append(np.concatenate([*rounds, rows[:0]])[:part])
    return np.asarray(rng.permutation(np.concatenate(drawn)), np.int64)


def shuffled_rows(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.asarray(np.random.default_rng([seed, epoch]).permutation(count), np.int64)


def split_batches(rows: NDArray[np.int64], batch: int) -> Iterator[NDArray[np.int64]]:
    """Pieces of ``batch`` rows; a last piece of one row joins the piece before it.

    Batch normalisation cannot do with a single row.

    >>> [len(piece) for piece in split_batches(np.arange(9), 4)]
    [4, 5]
    """
    starts = list(range(0, len(rows), batch))
    if len(starts) > 1 and len(rows) - starts[-1] == 1:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield rows[start:end]


@dataclass(frozen=True)
class FaceAugment:
    # a crop is enlarged by up to this factor and a random window of it cut out: resizing and random
    # cropping. 8 / 7 is 256 pixels cropped to 224
    zoom: float = 8 / 7
    rotation: float = 8.0  # degrees to either side
    mirror: bool = True  # flip half of the crops left to right
    # brightness, contrast, saturation: factors between 1 - x and 1 + x. Grey crops stay grey
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    # every crop is enlarged by the whole factor, as if all were resized to one size
    resized: bool = False

    def __post_init__(self) -> None:
        jitter = (self.brightness, self.contrast, self.saturation)
        if self.zoom < 1 or self.rotation < 0 or not all(0 <= x < 1 for x in jitter):
            raise ValueError(
                "expected zoom >= 1, rotation >= 0 and jitter in [0, 1), got "
                f"{self.zoom}, {self.rotation}, {jitter}"
            )


def augment_faces(
    faces: Tensor, generator: torch.Generator, settings: FaceAugment | None = None
) -> Tensor:
    """(B, 3, H, W) float32 in 0..1 of uint8 or of such: resized, cropped, mirrored, rotated,
    recoloured.
    """
    settings = settings or FaceAugment()
    pictures = unit_range(faces)
    draw = _draws(len(pictures), 8, generator, pictures.device)
    zoom = 1 + (settings.zoom - 1) * (torch.ones_like(draw[0]) if settings.resized else draw[0])
    angle = _both_ways(draw[1]) * math.radians(settings.rotation)
    sign = _sign(draw[2], settings.mirror)
    # the window stays within the enlarged picture: it has that much room to either side
    shift = torch.stack([_both_ways(draw[3]), _both_ways(draw[4])], 1) * (zoom - 1)[:, None]
    pictures = _resample(pictures, zoom, angle, sign, shift, "reflection")
    return _jitter(pictures, draw[5:], settings)


def augment_maps(
    maps: Tensor,
    generator: torch.Generator,
    *,
    rotation: float = 8.0,
    scale: float = 0.05,
    shift: float = 1.5,
    mirror: bool = True,
) -> Tensor:
    """(B, 3, H, W) maps of the same movement seen in another place, size and attitude of the face.

    The vectors turn with the picture: under ``p' = s R M p + t`` (M the mirror, R the rotation)
    flow becomes ``f'(p') = s R M f(p)``. Strain is a scalar that these maps leave as it is. What
    comes in from outside the map repeats its border. Rotation is in degrees, shift in canonical
    units, to either side.
    """
    draw = _draws(len(maps), 5, generator, maps.device).to(maps.dtype)
    size = 1 + _both_ways(draw[0]) * scale
    angle = _both_ways(draw[1]) * math.radians(rotation)
    sign = _sign(draw[2], mirror)
    # grid_sample's coordinates go from -1 to 1 across the map
    moved = torch.stack([_both_ways(draw[3]), _both_ways(draw[4])], 1) * 2 * shift / maps.shape[-1]
    return transform_maps(maps, size, angle, sign, moved)


def transform_maps(
    maps: Tensor, size: Tensor, angle: Tensor, sign: Tensor, shift: Tensor
) -> Tensor:
    """Move (B, 3, H, W) maps and turn their vectors by (B,) amounts; `augment_maps` draws them.

    Angles are radians, clockwise on the screen; sign -1 mirrors; shift (B, 2) is right and down, in
    halves of the map's side.
    """
    moved = _resample(maps, size, angle, sign, shift, "border")
    u, v, strain = moved.unbind(1)
    u = u * sign[:, None, None]
    cos, sin = ((f(angle) * size)[:, None, None] for f in (torch.cos, torch.sin))
    return torch.stack([cos * u - sin * v, sin * u + cos * v, strain], 1)


def unit_range(pictures: Tensor) -> Tensor:
    if pictures.dtype == torch.uint8:
        return pictures.float() / 255
    return pictures.float()


def _resample(
    pictures: Tensor, size: Tensor, angle: Tensor, sign: Tensor, shift: Tensor, outside: str
) -> Tensor:
    """The picture under p' = size R(angle) M(sign) p + shift."""
    cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
    # grid_sample asks where each output pixel comes from: p = M R^T (p' - shift) / size
    rows = torch.stack([torch.stack([sign * cos, sign * sin], 1), torch.stack([-sin, cos], 1)], 1)
    theta = torch.cat([rows, -rows @ shift[:, :, None]], 2)
    grid = affine_grid(theta, list(pictures.shape), align_corners=False)
    return grid_sample(pictures, grid, padding_mode=outside, align_corners=False)


def _jitter(pictures: Tensor, draw: Tensor, settings: FaceAugment) -> Tensor:
    """Brightness, contrast about the mean grey, saturation about each pixel's grey."""
    ranges = (settings.brightness, settings.contrast, settings.saturation)
    brightness, contrast, saturation = (
        (1 + _both_ways(number) * most)[:, None, None, None]
        for number, most in zip(draw, ranges, strict=True)
    )
    pictures = pictures * brightness
    mean = _grey(pictures).mean((2, 3), keepdim=True)
    pictures = mean + (pictures - mean) * contrast
    grey = _grey(pictures)
    return (grey + (pictures - grey) * saturation).clamp(0, 1)


def _grey(pictures: Tensor) -> Tensor:
    """(B, 1, H, W) luma, ITU-R BT.601."""
    weights = pictures.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]
    return (pictures * weights).sum(1, keepdim=True)


def _draws(count: int, kinds: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(kinds, count) in [0, 1), drawn on the CPU: the same on every device."""
    return torch.rand(kinds, count, generator=generator).to(device)


def _both_ways(draw: Tensor) -> Tensor:
    return draw * 2 - 1


def _sign(draw: Tensor, mirror: bool) -> Tensor:
    return torch.where(draw < 0.5, -1.0, 1.0).to(draw.dtype) if mirror else torch.ones_like(draw)
