"""The ensemble: a kernel machine about what synthetic motion tells, and the file that holds all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone

from micromimic.core.errors import InputError, ModelError
from micromimic.core.labels import THREE
from micromimic.evaluation.metrics import uf1
from micromimic.models.action_units import load_unit_model
from micromimic.models.ensemble import Synthetic
from micromimic.models.onnx import SHIPPED, Calibration, load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.samples import Samples
from micromimic.synthesis.maps import MapConfig, generate_maps

pytest.importorskip("torch", reason="torch is in the train extra")

from micromimic.models.ensemble import FlowEnsemble

META = {
    "name": "flow-ensemble",
    "version": "1",
    "trained_on": "a test",
    "classes": list(THREE),
    "temperature": 1.0,
    "margin": 0.1,
}


def samples_of(people: int = 6, each: int = 6, seed: int = 0) -> Samples:
    """Synthetic maps on a scale of their own, as published ones are."""
    n = people * each
    labels = [THREE.names[k % 3] for k in range(n)]
    maps = 127 + 40 * generate_maps(labels, seed=seed, config=MapConfig(noise=(0.2, 0.5)))
    who = np.array([f"smic/s{k // each:02}" for k in range(n)])
    clips = np.array([f"{name}/c{k:03}" for k, name in enumerate(who)])
    targets = np.array([THREE.index(label) for label in labels])
    return Samples(maps, targets, np.full(n, "smic"), who, clips)


def fit(data: Samples, **params: object) -> FlowEnsemble:
    return FlowEnsemble(**params).fit(data.inputs, data.labels, data.subjects)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data() -> Samples:
    return samples_of()


@pytest.fixture(scope="module")
def trained(data: Samples) -> FlowEnsemble:
    return fit(data)


@pytest.fixture(scope="module")
def file(trained: FlowEnsemble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ensemble") / "model.onnx"
    path.write_bytes(trained.to_onnx(META))
    return path


# --- the machine ---


def test_without_networks_it_is_scikit_learns_kernel_ridge(data: Samples):
    from sklearn.kernel_ridge import KernelRidge

    keep = np.flatnonzero((data.targets != 2) | (np.arange(len(data)) % 2 == 0))
    train, test = data.take(keep), samples_of(seed=9)
    rows = np.concatenate(views_of(train))
    targets = np.tile(train.targets, 2)
    # weights of samples that let the classes weigh the same, 1 on average over classes
    weight = len(targets) / 3 / np.bincount(targets)[targets]
    machine = KernelRidge(alpha=1.0, kernel="rbf", gamma=0.6 / rows.var(0).sum())
    machine.fit(rows, np.eye(3)[targets] - 1 / 3, sample_weight=weight)
    wanted = np.mean([machine.predict(view) for view in views_of(test)], axis=0)
    fitted = fit(train, init="none")
    assert np.allclose(fitted.scores(test.inputs), fitted.sharpness_ * wanted, atol=1e-4)


def test_with_networks_it_is_a_gaussian_process_about_their_answer(data: Samples):
    """The process written down once more, on scikit-learn's kernels; no code shared."""
    from sklearn.metrics.pairwise import rbf_kernel

    test = samples_of(3, seed=9)
    fitted = fit(data)
    classes, units = load_model(), load_unit_model()

    def networks(samples: Samples) -> tuple[list[np.ndarray], list[np.ndarray]]:
        maps = (center(samples.inputs), mirror(center(samples.inputs)))
        said = [
            np.array([np.exp(row / classes.calibration.temperature) for row in found])
            for found in (classes._session.run(["lengths"], {"maps": m})[0] for m in maps)
        ]
        logits = [units._session.run(["presence"], {"maps": m})[0] for m in maps]
        return [p / p.sum(1, keepdims=True) - 1 / 3 for p in said], logits

    starts, logits = networks(data)
    rows, spread = np.concatenate(views_of(data)), np.concatenate(logits).std(0)
    units_seen = np.concatenate(logits) / spread
    gammas = 0.6 / rows.var(0).sum(), 1.5 / units_seen.var(0).sum()

    def kernel(motion: np.ndarray, logit: np.ndarray) -> np.ndarray:
        return (rbf_kernel(motion, rows, gammas[0]) + rbf_kernel(logit, units_seen, gammas[1])) / 2

    targets = np.tile(data.targets, 2)
    noise = 3 * np.bincount(targets)[targets] / len(targets)
    lead = 0.5 + 0.5 * 2 ** (-36 / 30)  # of 36 clips
    left = np.eye(3)[targets] - 1 / 3 - lead * np.concatenate(starts)
    weights = np.linalg.inv(kernel(rows, units_seen) + np.diag(noise)) @ left
    asked_starts, asked_logits = networks(test)
    wanted = np.mean(
        [
            lead * start + kernel(view, logit / spread) @ weights
            for start, view, logit in zip(asked_starts, views_of(test), asked_logits, strict=True)
        ],
        axis=0,
    )
    assert np.allclose(fitted.scores(test.inputs), fitted.sharpness_ * wanted, atol=1e-3)


