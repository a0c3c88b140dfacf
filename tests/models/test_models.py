"""Every registered model, whatever it is: one interface, one export, one answer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from micromimic.core.errors import InputError, ModelError, RandomWeightsWarning
from micromimic.core.labels import THREE
from micromimic.models.base import ClipClassifier, EarlyStopping, FitRun
from micromimic.models.fitting import configure, probabilities_of
from micromimic.models.onnx import load_model
from micromimic.models.registry import create, entry, list_models, list_shipped
from micromimic.models.samples import softmax
from micromimic.synthesis.maps import generate_maps

pytestmark = pytest.mark.needs("train")

SMALL = [name for name in list_models() if entry(name).view != "faces"]
"""Models that train in a moment; networks on face crops have tests of their own."""


def raw_clips(view: str, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """What preparation would give for some clips, and their classes."""
    targets = np.arange(count) % 3
    if view == "flow":
        return list(generate_maps(THREE.decode(targets).tolist(), seed=3)), targets
    rng = np.random.default_rng(3)
    clips = []
    for target in targets:  # a grating that drifts another way for each class
        x, t = np.arange(140.0)[None, None], np.arange(14.0)[:, None, None]
        wave = 60 * np.sin(0.4 * x + (target - 1) * t) + np.zeros((1, 170, 1))
        clips.append((128 + wave + rng.normal(0, 4, wave.shape)).clip(0, 255).astype(np.uint8))
    return clips, targets


@dataclass(frozen=True)
class Data:
    """Encoded clips of four people, their labels, and the clips themselves."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    clips: list[np.ndarray]

    def only(self, *labels: str) -> Data:
        kept = np.isin(self.y, labels)
        clips = [clip for clip, keep in zip(self.clips, kept, strict=True) if keep]
        return Data(self.X[kept], self.y[kept], self.groups[kept], clips)


def model_of(name: str, **options: object) -> ClipClassifier:
    return configure(entry(name).make(), name, **{"init": "none", **options})  # type: ignore[arg-type]


def data_for(name: str, count: int = 24) -> Data:
    model = entry(name).make()
    clips, targets = raw_clips(model.view, count)
    who = np.array([f"db/s{k // 6}" for k in range(count)])
    X = np.stack([model.encode(clip) for clip in clips])
    return Data(X, THREE.decode(targets), who, clips)


@pytest.mark.parametrize("name", list_models())
def test_the_entry_describes_the_model(name: str) -> None:
    known = entry(name)
    model = known.make()
    assert model.view == known.view
    assert model.temperature > 0
    assert known.about and "\n" not in known.about


@pytest.mark.parametrize("name", list_models())
def test_models_are_estimators(name: str) -> None:
    """What scikit-learn asks of every one: clones, and parameters that come back as given."""
    model = entry(name).make()
    params = model.get_params()
    twin = clone(model)
    assert type(twin) is type(model) and repr(twin.get_params()) == repr(params)
    again = type(model)()
    again.set_params(**params)
    assert again.get_params() == params
    assert not [key for key in vars(model) if key.endswith("_")]  # nothing fitted, nothing hidden
    assert set(vars(model)) == set(params)


def described(model: ClipClassifier, name: str) -> dict[str, object]:
    return {
        "name": name, "version": "0", "trained_on": "a test", "classes": model.classes_.tolist(),
        "temperature": model.temperature, "margin": 0.1, "view": model.view,
        "encoder": model.encoder,
    }  # fmt: skip


def said_by_file(model: ClipClassifier, name: str, data: Data, file: Path) -> np.ndarray:
    """Probabilities of the ONNX file."""
    file.write_bytes(model.to_onnx(described(model, name)))
    opened = load_model(file)
    assert opened.info.name == name and opened.view == model.view
    assert list(opened.labels) == model.classes_.tolist()
    inputs = data.clips if model.view == "volume" else np.stack(data.clips)
    (named,) = opened.predict(inputs[:1])
    assert list(named.probabilities) == model.classes_.tolist()
    return opened.probabilities(inputs)


@pytest.mark.parametrize("name", SMALL)
def test_fitted_scores_and_file_agree(name: str, tmp_path: Path) -> None:
    data = data_for(name)
    model = model_of(name, epochs=3).fit(data.X, data.y, data.groups)
    scores = model.scores(data.X)
    assert scores.shape == (len(data.y), 3)
    assert np.isfinite(scores).all()
    assert np.array_equal(clone(model).fit(data.X, data.y, data.groups).scores(data.X), scores)
    assert np.array_equal(model.predict_proba(data.X), softmax(scores, model.temperature))
    assert model.predict(data.X).tolist() == model.classes_[scores.argmax(1)].tolist()
    # what it was trained on is far from chance, or nothing was learned
    if name not in {"flow-capsnet", "flow-cnn"}:
        assert model.score(data.X, data.y) > 0.6
    said = said_by_file(model, name, data, tmp_path / "model.onnx")
    assert np.allclose(said, model.predict_proba(data.X), atol=2e-4)


