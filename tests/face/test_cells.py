"""Votes split among the ten cells, against a loop."""

from __future__ import annotations

import numpy as np
import pytest

from micromimic.core.labels import CELLS
from micromimic.models.cell_shares import CENTRES, region_shares


def test_cell_centres_are_in_the_labels_order_and_mirror() -> None:
    assert tuple(CENTRES) == CELLS
    for name in CELLS:
        if name.endswith("_right"):
            x, y = CENTRES[name]
            other = CENTRES[name.replace("_right", "_left")]
            assert other == pytest.approx((26.8 - x, y))


def test_region_shares_equal_the_loop() -> None:
    rng = np.random.default_rng(0)
    votes = rng.random((7, 7))
    boxes = np.sort(rng.uniform(0, 28, (10, 2, 2)), axis=1).reshape(10, 4)
    wanted = dict.fromkeys(CELLS, 0.0)
    for row in range(7):
        for column in range(7):
            point = np.array([4 * column + 2, 4 * row + 2])
            gaps = [np.hypot(*((b[:2] + b[2:]) / 2 - point)) for b in boxes]
            wanted[CELLS[int(np.argmin(gaps))]] += votes[row, column] / votes.sum()
    got = region_shares(votes, boxes)
    assert got == pytest.approx(wanted)
    assert sum(region_shares(votes).values()) == pytest.approx(1)
    assert sum(region_shares(np.zeros((7, 7))).values()) == 0


def test_regions_refuse_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="votes must be"):
        region_shares(np.zeros(7))
    with pytest.raises(ValueError, match="cells must be"):
        region_shares(np.ones((7, 7)), np.zeros((9, 4)))
    with pytest.raises(ValueError, match="not below 0"):
        region_shares(-np.ones((7, 7)))
