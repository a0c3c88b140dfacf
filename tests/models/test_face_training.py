"""Learners on face crops, with a small network in place of the large ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")
pytest.importorskip("torchvision", reason="torchvision is in the train extra")

from torch import Tensor, nn  # noqa: E402

from micromimic.core.errors import InputError, ModelError, RandomWeightsWarning  # noqa: E402
from micromimic.models.base import EarlyStopping, FitRun  # noqa: E402
from micromimic.models.networks.capsules import margin_loss  # noqa: E402
from micromimic.models.samples import Samples  # noqa: E402
from micromimic.models.training import faces as faces_module  # noqa: E402
from micromimic.models.training.batches import FaceAugment  # noqa: E402
from micromimic.models.training.faces import (  # noqa: E402
    BACKBONES,
    FaceNet,
    FaceSettings,
    Recipe,
    ahead,
    build_network,
    face_scores,
)
from micromimic.models.training.imagenet import Start  # noqa: E402

STILL = FaceAugment(zoom=1, rotation=0, mirror=False, brightness=0, contrast=0, saturation=0)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's folder of checkpoints, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch" / "hub" / "checkpoints"


class Small(nn.Module):
    """Stands in for a face network: mean colours of 2 x 2 fields, seen sharply."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
        self.seen: list[Tensor] = []

    def forward(self, given: Tensor) -> Tensor:
        self.seen.append(given[:, :, 112, 112].detach().clone())
        return self.layers(given * 4 - 2)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[Small]:
    """`FaceNet` trains a small network; every one that it makes is kept."""
    made: list[Small] = []

    def build(architecture: str, start: Start, seed: int, labels: list[str], *, plain: bool):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made.append(Small(len(labels)))
        return made[-1]

    monkeypatch.setattr(faces_module, "build_network", build)
    return made


def coloured(clips: int = 12, frames: int = 2, subjects: int = 6) -> Samples:
    """Clips of one colour: red tells the subject, green the class, noise on top of blue."""
    rng = np.random.default_rng(0)
    targets = np.arange(clips) % 3
    who = np.arange(clips) // 3 % subjects
    inputs = np.zeros((clips, frames, 224, 224, 3), np.uint8)
    inputs[..., 0] = (20 + 30 * who)[:, None, None, None]
    inputs[..., 1] = (60 * targets + 40)[:, None, None, None]
    inputs[..., 2] = rng.integers(0, 255, (clips, frames, 1, 1))
    names = np.array([f"smic/s{number}" for number in who])
    clip = np.array([f"smic/s{s}/{number}" for number, s in enumerate(who)])
    return Samples(inputs, targets, np.array(["smic"] * clips), names, clip)


def model(augment: FaceAugment | None = None, stop: EarlyStopping | None = None, **recipe: Any):
    """A network that starts at random."""
    given = {"epochs": 3, "batch": 4, "learning_rate": 0.05, "decay": 1.0, **recipe}
    settings = FaceSettings(Recipe(**given), augment or FaceAugment())
    return FaceNet("resnet18", init="none", stop=stop, settings=settings)


def fit(net: FaceNet, samples: Samples, **run: Any) -> FaceNet:
    run = {"device": "cpu", **run}
    return net.fit(samples.inputs, samples.labels, samples.subjects, run=FitRun(**run))


def test_the_articles_recipe_is_the_default() -> None:
    recipe = FaceSettings().recipe
    assert (recipe.epochs, recipe.learning_rate, recipe.decay) == (20, 1e-4, 0.9)
    logits, targets = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    for name, backbone in BACKBONES.items():
        made = FaceNet(name)
        assert made.view == "faces" and made.backbone == backbone and made.settings is None
        margin = name.startswith("capsnet")
        wanted = margin_loss if margin else nn.functional.cross_entropy
        assert torch.equal(made.loss(logits, targets), wanted(logits, targets))
    with pytest.raises(ModelError, match="expected one of capsnet-resnet18, .* got 'alexnet'"):
        fit(FaceNet("alexnet"), coloured(6, frames=1))


@pytest.mark.parametrize("name", ["capsnet-mobilenetv2", "resnet18"])
def test_one_step_moves_every_weight(name: str) -> None:
    samples = coloured(6, frames=1)
    made = FaceNet(name, init="none", settings=FaceSettings(Recipe(epochs=1, batch=6)))
    before = build_network(name, Start("random"), seed=0).state_dict()
    fitted = fit(made, samples)
    assert np.isfinite(fitted.scores(samples.inputs[:1])).all()
    after = fitted.network_.state_dict()
    for weight, _ in fitted.network_.named_parameters():
        assert not torch.equal(before[weight], after[weight]), weight


def test_it_learns(small: list[Small]) -> None:
    samples = coloured()
    still = replace(STILL, mirror=True)
    fitted = fit(model(still, epochs=30), samples)
    assert (fitted.scores(samples.inputs).argmax(1) == samples.targets).all()
    # the apex decides; where there are several frames it is the first
    only = fitted.scores(samples.inputs[:, 0])
    assert (fitted.scores(samples.inputs) == only).all()
    later = samples.inputs.copy()
    later[:, 1:] = 0
    assert (fitted.scores(later) == only).all()