def views_of(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """u and v of maps and of their mirror images."""
    data = center(samples.inputs)
    one, other = (m[:, :2].reshape(len(m), -1).astype(np.float64) for m in (data, mirror(data)))
    return one, other


def test_a_class_without_maps_is_none_of_its_classes(data: Samples):
    two = data.take(np.flatnonzero(data.targets != 0))
    for init in ("none", "default"):
        fitted = fit(two, init=init)
        assert fitted.classes_.tolist() == ["positive", "surprise"]
        assert np.isfinite(fitted.scores(data.inputs)).all()
    # of two of its classes the class network says what it says of them alone
    said = softmax(load_model().one_view(center(data.inputs))[:, 1:] / 0.25, axis=1)
    start = Synthetic(SHIPPED, ["positive", "surprise"])
    start.classes.calibration = Calibration(0.25, 0.0)
    assert np.allclose(start.start(center(data.inputs)), said - 0.5)


def test_of_other_classes_the_class_network_says_nothing(data: Samples):
    start = Synthetic(SHIPPED, ["positive", "others"])
    assert not start.start(center(data.inputs)).any()


def test_of_what_it_has_never_seen_it_says_what_the_networks_say(data: Samples):
    """Far from every training clip both kernels are 0."""
    from micromimic.models.ensemble import Evidence

    machine = fit(data).machine_
    start = np.array([[[0.4, -0.1, -0.3]]])
    units = 1e3 * np.ones((1, 1, len(machine.spread)))
    far = Evidence(np.full((1, 1, 1568), 1e3, np.float32), units, start)
    assert np.allclose(machine.scores(far), machine.lead * start[0])


def test_a_unit_that_never_changes_divides_nothing(data: Samples):
    from micromimic.models.ensemble import EnsembleRecipe, Evidence, fit_machine

    seen = Evidence.of(data.inputs, Synthetic(SHIPPED, THREE.names), 3)
    seen.units[..., 3] = 2.5
    machine = fit_machine(seen, data.targets, EnsembleRecipe())
    assert machine.spread[3] == 1.0
    assert np.isfinite(machine.scores(seen)).all()


def test_every_seed_gives_the_same(data: Samples, trained: FlowEnsemble):
    again = fit(data)
    assert np.array_equal(again.scores(data.inputs), trained.scores(data.inputs))


def test_no_row_outside_the_training_part_decides_anything(data: Samples):
    train = np.flatnonzero(data.subjects != "smic/s05")
    one = fit(data.take(train))
    other = samples_of(seed=77)
    held = data.subjects == "smic/s05"
    changed = replace(
        data,
        inputs=np.where(held[:, None, None, None], other.inputs, data.inputs),
        targets=np.where(held, (data.targets + 1) % 3, data.targets),
    )
    two = fit(changed.take(train))
    assert np.array_equal(one.scores(other.inputs), two.scores(other.inputs))


def test_nobody_who_was_trained_on_tells_how_sure_it_may_be(data: Samples):
    from micromimic.models.ensemble import inner_splits

    splits = inner_splits(data.subjects, data.targets, 5)
    assert len(splits) == 5
    for train, test in splits:
        assert not set(data.subjects[train]) & set(data.subjects[test])
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(data)))


def test_one_subject_or_class_is_enough_or_told(data: Samples):
    from micromimic.models.ensemble import inner_splits

    alone = data.take(np.flatnonzero(data.subjects == "smic/s00"))
    ((train, test),) = inner_splits(alone.subjects, alone.targets, 3)
    assert train.tolist() == test.tolist() == list(range(6))
    fitted = fit(alone)
    assert np.isfinite(fitted.scores(data.inputs)).all()
    with pytest.raises(InputError, match="two classes"):
        fit(data.take(np.flatnonzero(data.targets == 0)))


def test_a_fold_that_would_leave_one_class_is_left_out(data: Samples):
    from micromimic.models.ensemble import inner_splits

    # s00 shows all classes, s01 and s02 only the first
    rows = np.flatnonzero(
        (data.subjects == "smic/s00")
        | (np.isin(data.subjects, ["smic/s01", "smic/s02"]) & (data.targets == 0))
    )
    some = data.take(rows)
    splits = inner_splits(some.subjects, some.targets, 3)
    assert len(splits) == 2
    assert all(len(set(some.targets[train])) == 3 for train, _ in splits)


def test_the_fewer_the_clips_the_more_of_the_synthetic_answer_is_kept():
    """Half of it kept beside fifteen clips, five subjects got .60 UF1 where it has .71 alone."""
    from micromimic.models.ensemble import EnsembleRecipe

    kept = [EnsembleRecipe().lead_of(clips) for clips in (0, 15, 30, 300)]
    assert kept == pytest.approx([1.0, 0.5 + 0.5 / 2**0.5, 0.75, 0.5], abs=1e-3)


