"""Which examples an epoch sees, in which order: decided by (seed, epoch) alone.

An epoch's draws never depend on the epochs before it, so a run that resumes sees what an unbroken
one sees.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


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
    """(count,) all rows once, in random order."""
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
