"""Every registered model, whatever it is: one interface, one export, one answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from micromimic.errors import InputError, ModelError
from micromimic.labels import EMOTIONS
from micromimic.models.learner import FitOptions, Samples, softmax
from micromimic.models.onnx import load_model
from micromimic.models.registry import create, entry, list_models, list_shipped
from micromimic.synthesis.maps import generate_maps

pytestmark = pytest.mark.needs("train")

SMALL = [name for name in list_models() if entry(name).view != "faces"]
"""Models that train in a moment; networks on face crops have tests of their own."""


def raw_clips(view: str, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """What preparation would give for some clips, and their classes."""
    targets = np.arange(count) % 3
    if view == "flow":
        return list(generate_maps([EMOTIONS[t] for t in targets], seed=3)), targets
    rng = np.random.default_rng(3)
    clips = []
    for target in targets:  # a grating that drifts another way for each class
        x, t = np.arange(140.0)[None, None], np.arange(14.0)[:, None, None]
        wave = 60 * np.sin(0.4 * x + (target - 1) * t) + np.zeros((1, 170, 1))
        clips.append((128 + wave + rng.normal(0, 4, wave.shape)).clip(0, 255).astype(np.uint8))
    return clips, targets


def samples_for(name: str, count: int = 24) -> tuple[Samples, list[np.ndarray]]:
    learner = entry(name).learner()
    clips, targets = raw_clips(learner.view, count)
    who = np.array([f"smic/s{k // 6}" for k in range(count)])
    return (
        Samples(
            np.stack([learner.encode(clip) for clip in clips]),
            targets,
            np.full(count, "smic"),
            who,
            np.array([f"{w}/c{k}" for k, w in enumerate(who)]),
        ),
        clips,
    )


@pytest.mark.parametrize("name", list_models())
def test_the_entry_describes_the_learner(name: str) -> None:
    known = entry(name)
    learner = known.learner()
    assert learner.view == known.view
    assert learner.temperature > 0
    json.dumps(dict(learner.settings))  # a run's record holds it
    assert known.about and "\n" not in known.about


@pytest.mark.parametrize("name", SMALL)
def test_fitted_scores_and_file_agree(name: str, tmp_path: Path) -> None:
    samples, clips = samples_for(name)
    learner = entry(name).learner()
    options = FitOptions(seed=1, init="none", epochs=3)
    fitted = learner.fit(samples, options)
    scores = fitted.scores(samples.inputs)
    assert scores.shape == (len(samples), 3)
    assert np.isfinite(scores).all()
    assert np.array_equal(learner.fit(samples, options).scores(samples.inputs), scores)
    # what it was trained on is far from chance, or nothing was learned
    if name not in {"flow-capsnet", "flow-cnn"}:
        assert (scores.argmax(1) == samples.targets).mean() > 0.6
    file = tmp_path / "model.onnx"
    metadata = {
        "name": name, "version": "0", "trained_on": "a test", "classes": list(EMOTIONS),
        "temperature": learner.temperature, "margin": 0.1, "view": learner.view,
        "encoder": learner.encoder,
    }  # fmt: skip
    file.write_bytes(fitted.to_onnx(metadata))
    model = load_model(file)
    assert model.info.name == name
    assert model.view == learner.view
    inputs = clips if learner.view == "volume" else np.stack(clips)
    said = model.probabilities(inputs)
    assert np.allclose(said, softmax(scores, learner.temperature), atol=2e-4)


@pytest.mark.parametrize("name", SMALL)
def test_one_class_only_is_refused(name: str) -> None:
    samples, _ = samples_for(name)
    one = samples.take(np.flatnonzero(samples.targets == 2))
    with pytest.raises(InputError, match="class"):
        entry(name).learner().fit(one, FitOptions(init="none", epochs=1))


@pytest.mark.parametrize("name", SMALL)
def test_a_class_that_is_absent_is_not_predicted_by_accident(name: str) -> None:
    samples, _ = samples_for(name)
    two = samples.take(np.flatnonzero(samples.targets != 0))
    scores = entry(name).learner().fit(two, FitOptions(init="none", epochs=20)).scores(two.inputs)
    assert np.isfinite(scores).all()
    assert (scores.argmax(1) != 0).mean() > 0.9


def test_shipped_models_are_ready() -> None:
    maps = generate_maps(list(EMOTIONS), seed=5)
    for name in list_shipped():
        assert create(name).probabilities(maps).shape == (3, 3)
    with pytest.raises(ModelError, match="which work as installed"):
        create("resnet18")
    with pytest.raises(ModelError, match="expected one of"):
        create("resnet")


def test_the_shipped_weights_survive_the_way_back() -> None:
    import torch

    from micromimic.models.onnx import SHIPPED
    from micromimic.models.preprocess import center
    from micromimic.training.export import build_onnx
    from micromimic.training.flow_weights import read_flow_capsnet

    maps = generate_maps(list(EMOTIONS) * 8, seed=6)
    data = torch.from_numpy(center(maps))
    network = read_flow_capsnet(SHIPPED, data)
    lengths, _ = load_model().lengths_and_votes(maps)
    with torch.no_grad():
        plain = network(data).numpy()
        mirrored = network(data.flip(3) * torch.tensor([-1.0, 1, 1]).view(1, 3, 1, 1)).numpy()
    assert np.allclose((plain + mirrored) / 2, lengths, atol=1e-5)
    # in training mode a batch as large as the data normalises to the same
    with torch.no_grad():
        assert np.allclose(network.train()(data).numpy(), plain, atol=2e-3)
    assert build_onnx(network.eval(), {"name": "x"}).graph.node


def test_a_file_of_another_kind_starts_nothing(tmp_path: Path) -> None:
    samples, _ = samples_for("flow-svm")
    file = tmp_path / "svm.onnx"
    fitted = entry("flow-svm").learner().fit(samples, FitOptions())
    file.write_bytes(
        fitted.to_onnx(
            {"name": "flow-svm", "version": "0", "trained_on": "a test", "temperature": 1.0,
             "classes": list(EMOTIONS), "margin": 0.1, "view": "flow", "encoder": None}
        )
    )  # fmt: skip
    learner = entry("flow-capsnet").learner()
    with pytest.raises(ModelError, match="expected a flow-capsnet"):
        learner.fit(samples, FitOptions(init=file))
    with pytest.raises(ModelError, match="found no file"):
        learner.fit(samples, FitOptions(init=tmp_path / "none.onnx"))
    with pytest.raises(ModelError, match="nothing to download"):
        learner.fit(samples, FitOptions(init="download"))
    with pytest.raises(ModelError, match="only flow-capsnet"):
        entry("flow-cnn").learner().fit(samples, FitOptions(init=file))


def test_early_stopping_looks_at_training_subjects_only() -> None:
    from micromimic.models.learner import EarlyStopping

    samples, _ = samples_for("flow-capsnet")
    learner = entry("flow-capsnet").learner()
    seen: list[int] = []
    options = FitOptions(
        init="none",
        epochs=12,
        stop=EarlyStopping(share=0.25, patience=2),
        each_epoch=lambda epoch, fitted: seen.append(epoch),
    )
    learner.fit(samples, options)
    assert seen == list(range(len(seen)))
    assert 1 <= len(seen) <= 12
