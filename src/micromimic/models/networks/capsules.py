"""Capsules: squash, routing by agreement, margin loss.

Sabour, Frosst, Hinton, "Dynamic Routing Between Capsules", NeurIPS 2017, as used for
micro-expressions by Quang, Chun, Tokuyama, "CapsuleNet for Micro-Expression Recognition", FG 2019
(doi 10.1109/FG.2019.8756544).
"""

from __future__ import annotations

import torch
from torch import Tensor


def squash(x: Tensor, dim: int = -1) -> Tensor:
    """Shrink each capsule to a length below 1, keeping its direction.

    ``v = |x|^2 / (1 + |x|^2) * x / |x|``; value and gradient are finite at 0, where both are 0.

    >>> squash(torch.tensor([3.0, 4.0])).norm().item()
    0.9615...
    """
    square = (x * x).sum(dim, keepdim=True)
    # the tiny constant only acts where |x| < 1e-5: there |x| / (1 + |x|^2) has a kink at 0
    return x * (square / (1 + square)) * torch.rsqrt(square + 1e-12)


def dynamic_routing(votes: Tensor, iterations: int = 3) -> tuple[Tensor, Tensor]:
    """Routing by agreement: upper capsules (B, n_out, d), and the last coupling (B, n_in, n_out).

    Of votes (B, n_in, n_out, d), ``W_ij u_i``: ``c_ij = softmax_j(b_ij)``, ``x_j = sum_i c_ij
    votes_ij``, ``v_j = squash(x_j)``, ``b_ij += v_j . votes_ij``, from ``b = 0``. Gradients flow
    through the last iteration only: the coupling is a decision, not a path to learn along.
    """
    if votes.dim() != 4:
        raise ValueError(f"votes must be (B, n_in, n_out, d), got {tuple(votes.shape)}")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    fixed = votes.detach()
    logits = torch.zeros(votes.shape[:3], dtype=votes.dtype, device=votes.device)
    for _ in range(iterations - 1):
        upper = squash((logits.softmax(2).unsqueeze(3) * fixed).sum(1))
        logits = logits + (fixed * upper.unsqueeze(1)).sum(3)
    coupling = logits.softmax(2)
    return squash((coupling.unsqueeze(3) * votes).sum(1)), coupling


def lengths_of(capsules: Tensor) -> Tensor:
    """(B, k) lengths of (B, k, d) capsules, with a gradient at 0."""
    return torch.sqrt((capsules * capsules).sum(2) + 1e-12)


def margin_loss(
    lengths: Tensor,
    targets: Tensor,
    present: float = 0.9,
    absent: float = 0.1,
    absent_weight: float = 0.5,
) -> Tensor:
    """Mean of ``sum_k T_k max(0, m+ - |v_k|)^2 + lambda (1 - T_k) max(0, |v_k| - m-)^2``.

    >>> margin_loss(torch.tensor([[0.9, 0.1]]), torch.tensor([0])).item()
    0.0
    """
    truth = torch.nn.functional.one_hot(targets, lengths.shape[1]).to(lengths.dtype)
    missing = truth * torch.relu(present - lengths) ** 2
    spurious = (1 - truth) * torch.relu(lengths - absent) ** 2
    return (missing + absent_weight * spurious).sum(1).mean()
