"""u and v back on one scale: against a slow reference, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")

from micromimic.core.labels import THREE  # noqa: E402
from micromimic.models.networks.flow import RATIOS, SIZE, Balance, FlowCapsNet, smoothing_matrix  # noqa: E402
from micromimic.models.preprocess import center, mirror  # noqa: E402
from micromimic.synthesis.maps import generate_maps  # noqa: E402


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    return generate_maps([THREE.names[k % 3] for k in range(60)], seed=77)


def balanced(maps: np.ndarray) -> np.ndarray:
    return np.asarray(Balance()(torch.from_numpy(center(maps))).numpy())


def slow(centred: np.ndarray) -> np.ndarray:
    """One map at a time, in float64, with numpy's own gradient and correlation."""
    out = []
    for raw_u, raw_v, strain in centred.astype(np.float64):
        u, v = raw_u / raw_u.std(), raw_v / raw_v.std()
        (u_y, u_x), (v_y, v_x) = np.gradient(u), np.gradient(v)
        likeness = [
            np.corrcoef(
                np.sqrt(u_x**2 + (r * v_y) ** 2 + 0.5 * (u_y + r * v_x) ** 2).ravel(),
                strain.ravel(),
            )[0, 1]
            for r in RATIOS
        ]
        both = np.stack([u, v * RATIOS[int(np.argmax(likeness))]])
        both = smoothing_matrix() @ both @ smoothing_matrix().T
        out.append(both * SIZE / np.sqrt((both**2).mean()))
    return np.stack(out)


def test_it_equals_the_slow_reference(maps: np.ndarray) -> None:
    np.testing.assert_allclose(balanced(maps), slow(center(maps)), atol=2e-4)


def test_each_channels_own_scale_and_level_do_not_matter(maps: np.ndarray) -> None:
    factors = np.array([3.0, 0.2, 50.0], np.float32)[:, None, None]
    levels = np.array([7.0, -2.0, 100.0], np.float32)[:, None, None]
    # as 8-bit pictures of channels stretched one by one
    np.testing.assert_allclose(balanced(maps * factors + levels), balanced(maps), atol=2e-3)


def test_the_ratio_of_the_channels_is_found(maps: np.ndarray) -> None:
    """What stretching took away: the size of v beside u."""
    true = maps[:, 1].std((1, 2)) / maps[:, 0].std((1, 2))
    smooth = smoothing_matrix()
    wanted = np.stack([smooth @ maps[:, k] @ smooth.T for k in (0, 1)])
    wanted = wanted[1].std((1, 2)) / wanted[0].std((1, 2))
    found = balanced(maps).std((2, 3))
    error = np.abs(np.log(found[:, 1] / found[:, 0]) - np.log(wanted))
    assert np.median(error) < 0.08
    # it tells something: the ratios themselves differ far more
    assert np.abs(np.log(true) - np.median(np.log(true))).mean() > 3 * np.median(error)


def test_a_mirrored_map_gives_the_mirrored_answer(maps: np.ndarray) -> None:
    turned = balanced(mirror(maps))[..., ::-1].copy()
    turned[:, 0] *= -1
    np.testing.assert_allclose(turned, balanced(maps), atol=1e-4)


def test_still_maps_stay_finite() -> None:
    still = np.zeros((2, 3, 28, 28), np.float32)
    still[1, 1, 10, 10] = 1.0
    found = balanced(still)
    assert np.isfinite(found).all()
    assert (found[0] == 0).all()


def test_it_learns_nothing_and_its_weights_fit_any_network() -> None:
    network = FlowCapsNet(balanced=True)
    assert not [name for name in network.state_dict() if name.startswith("balance")]
    assert network.conv.weight.shape[1] == 2
