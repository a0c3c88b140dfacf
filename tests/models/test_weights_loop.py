"""What trains the shipped weights: its one loop, and the recipes that leave a table out."""

from __future__ import annotations

import pytest

from micromimic.core.labels import THREE
from micromimic.synthesis.recipes import _BOOKS, COMBINATIONS, Combination
from weights.cards import WITHOUT

LEFT_OUT = {  # what one table alone attests, by class
    "casme2": {"negative": ("4", "10"), "positive": ("14",), "surprise": ("1",)},
    "samm": {"negative": ("20",), "positive": ("7", "12"), "surprise": ("5",)},
}


@pytest.mark.needs("train")
def test_the_loop_is_the_one_that_made_the_shipped_file() -> None:
    """One stream of chance from weights to the last step; written out, as it was then."""
    import torch
    from torch import nn

    from weights.config import TrainConfig
    from weights.loop import fit

    def make() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 3)
        )

    def mirror(maps, wanted):
        return -maps.flip(3), wanted[:, [2, 1, 0]]

    torch.manual_seed(1)
    inputs, targets = torch.randn(50, 2, 8, 8), torch.rand(50, 3)
    config, loss = TrainConfig(batch=16), nn.functional.mse_loss
    told: list[tuple[int, int | None, str]] = []
    torch.manual_seed(5)
    wanted_next = torch.rand(1)
    torch.manual_seed(5)
    found = fit(
        make, inputs, targets, loss=loss, mirror=mirror, seed=7, epochs=4, config=config,
        progress=lambda *steps: told.append(steps),
    )  # fmt: skip
    assert torch.rand(1) == wanted_next
    assert told == [(step, 12, "training") for step in range(1, 13)]
    assert not found.training

    torch.manual_seed(7)
    plain = make().train()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=12, pct_start=0.2)
    for step in range(12):
        if step % 3 == 0:
            order = torch.randperm(50)
        rows = order[step % 3 * 16 : step % 3 * 16 + 16]
        chosen = torch.rand(16) < 0.5
        maps, wanted = inputs[rows], targets[rows]
        other, turned = mirror(maps, wanted)
        maps = torch.where(chosen[:, None, None, None], other, maps)
        optimizer.zero_grad()
        loss(plain(maps), torch.where(chosen[:, None], turned, wanted)).backward()
        optimizer.step()
        schedule.step()
    for one, other in zip(found.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def _shares(options: tuple[Combination, ...]) -> dict[tuple[str, ...], float]:
    total = sum(option.share for option in options)
    found: dict[tuple[str, ...], float] = {}
    for option in options:
        found[option.units] = found.get(option.units, 0.0) + option.share / total
    return found


@pytest.mark.parametrize("database", WITHOUT)
@pytest.mark.parametrize("label", THREE)
def test_recipes_without_a_table_know_nothing_of_it(database: str, label: str) -> None:
    book = _shares(_BOOKS[WITHOUT[database]][label])
    assert LEFT_OUT[database][label] not in book
    other = next(name for name in WITHOUT if name != database)
    assert book[LEFT_OUT[other][label]] > 0.02
    assert LEFT_OUT[database][label] in _shares(_BOOKS[WITHOUT[other]][label])


@pytest.mark.parametrize("label", THREE)
def test_both_tables_together_are_what_the_shipped_recipes_round(label: str) -> None:
    """A table that was copied wrongly, or a database's name on the other's, would stand out."""
    both, shipped = _shares(_BOOKS["tables"][label]), _shares(COMBINATIONS[label])
    gap = sum(abs(both.get(k, 0) - shipped.get(k, 0)) for k in {*both, *shipped}) / 2
    assert gap < 0.2
    units = {u for options in COMBINATIONS.values() for one in options for u in one.units}
    assert {unit for combination in both for unit in combination} <= units