def test_settings_of_a_recipe_are_checked():
    from micromimic.models.ensemble import EnsembleRecipe

    for wrong in ({"ridge": 0.0}, {"lead": -1.0}, {"inner_folds": 1}):
        with pytest.raises(ValueError, match="numbers above 0"):
            EnsembleRecipe(**wrong)


def test_it_knows_other_peoples_movements_and_how_sure_it_is():
    asked = samples_of(20, seed=2)
    for init, least in (("none", 0.5), ("default", 0.75)):
        fitted = fit(samples_of(10, seed=1), init=init)
        p = fitted.predict_proba(asked.inputs)
        said = THREE.decode(p.argmax(1))
        # the clips of ten people, asked about twenty others: chance is .33
        assert uf1(asked.labels, said) > least
        assert abs(p.max(1).mean() - (said == asked.labels).mean()) < 0.15


# --- the file ---


@pytest.mark.parametrize("init", ["default", "none"])
def test_the_file_says_what_the_model_says(data: Samples, tmp_path: Path, init: str):
    fitted = fit(data, init=init)
    path = tmp_path / "model.onnx"
    path.write_bytes(fitted.to_onnx(META))
    model = load_model(path)
    maps = samples_of(3, seed=4).inputs
    assert model.view == "flow" and model.info.name == "flow-ensemble"
    assert np.allclose(model.probabilities(maps), fitted.predict_proba(maps), atol=1e-4)


def test_the_files_votes_are_the_synthetic_networks(file: Path):
    maps = samples_of(2, seed=4).inputs
    _, votes = load_model(file).scores_and_votes(maps)
    assert np.allclose(votes, load_model().scores_and_votes(maps)[1], atol=1e-5)
    # what analyze shows of a face
    assert load_model(file).predict(maps[:1])[0].votes.shape == votes.shape[2:]


def test_without_networks_nothing_votes(data: Samples, tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(fit(data, init="none").to_onnx(META))
    assert load_model(path).scores_and_votes(data.inputs)[1] is None


def test_a_file_of_ones_own_takes_the_class_networks_place(data: Samples, tmp_path: Path):
    own = tmp_path / "own.onnx"
    own.write_bytes(fit(data, init="none").to_onnx(META))
    fitted = fit(data, init=own)
    assert fitted.synthetic_ is not None and fitted.synthetic_.path == own
    path = tmp_path / "model.onnx"
    path.write_bytes(fitted.to_onnx(META))
    maps = samples_of(1, seed=4).inputs
    assert np.allclose(load_model(path).probabilities(maps), fitted.predict_proba(maps), atol=1e-4)


def test_what_cannot_be_a_network_is_refused(data: Samples, trained: FlowEnsemble, tmp_path: Path):
    import onnx

    with pytest.raises(ModelError, match="nothing to download"):
        fit(data, init="download")
    with pytest.raises(ModelError, match="found no file"):
        fit(data, init=tmp_path / "none.onnx")
    volume = tmp_path / "volume.onnx"
    volume.write_bytes(_volume_model())
    with pytest.raises(ModelError, match="looks at flow maps"):
        Synthetic(volume, THREE.names)
    older = onnx.load(SHIPPED)
    older.opset_import[0].version = 15
    onnx.save(older, tmp_path / "older.onnx")
    old = clone(trained)
    vars(old).update(
        vars(trained) | {"synthetic_": Synthetic(tmp_path / "older.onnx", THREE.names)}
    )
    with pytest.raises(ModelError, match="ONNX operators"):
        old.to_onnx(META)


def _volume_model() -> bytes:
    from micromimic.models.svm import HellingerMachine, build_onnx

    machine = HellingerMachine(np.ones((4, 3)), np.zeros(3))
    return build_onnx(machine, "volume", {**META, "view": "volume", "encoder": "lbp-top"})


def test_train_and_evaluate_know_it(data: Samples, tmp_path: Path):
    """From a manifest to a file that `analyze --model` opens, and to figures."""
    import cv2

    from micromimic.evaluation.evaluate import evaluate_run
    from micromimic.evaluation.run import RunConfig
    from micromimic.evaluation.train import train

    lines = ["dataset,subject,clip,label,kind,path"]
    for k, flow in enumerate(data.inputs):
        low, high = flow.min((1, 2), keepdims=True), flow.max((1, 2), keepdims=True)
        picture = np.rint(255 * (flow - low) / (high - low)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), picture.transpose(1, 2, 0)[..., ::-1])
        lines.append(f"smic,s{k // 6:02},c{k:02},{data.labels[k]},flow_map,{k}.png")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    config = RunConfig(model="flow-ensemble", groups=2)
    found = evaluate_run(manifest, config, tmp_path / "run")
    assert found.metrics["composite"]["n"] == len(data)
    out = tmp_path / "model.onnx"
    told = train(manifest, "flow-ensemble", out)
    assert told.clips == len(data) and told.weights is None
    # its own clips are no test of it
    asked = RunConfig(model="flow-ensemble", protocol="apply", init=out)
    with pytest.raises(InputError, match="fitted to 36 of these clips and 6 of these subjects"):
        evaluate_run(manifest, asked, tmp_path / "applied")