def test_every_frame_is_a_training_example_and_classes_come_equally_often(
    small: list[Small],
) -> None:
    samples = coloured(12, frames=5)
    samples = samples.take(np.flatnonzero((samples.targets != 2) | (np.arange(12) < 3)))
    told: list[tuple[int, int | None, str]] = []
    fit(model(STILL, epochs=1, batch=5), samples, progress=lambda *what: told.append(what))
    seen = torch.cat(small[0].seen)
    assert len(seen) == 9 * 5
    assert len(set(seen[:, 2].tolist())) > 20, "frames differ in blue"
    assert torch.unique(seen[:, 1], return_counts=True)[1].tolist() == [15, 15, 15]
    assert told[-1] == (9, 9, "training")


def test_each_epoch_varies_its_crops_anew(small: list[Small]) -> None:
    fit(model(epochs=2, batch=12), coloured(6))
    first, second = small[0].seen
    one, other = ({tuple(row) for row in part.tolist()} for part in (first, second))
    assert not one & other


def test_scores_are_averaged_over_the_mirror_image(small: list[Small]) -> None:
    network = Small().eval()
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    crops[:, :, :100] //= 3
    crops.setflags(write=False)
    got = face_scores(network, crops, 3)
    np.testing.assert_allclose(got, face_scores(network, crops[:, :, ::-1], 3), atol=1e-6)
    tensor = torch.from_numpy(crops.transpose(0, 3, 1, 2) / 255).float()
    with torch.no_grad():
        wanted = (network(tensor) + network(tensor.flip(3))).numpy() / 2
        assert np.abs(network(tensor).numpy() - wanted).max() > 1e-3
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert face_scores(network, crops[:0], 3).shape == (0, 3)
    with pytest.raises(ValueError, match="faces must be"):
        face_scores(network, crops.astype(np.float32), 3)


def test_early_stopping_looks_at_held_out_training_subjects_only(
    small: list[Small], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[np.ndarray] = []
    real = FaceNet.scores

    def spy(self: FaceNet, inputs: np.ndarray) -> np.ndarray:
        asked.append(inputs)
        return real(self, inputs)

    monkeypatch.setattr(FaceNet, "scores", spy)
    samples = coloured(18)
    fit(model(STILL, EarlyStopping(share=0.34, patience=50), epochs=2), samples)
    held = {int(v) for part in asked for v in np.unique(part[..., 0])}
    seen = torch.cat(small[0].seen)
    asked_about = len(asked) * len(asked[0]) * 2  # each twice: the mirror image
    everyone = torch.round(seen[:, 0] * 255).int().tolist()
    assert len(held) == 2
    trained = [who for who in everyone if who not in held]
    assert len(everyone) - len(trained) == asked_about
    assert held | set(trained) == {20 + 30 * number for number in range(6)}


def killing(after: int) -> Callable[[int, Any], None]:
    def callback(epoch: int, model: Any) -> None:
        if epoch == after:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize("stop", [None, EarlyStopping(share=0.3, patience=9)])
def test_a_killed_fit_goes_on_as_if_unbroken(
    small: list[Small], tmp_path: Path, stop: EarlyStopping | None
) -> None:
    samples = coloured()
    whole = fit(model(stop=stop, epochs=4), samples).network_.state_dict()
    file = tmp_path / "fold.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(model(stop=stop, epochs=4), samples, checkpoint=file, each_epoch=killing(2))
    again = fit(model(stop=stop, epochs=4), samples, checkpoint=file).network_.state_dict()
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name
    with pytest.raises(ModelError, match="expected a checkpoint with data"):
        fit(model(stop=stop, epochs=4), samples.take(np.arange(9)), checkpoint=file)


def test_workers_change_nothing(small: list[Small]) -> None:
    samples = coloured()
    states = []
    for workers in (0, 3):
        made = model()
        made.set_params(settings=replace(made.settings, workers=workers))
        states.append(fit(made, samples).network_.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])


def test_random_weights_are_warned_of(small: list[Small], hub: Path) -> None:
    with pytest.warns(RandomWeightsWarning, match="RANDOM WEIGHTS"):
        fit(model(epochs=1).set_params(init="default"), coloured())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model(epochs=1), coloured())


def test_what_cannot_be_trained_on_is_refused(small: list[Small]) -> None:
    samples = coloured()
    one_class = samples.take(np.flatnonzero(samples.targets == 1))
    with pytest.raises(InputError, match="two classes or more"):
        fit(model(), one_class)
    with pytest.raises(ValueError, match="faces must be"):
        fit(model(), replace(samples, inputs=samples.inputs[:, 0]))
    with pytest.raises(ValueError, match="faces must be"):
        fit(model(), replace(samples, inputs=samples.inputs[..., :100, :]))


def test_work_ahead_keeps_order_and_errors() -> None:
    def odd(number: int) -> int:
        if number == 5:
            raise RuntimeError("five")
        return number

    for workers in (0, 2):
        assert list(ahead(odd, [3, 1, 2], workers)) == [3, 1, 2]
        got = []
        with pytest.raises(RuntimeError, match="five"):
            for number in ahead(odd, range(9), workers):
                got.append(number)
        assert got == [0, 1, 2, 3, 4]