@pytest.mark.parametrize("name", SMALL)
def test_any_labels_and_any_number_of_them(name: str, tmp_path: Path) -> None:
    """Five classes of a user's own, then two: heads, probabilities and files have so many."""
    data = data_for(name, 30)
    five = np.array(["ann", "bob", "cy", "di", "eve"])[np.arange(30) % 5]
    for y in (five, np.where(data.y == "positive", "smile", "other")):
        classes = sorted(set(y.tolist()))
        model = model_of(name, init="default", epochs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RandomWeightsWarning)
            model.fit(data.X, y, data.groups)
        assert model.classes_.tolist() == classes
        assert model.predict_proba(data.X).shape == (30, len(classes))
        wanted = (30,) if len(classes) == 2 else (30, len(classes))
        assert model.decision_function(data.X).shape == wanted
        said = said_by_file(model, name, data, tmp_path / "model.onnx")
        assert np.allclose(said, model.predict_proba(data.X), atol=2e-4)


@pytest.mark.parametrize("name", ["flow-capsnet", "flow-ensemble"])
def test_shipped_weights_and_other_labels_are_said_once(name: str) -> None:
    model = entry(name).make()
    assert model.warning(list(THREE)) is None
    assert model.warning(["surprise", "positive"]) is None  # their heads are there
    told = model.warning(["positive", "others"])
    assert told is not None and "others" in told and "\n" not in told
    data = data_for(name)
    with pytest.warns(RandomWeightsWarning, match="others"):
        configure(model, name, epochs=1).fit(
            data.X, np.where(data.y == "positive", "others", data.y)
        )


def test_two_of_the_shipped_classes_keep_their_own_heads() -> None:
    """Before the first step the network says of two classes what the file says of them."""
    import torch

    from micromimic.models.onnx import SHIPPED
    from micromimic.models.preprocess import center
    from micromimic.models.training.flow import read_flow_capsnet

    maps = torch.from_numpy(center(generate_maps(list(THREE) * 4, seed=2)))
    with torch.no_grad():
        three = read_flow_capsnet(SHIPPED, maps).votes(maps)
        two = read_flow_capsnet(SHIPPED, maps, ["surprise", "negative"]).votes(maps)
        assert torch.equal(two, three[:, :, [2, 0]])
        torch.manual_seed(0)
        other = read_flow_capsnet(SHIPPED, maps, ["surprise", "fear"]).votes(maps)
    assert not torch.isclose(other, three[:, :, [2, 0]]).any(3).all()


@pytest.mark.parametrize("name", SMALL)
def test_one_class_only_is_refused(name: str) -> None:
    data = data_for(name).only("surprise")
    with pytest.raises(InputError, match="two classes or more to train on, got only surprise"):
        model_of(name, epochs=1).fit(data.X, data.y, data.groups)


@pytest.mark.parametrize("name", SMALL)
def test_a_class_that_is_absent_is_none(name: str) -> None:
    data = data_for(name).only("positive", "surprise")
    model = model_of(name, epochs=1).fit(data.X, data.y, data.groups)
    assert set(model.predict(data.X)) <= {"positive", "surprise"}
    whole = probabilities_of(model, name, data.X, THREE.names)
    assert (whole[:, 0] == 0).all()
    assert np.allclose(whole.sum(1), 1)


def test_shipped_models_are_ready() -> None:
    maps = generate_maps(list(THREE), seed=5)
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
    from micromimic.models.training.export import export_network
    from micromimic.models.training.flow import read_flow_capsnet

    maps = generate_maps(list(THREE) * 8, seed=6)
    data = torch.from_numpy(center(maps))
    network = read_flow_capsnet(SHIPPED, data)
    lengths, _ = load_model().scores_and_votes(maps)
    with torch.no_grad():
        plain = network(data).numpy()
        mirrored = network(data.flip(3) * torch.tensor([-1.0, 1, 1]).view(1, 3, 1, 1)).numpy()
    assert np.allclose((plain + mirrored) / 2, lengths, atol=1e-5)
    # in training mode a batch as large as the data normalises to the same
    with torch.no_grad():
        assert np.allclose(network.train()(data).numpy(), plain, atol=2e-3)
    assert export_network(network.eval(), "flow", {"name": "x"})


def test_a_file_of_another_kind_starts_nothing(tmp_path: Path) -> None:
    data = data_for("flow-svm")
    file = tmp_path / "svm.onnx"
    svm = model_of("flow-svm").fit(data.X, data.y, data.groups)
    file.write_bytes(svm.to_onnx(described(svm, "flow-svm")))
    with pytest.raises(ModelError, match="expected a flow-capsnet"):
        model_of("flow-capsnet", init=file).fit(data.X, data.y)
    with pytest.raises(ModelError, match="found no file"):
        model_of("flow-capsnet", init=tmp_path / "none.onnx").fit(data.X, data.y)
    with pytest.raises(ModelError, match="nothing to download"):
        model_of("flow-capsnet", init="download").fit(data.X, data.y)
    with pytest.raises(ModelError, match="only flow-capsnet"):
        model_of("flow-cnn", init=file).fit(data.X, data.y)
    with pytest.raises(ModelError, match=r"no initial weights for flow-svm, got .*svm\.onnx"):
        model_of("flow-svm", init=file)


def test_early_stopping_looks_at_training_subjects_only() -> None:
    data = data_for("flow-capsnet")
    seen: list[int] = []
    model = model_of("flow-capsnet", epochs=12, stop=EarlyStopping(share=0.25, patience=2))
    model.fit(data.X, data.y, data.groups, run=FitRun(each_epoch=lambda n, _: seen.append(n)))
    assert seen == list(range(len(seen)))
    assert 1 <= len(seen) <= 12
    with pytest.raises(InputError, match="two subjects"):  # without groups all are one person's
        model.fit(data.X, data.y)
