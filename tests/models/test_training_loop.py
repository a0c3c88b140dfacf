"""The training loop on a tiny network: resuming, early stopping, and leaving no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")

from torch import Tensor, nn  # noqa: E402

from micromimic.core.errors import ModelError  # noqa: E402
from micromimic.models.base import EarlyStopping, FitRun  # noqa: E402
from micromimic.models.samples import Samples  # noqa: E402
from micromimic.models.training.batches import (  # noqa: E402
    balanced_rows,
    derive_seed,
    shuffled_rows,
    split_batches,
)
from micromimic.models.training.device import Hardware, choose_hardware  # noqa: E402
from micromimic.models.training.faces import Recipe  # noqa: E402
from micromimic.models.training.loop import Plan, run_epochs  # noqa: E402

DATA = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
TARGETS = (DATA[:, 0] > 0).long() + (DATA[:, 1] > 1).long()
PLAIN = FitRun()
State = dict[str, Tensor]


@dataclass
class Wrapped:
    """Stands in for a fitted model."""

    network: nn.Module

    def scores(self, inputs: Any) -> Any:
        return self.network(inputs)

    def to_onnx(self, metadata: Any) -> bytes:
        raise NotImplementedError


class KilledError(Exception):
    """A run ends in the middle."""


class Scripted:
    """A validation score read from a list; keeps the weights that it was shown."""

    def __init__(self, scores: list[float]) -> None:
        self.scores = iter(scores)
        self.shown: list[State] = []

    def __call__(self, network: nn.Module) -> float:
        assert not network.training
        self.shown.append(state_of(network))
        return next(self.scores)


def state_of(network: nn.Module) -> State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def parts(epochs: int) -> dict[str, Any]:
    """A network with everything that keeps state: dropout, batch statistics, two schedules."""
    torch.manual_seed(5)
    network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    return {
        "network": network,
        "optimizer": optimizer,
        "step_schedule": torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-2, 4 * epochs),
        "epoch_schedule": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
    }


def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    for rows in split_batches(shuffled_rows(len(DATA), 1, epoch), 10):
        # the global generator may be drawn from as well
        yield DATA[rows] + 0.1 * torch.randn(len(rows), 6), TARGETS[rows]


def train(run: FitRun = PLAIN, epochs: int = 6, **more: Any) -> tuple[State, int]:
    """The trained weights and the number of epochs run."""
    given = {**parts(epochs), "batches": batches, "epochs": epochs, **more}
    network = given.pop("network")
    others = {name: given.pop(name, None) for name in ("stop", "validation")}
    seed = given.pop("seed", 3)
    plan = Plan(loss=nn.functional.cross_entropy, **given)
    ran = run_epochs(network, plan, run, fitted=Wrapped, seed=seed, **others)
    assert not network.training
    return state_of(network), ran


def assert_same(left: State, right: State) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


def killing(after: int) -> Callable[[int, Any], None]:
    """A callback that ends the run once that many epochs are in the checkpoint."""

    def callback(epoch: int, model: Any) -> None:
        if epoch == after:
            raise KilledError

    return callback


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path, after: int) -> None:
    whole, _ = train()
    run = FitRun(checkpoint=tmp_path / "fold" / "c.pt")
    with pytest.raises(KilledError):
        train(replace(run, each_epoch=killing(after)))
    seen: list[int] = []
    again, ran = train(replace(run, each_epoch=lambda epoch, model: seen.append(epoch)))
    assert_same(whole, again)
    assert ran == 6
    assert seen == list(range(after, 6))
    # what is finished is not trained again
    finished, ran = train(run, batches=lambda epoch: pytest.fail("trained again"))
    assert_same(whole, finished)
    assert ran == 6


def test_a_kill_in_mid_epoch_costs_that_epoch_only(tmp_path: Path) -> None:
    def breaking(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for number, batch in enumerate(batches(epoch)):
            if (epoch, number) == (3, 2):
                raise KilledError
            yield batch

    whole, _ = train()
    run = FitRun(checkpoint=tmp_path / "c.pt")
    with pytest.raises(KilledError):
        train(run, batches=breaking)
    again, _ = train(run)
    assert_same(whole, again)


def test_a_resumed_run_remembers_the_best_epoch_of_before(tmp_path: Path) -> None:
    scores = [0.1, 0.8, 0.3, 0.3, 0.2, 0.1]
    stop = EarlyStopping(patience=3)
    whole, ran = train(stop=stop, validation=Scripted(scores))
    assert ran == 5
    run = FitRun(checkpoint=tmp_path / "c.pt")
    with pytest.raises(KilledError):
        train(replace(run, each_epoch=killing(3)), stop=stop, validation=Scripted(scores))
    again, ran = train(run, stop=stop, validation=Scripted(scores[3:]))
    assert ran == 5
    assert_same(whole, again)
    _, ran = train(run, stop=stop, validation=Scripted([]))
    assert ran == 5


def test_early_stopping_keeps_the_first_of_the_best_epochs() -> None:
    validation = Scripted([0.2, 0.6, 0.6, 0.5, 0.9])
    weights, ran = train(stop=EarlyStopping(patience=2), validation=validation)
    assert ran == 4
    assert_same(weights, validation.shown[1])


def test_early_stopping_and_validation_come_together() -> None:
    with pytest.raises(ValueError, match="validation exactly when"):
        train(stop=EarlyStopping())
    with pytest.raises(ValueError, match="validation exactly when"):
        train(validation=Scripted([]))


def test_callbacks_leave_no_trace() -> None:
    def meddling(epoch: int, model: Wrapped) -> None:
        assert not model.network.training
        torch.rand(7)
        model.network.train()
        model.scores(DATA)
        model.network.eval()

    def frozen() -> dict[str, Any]:
        made = parts(3)
        made["network"][1].momentum = 0.0  # batch statistics would show that scores were asked
        return made

    quiet, _ = train(epochs=3, **frozen())
    watched, _ = train(replace(PLAIN, each_epoch=meddling), epochs=3, **frozen())
    assert (quiet.pop("1.num_batches_tracked"), watched.pop("1.num_batches_tracked")) == (12, 15)
    assert_same(quiet, watched)


def test_global_generators_are_put_back() -> None:
    made = parts(2)
    torch.manual_seed(11)
    np.random.seed(11)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1]
    plan = Plan(made["optimizer"], 2, batches, nn.functional.cross_entropy)
    run_epochs(made["network"], plan, PLAIN, fitted=Wrapped, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == before_numpy).all()


def test_epochs_draw_differently() -> None:
    drawn: list[float] = []

    def drawing(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        drawn.append(torch.rand(()).item())
        yield from batches(epoch)

    train(batches=drawing)
    train(batches=drawing)
    assert len(set(drawn)) == 6
    assert drawn[:6] == drawn[6:]


def test_seeds_differ() -> None:
    left, _ = train(seed=1, epochs=1)
    right, _ = train(seed=2, epochs=1)
    assert not torch.equal(left["0.weight"], right["0.weight"])


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    run = FitRun(checkpoint=tmp_path / "c.pt")
    train(run, epochs=2, settings={"batch": 10})
    with pytest.raises(ModelError, match=r"with seed 4, got 3 in .*c\.pt"):
        train(run, seed=4, epochs=2, settings={"batch": 10})
    with pytest.raises(ModelError, match="with batch 12, got 10"):
        train(run, epochs=2, settings={"batch": 12})
    with pytest.raises(ModelError, match="with epochs 5, got 2"):
        train(run, epochs=5, settings={"batch": 10})


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04cut off"])
def test_a_broken_checkpoint_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "c.pt"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"^expected a checkpoint .*unreadable.*$"):
        train(replace(PLAIN, checkpoint=file))


def test_a_diverged_run_is_told() -> None:
    def hopeless(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield DATA * float("nan"), TARGETS

    with pytest.raises(ModelError, match="expected a finite loss, got nan in epoch 1"):
        train(batches=hopeless)


def test_progress_by_epochs_and_by_steps() -> None:
    told: list[tuple[int, int | None, str]] = []
    run = FitRun(progress=lambda *what: told.append(what))
    train(run, epochs=2)
    assert told == [(1, 2, "training"), (2, 2, "training")]
    told.clear()
    train(run, epochs=2, steps=4)
    assert told == [(done, 8, "training") for done in range(1, 9)]


def test_scalars_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = FitRun(log_dir=tmp_path)
    train(run, epochs=3, stop=EarlyStopping(), validation=Scripted([0.1, 0.2, 0.3]))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [0, 1, 2]
    values = [event.value for event in events.Scalars("validation/score")]
    assert values == pytest.approx([0.1, 0.2, 0.3])


def test_balanced_rows() -> None:
    targets = np.repeat([0, 1, 2], [20, 7, 3])
    rows = balanced_rows(targets, 0, 0)
    assert sorted(np.bincount(targets[rows])) == [10, 10, 10]
    times = np.bincount(rows, minlength=30)
    assert times[:20].max() == 1
    assert set(times[20:27]) == {1, 2}
    assert set(times[27:]) == {3, 4}
    assert (rows == balanced_rows(targets, 0, 0)).all()
    assert (rows != balanced_rows(targets, 0, 1)).any()
    assert (rows != balanced_rows(targets, 1, 0)).any()
    # a class that is not there takes no part
    few = np.array([2, 2, 0])
    assert sorted(np.unique(few[balanced_rows(few, 0, 0)], return_counts=True)[1]) == [1, 2]
    with pytest.raises(ValueError, match="at least one example"):
        balanced_rows(targets[:0], 0, 0)


def test_split_batches_leaves_no_single_row() -> None:
    for count in range(1, 40):
        pieces = list(split_batches(np.arange(count), 4))
        assert (np.concatenate(pieces) == np.arange(count)).all()
        assert count == 1 or min(map(len, pieces)) > 1


def test_digest_sees_every_part() -> None:
    def samples(**changes: Any) -> Samples:
        names = np.array(["a", "b"])
        given = {
            "inputs": np.zeros((2, 3)),
            "targets": np.array([0, 1]),
            "datasets": names,
            "subjects": names,
            "clips": names,
        }
        return Samples(**{**given, **changes})

    variants = [
        samples(),
        samples(inputs=np.eye(2, 3)),
        samples(inputs=np.zeros((2, 4))),
        samples(targets=np.array([1, 1])),
        samples(clips=np.array(["a", "c"])),
    ]
    assert len({variant.digest() for variant in variants}) == len(variants)
    assert samples().digest() == samples().digest()


def test_derived_seeds_differ() -> None:
    seeds = {derive_seed(a, b) for a in range(20) for b in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**62 for seed in seeds)


def test_recipe_and_hardware_refuse_nonsense() -> None:
    for wrong in ({"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"decay": 1.1}):
        with pytest.raises(ValueError, match="expected"):
            Recipe(**wrong)  # type: ignore[arg-type]
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(ModelError, match=f"device that torch can use, got '{device}'"):
            choose_hardware(device)
    with pytest.raises(ModelError, match="full precision on a CPU"):
        choose_hardware("cpu", precision="bf16")
    assert choose_hardware("cpu", workers=2) == Hardware(torch.device("cpu"), "full", 2)
