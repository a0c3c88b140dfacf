"""Varied training examples: faces stay faces, flow keeps its directions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")

from torch import nn  # noqa: E402

from micromimic.models.preprocess import mirror  # noqa: E402
from micromimic.models.training.batches import (  # noqa: E402
    FaceAugment,
    augment_faces,
    augment_maps,
    transform_maps,
)

STILL = FaceAugment(zoom=1, rotation=0, mirror=False, brightness=0, contrast=0, saturation=0)


def generator(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, side: int = 48, seed: int = 0) -> Any:
    """(n, 3, side, side) uint8, smooth enough to be resampled."""
    small = torch.rand(count, 3, 8, 8, generator=generator(seed))
    big = nn.functional.interpolate(small, size=side, mode="bicubic").clamp(0, 1)
    return (big * 255).round().to(torch.uint8)


def test_varied_faces_are_reproducible_each_its_own_and_in_range() -> None:
    same = pictures(1).expand(6, -1, -1, -1)
    varied = augment_faces(same, generator(1))
    assert varied.shape == same.shape
    assert varied.dtype == torch.float32
    assert varied.min() >= 0
    assert varied.max() <= 1
    assert torch.equal(varied, augment_faces(same, generator(1)))
    assert not torch.equal(varied, augment_faces(same, generator(2)))
    for i in range(6):
        for j in range(i):
            assert (varied[i] - varied[j]).abs().mean() > 0.01


def test_no_variation_is_no_change() -> None:
    given = pictures()
    torch.testing.assert_close(augment_faces(given, generator(), STILL), given / 255)


def test_mirroring_flips_about_half_of_the_faces() -> None:
    given = pictures(1).expand(200, -1, -1, -1)
    varied = augment_faces(given, generator(), replace(STILL, mirror=True))
    same = (varied - given / 255).abs().amax((1, 2, 3)) < 1e-5
    flipped = (varied - given.flip(3) / 255).abs().amax((1, 2, 3)) < 1e-5
    assert (same ^ flipped).all()
    assert 70 < int(flipped.sum()) < 130


def test_faces_may_all_be_enlarged_alike() -> None:
    """Each is a window of the one picture, enlarged by the whole factor, wherever it lies."""
    given = pictures(1, side=64).expand(20, -1, -1, -1)
    varied = augment_faces(given, generator(), replace(STILL, zoom=2, resized=True))
    big = nn.functional.interpolate(given[:1] / 255, scale_factor=2, mode="bilinear")
    windows = big[0].unfold(1, 64, 1).unfold(2, 64, 1)  # (3, rows, columns, 64, 64)
    for face in varied[:5]:
        error = (windows - face[:, None, None]).abs().mean((0, 3, 4))
        assert error.min() < 0.02 < error.median()
    assert not torch.equal(varied[0], varied[1])


def test_grey_faces_stay_grey() -> None:
    grey = pictures()[:, :1].expand(-1, 3, -1, -1)
    strong = FaceAugment(brightness=0.5, contrast=0.5, saturation=0.9)
    varied = augment_faces(grey, generator(), strong)
    torch.testing.assert_close(varied[:, 0], varied[:, 1], atol=2e-6, rtol=0)
    torch.testing.assert_close(varied[:, 0], varied[:, 2], atol=2e-6, rtol=0)


def test_zooming_cuts_a_window_out_of_the_enlarged_face() -> None:
    """A horizontal ramp tells where each column came from: never from outside the picture."""
    side = 64
    ramp = torch.linspace(0.5 / side, 1 - 0.5 / side, side).expand(50, 3, side, side)
    varied = augment_faces(ramp, generator(), replace(STILL, zoom=1.5))
    spans = varied[:, 0, 0, -1] - varied[:, 0, 0, 0]
    assert (spans > (1 - 1 / side) / 1.5 - 1e-4).all()
    assert (varied.diff(dim=3) > -1e-6).all(), "nothing from beyond the border was mirrored in"
    assert spans.max() - spans.min() > 0.2
    starts = varied[:, 0, 0, 0]
    assert starts.max() > 0.15
    assert starts.min() < 0.03


@pytest.mark.parametrize("wrong", [{"zoom": 0.9}, {"rotation": -1}, {"contrast": 1.0}])
def test_impossible_variation_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected zoom"):
        FaceAugment(**wrong)  # type: ignore[arg-type]


def smooth_field(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u, v at canonical points: three soft movements in different directions."""
    u, v = np.zeros_like(x), np.zeros_like(x)
    for cx, cy, width, du, dv in (
        (8, 9, 4, 1, 0.3),
        (19, 20, 5, -0.4, 0.9),
        (14, 14, 6, 0.2, -0.7),
    ):
        bell = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
        u, v = u + du * bell, v + dv * bell
    return u, v


