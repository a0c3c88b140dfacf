"""Capsule functions against slow loops in float64."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")

from micromimic.models.networks.capsules import dynamic_routing, margin_loss, squash  # noqa: E402


def squash_loop(x: np.ndarray) -> np.ndarray:
    n = np.sqrt((x**2).sum())
    return x * 0 if n == 0 else n**2 / (1 + n**2) * x / n


def routing_loop(votes: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """One example: (n_in, n_out, d)."""
    n_in, n_out, _ = votes.shape
    b = np.zeros((n_in, n_out))
    for step in range(iterations):
        c = np.zeros_like(b)
        for i in range(n_in):
            e = [np.exp(b[i, j]) for j in range(n_out)]
            for j in range(n_out):
                c[i, j] = e[j] / sum(e)
        v = np.stack(
            [squash_loop(sum(c[i, j] * votes[i, j] for i in range(n_in))) for j in range(n_out)]
        )
        if step < iterations - 1:
            for i in range(n_in):
                for j in range(n_out):
                    b[i, j] += v[j] @ votes[i, j]
    return v, c


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_routing_equals_the_loop(iterations: int) -> None:
    votes = np.random.default_rng(iterations).normal(size=(3, 11, 4, 6))
    upper, coupling = dynamic_routing(torch.from_numpy(votes), iterations)
    for k, example in enumerate(votes):
        v, c = routing_loop(example, iterations)
        np.testing.assert_allclose(upper[k].numpy(), v, atol=1e-9)
        np.testing.assert_allclose(coupling[k].numpy(), c, atol=1e-9)


def test_routing_follows_agreement() -> None:
    votes = torch.randn(1, 8, 2, 4, generator=torch.Generator().manual_seed(0)) * 0.1
    votes[:, :, 1] += torch.tensor([1.0, 0.0, 0.0, 0.0])
    upper, coupling = dynamic_routing(votes, 3)
    assert (coupling[0, :, 1] > 0.6).all()
    assert upper[0, 1].norm() > 3 * upper[0, 0].norm()


def test_no_gradient_through_the_earlier_iterations() -> None:
    votes = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    upper, coupling = dynamic_routing(votes, 3)
    assert not coupling.requires_grad
    (got,) = torch.autograd.grad(upper.sum(), votes)
    held = squash((coupling.detach().unsqueeze(3) * votes).sum(1))
    (wanted,) = torch.autograd.grad(held.sum(), votes)
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("size", [1e-3, 0.5, 1.0, 30.0])
def test_squash_equals_its_formula(size: float) -> None:
    x = np.random.default_rng(0).normal(size=7) * size
    np.testing.assert_allclose(squash(torch.from_numpy(x)).numpy(), squash_loop(x), rtol=1e-5)


@pytest.mark.parametrize("start", [0.0, 1e-20, 1e-6, 1e6])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_squash_is_finite_with_finite_gradient(start: float, kind: str) -> None:
    x = torch.full((2, 4), start, dtype=getattr(torch, kind), requires_grad=True)
    y = squash(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()
    assert (y.norm(dim=1) <= 1).all()
    if start == 0:
        assert (y == 0).all()


def test_margin_loss_equals_the_loop() -> None:
    rng = np.random.default_rng(0)
    lengths, targets = rng.random((9, 3)), rng.integers(3, size=9)
    total = 0.0
    for row, target in zip(lengths, targets, strict=True):
        for k, length in enumerate(row):
            if k == target:
                total += max(0, 0.9 - length) ** 2
            else:
                total += 0.5 * max(0, length - 0.1) ** 2
    got = margin_loss(torch.from_numpy(lengths), torch.from_numpy(targets))
    assert float(got) == pytest.approx(total / 9)


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(ValueError, match="votes must be"):
        dynamic_routing(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="iterations must be at least 1"):
        dynamic_routing(torch.zeros(1, 2, 3, 4), 0)