def grid() -> tuple[np.ndarray, np.ndarray]:
    axis = np.arange(28) + 0.5
    x, y = np.meshgrid(axis, axis)
    return x, y


def field_map() -> Any:
    u, v = smooth_field(*grid())
    return torch.from_numpy(np.stack([u, v, strain_of(u, v)])[None]).float()


def strain_of(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    (uy, ux), (vy, vx) = np.gradient(u), np.gradient(v)
    return np.sqrt(ux**2 + vy**2 + 0.5 * (uy + vx) ** 2)


def moved(maps: Any, size: float, degrees: float, sign: float, shift: tuple[float, float]) -> Any:
    """`transform_maps` by one set of amounts; the shift in canonical units."""
    return transform_maps(
        maps,
        torch.tensor([size]),
        torch.deg2rad(torch.tensor([degrees])),
        torch.tensor([sign]),
        torch.tensor([shift]) / 14,
    )[0].numpy()


@pytest.mark.parametrize(
    ("size", "degrees", "sign", "shift"),
    [
        (1.0, 8.0, 1.0, (0.0, 0.0)),
        (1.0, 30.0, 1.0, (0.0, 0.0)),
        (1.05, 0.0, 1.0, (1.5, -1.0)),
        (1.0, 0.0, -1.0, (0.0, 0.0)),
        (0.95, -8.0, -1.0, (-1.0, 1.5)),
    ],
)
def test_moved_maps_equal_the_moved_field(
    size: float, degrees: float, sign: float, shift: tuple[float, float]
) -> None:
    got = moved(field_map(), size, degrees, sign, shift)
    # the same by complex numbers: a turn is a product, a mirror a conjugate about the other axis
    x, y = grid()
    turn = size * np.exp(1j * np.radians(degrees))
    points = ((x + 1j * y) - complex(*shift) - (14 + 14j)) / turn
    points = (points.real * sign + 1j * points.imag) + (14 + 14j)
    u, v = smooth_field(points.real, points.imag)
    vectors = (sign * u + 1j * v) * turn
    inside = np.hypot(x - 14, y - 14) < 11
    assert np.abs(vectors)[inside].max() > 0.5
    np.testing.assert_allclose(got[0][inside], vectors.real[inside], atol=0.02)
    np.testing.assert_allclose(got[1][inside], vectors.imag[inside], atol=0.02)
    # strain of the moved vectors is the moved strain
    np.testing.assert_allclose(strain_of(got[0], got[1])[inside], got[2][inside], atol=0.03)


def test_a_quarter_turn_takes_right_to_down() -> None:
    maps = torch.zeros(1, 3, 28, 28)
    maps[0, 0, 14, 22] = 1.0  # to the right, at the right
    got = moved(maps, 1.0, 90.0, 1.0, (0.0, 0.0))
    place = np.unravel_index(np.abs(got[1]).argmax(), (28, 28))
    assert got[1][place] > 0.3  # down
    assert np.abs(got[0]).max() < 1e-6
    assert place[0] >= 21
    assert place[1] in (13, 14)


def test_mirrored_maps_equal_the_runtimes() -> None:
    maps = torch.randn(3, 3, 28, 28, generator=generator())
    for row in maps:
        got = moved(row[None], 1.0, 0.0, -1.0, (0.0, 0.0))
        np.testing.assert_allclose(got, mirror(row[None].numpy())[0], atol=1e-5)


def test_drawn_maps_are_reproducible_and_within_bounds() -> None:
    one = torch.zeros(1, 3, 28, 28)
    one[0, 0] = 1.0
    maps = one.expand(300, -1, -1, -1)
    got = augment_maps(maps, generator(1))
    assert torch.equal(got, augment_maps(maps, generator(1)))
    u, v = got[:, 0].mean((1, 2)), got[:, 1].mean((1, 2))
    lengths, angles = torch.hypot(u, v), torch.rad2deg(torch.atan2(v, u.abs()))
    assert ((lengths > 0.949) & (lengths < 1.051)).all()
    assert (angles.abs() < 8.001).all()
    assert lengths.max() - lengths.min() > 0.08
    assert angles.max() - angles.min() > 14
    assert 100 < int((u < 0).sum()) < 200
    only = augment_maps(maps, generator(), rotation=0, scale=0, shift=0, mirror=False)
    torch.testing.assert_close(only, maps)
