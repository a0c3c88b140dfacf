"""The ensemble: members, what they are weighed by, and the one file that holds them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from micromimic.errors import InputError, ModelError
from micromimic.evaluation.metrics import uf1
from micromimic.labels import EMOTIONS
from micromimic.models.ensemble import FittedEnsemble, FrozenFlow, Voice, spread_of
from micromimic.models.learner import FitOptions, Fitted, Init, Samples, View, softmax
from micromimic.models.onnx import SHIPPED, load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.ridge import FlowRidge
from micromimic.synthesis.maps import MapConfig, generate_maps

pytestmark = pytest.mark.needs("train")

META = {
    "name": "flow-ensemble",
    "version": "1",
    "trained_on": "a test",
    "classes": list(EMOTIONS),
    "temperature": 1.0,
    "margin": 0.1,
}


def samples_of(people: int = 6, each: int = 6, seed: int = 0) -> Samples:
    """Synthetic maps on a scale of their own, as published ones are."""
    n = people * each
    labels = [EMOTIONS[k % 3] for k in range(n)]
    maps = 127 + 40 * generate_maps(labels, seed=seed, config=MapConfig(noise=(0.2, 0.5)))
    who = np.array([f"smic/s{k // each:02}" for k in range(n)])
    clips = np.array([f"{name}/c{k:03}" for k, name in enumerate(who)])
    targets = np.array([EMOTIONS.index(label) for label in labels])
    return Samples(maps, targets, np.full(n, "smic"), who, clips)


@pytest.fixture(scope="module")
def data() -> Samples:
    return samples_of()


@pytest.fixture(scope="module")
def trained(data: Samples) -> FittedEnsemble:
    from micromimic.training.ensemble import FlowEnsemble

    return FlowEnsemble().fit(data, FitOptions(epochs=2))


@pytest.fixture(scope="module")
def file(trained: FittedEnsemble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ensemble") / "model.onnx"
    path.write_bytes(trained.to_onnx(META))
    return path


# --- the kernel machine ---


def test_the_ridge_is_that_of_scikit_learn(data: Samples):
    from sklearn.kernel_ridge import KernelRidge

    keep = np.flatnonzero((data.targets != 2) | (np.arange(len(data)) % 2 == 0))
    train, test = data.take(keep), samples_of(seed=9)
    one, other = center(train.inputs)[:, :2], mirror(center(train.inputs))[:, :2]
    rows = np.concatenate([one, other]).reshape(2 * len(train), -1).astype(np.float64)
    targets = np.tile(train.targets, 2)
    # weights of samples that let the classes weigh the same, 1 on average over classes
    weight = len(targets) / 3 / np.bincount(targets)[targets]
    machine = KernelRidge(alpha=1.0, kernel="rbf", gamma=0.6 / rows.var(0).sum())
    machine.fit(rows, np.eye(3)[targets] - 1 / 3, sample_weight=weight)
    asked = [center(test.inputs)[:, :2], mirror(center(test.inputs))[:, :2]]
    wanted = np.mean([machine.predict(x.reshape(len(test), -1)) for x in asked], axis=0)
    found = FlowRidge().fit(train, FitOptions()).scores(test.inputs)
    assert np.allclose(found, wanted, atol=1e-5)


def test_the_ridge_says_what_is_wrong(data: Samples):
    with pytest.raises(ValueError, match="above 0"):
        FlowRidge(ridge=0)
    with pytest.raises(InputError, match="two classes"):
        FlowRidge().fit(data.take(np.flatnonzero(data.targets == 1)), FitOptions())


def test_a_class_without_maps_is_not_named(data: Samples):
    two = data.take(np.flatnonzero(data.targets != 0))
    scores = FlowRidge().fit(two, FitOptions()).scores(data.inputs)
    assert np.isfinite(scores).all()
    assert (scores.argmax(1) != 0).all()


# --- how members are heard together ---


def test_the_spread_against_a_loop():
    scores = np.random.default_rng(0).normal(3, 2, (50, 3))
    total = 0.0
    for row in scores:
        middle = sum(row) / 3
        total += sum((value - middle) ** 2 for value in row)
    assert spread_of(scores) == pytest.approx((total / 150) ** 0.5)
    assert spread_of(scores + np.arange(50)[:, None]) == pytest.approx(spread_of(scores))
    assert spread_of(np.ones((4, 3))) == 1.0


def test_scores_are_the_weighted_sum(trained: FittedEnsemble):
    maps = samples_of(2, seed=4).inputs
    total = sum(voice.factor * voice.fitted.scores(maps) for voice in trained.voices)
    assert np.allclose(trained.scores(maps), total)
    assert sum(voice.share for voice in trained.voices) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least one member"):
        FittedEnsemble([])
    with pytest.raises(ValueError, match="factor > 0"):
        Voice("none", trained.voices[0].fitted, 0.0, 0.5)


@dataclass
class Spy:
    """A learner that writes down whom it was trained on and asked about."""

    scale: float
    options: FitOptions = field(default_factory=FitOptions)
    seen: list[tuple[set[str], set[str]]] = field(default_factory=list)
    view: View = "flow"
    temperature: float = 1.0
    encoder: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    who: Mapping[bytes, str] = field(default_factory=dict)

    def encode(self, clip: np.ndarray) -> np.ndarray:
        return clip

    def warning(self, init: Init) -> str | None:
        return None

    def fit(self, samples: Samples, options: FitOptions) -> Fitted:
        spy, known = self, set(samples.subjects.tolist())
        spy.options = options

        class Said:
            def scores(self, inputs: np.ndarray) -> np.ndarray:
                spy.seen.append((known, {spy.who[row.tobytes()] for row in inputs}))
                return spy.scale * np.asarray(inputs[:, :, 5, 5] - 127, np.float64)

            def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
                return b""

        return Said()


def test_nobody_is_asked_about_who_was_trained_on(data: Samples):
    from micromimic.training.ensemble import FlowEnsemble

    who = {row.tobytes(): str(name) for row, name in zip(data.inputs, data.subjects, strict=True)}
    learner = FlowEnsemble()
    spies = {"network": Spy(0.1, who=who), "kernel": Spy(70.0, who=who)}
    learner.members = spies
    fitted = learner.fit(data, FitOptions(init="none", epochs=7, checkpoint=Path("x")))
    for spy in spies.values():
        assert len(spy.seen) == 3
        assert all(not known & asked for known, asked in spy.seen)
        everyone = set.union(*(asked for _, asked in spy.seen))
        assert everyone == set(data.subjects.tolist())
        assert spy.options.epochs == 7
        assert spy.options.checkpoint is None
    # a member that speaks 700 times as loud is heard by its weight alone
    loud = [voice.factor * spies[name].scale for voice, name in zip(fitted.voices, spies)]  # noqa: B905
    assert 2 * loud[0] == pytest.approx(loud[1])
    assert [voice.share for voice in fitted.voices] == pytest.approx([1 / 3, 2 / 3])


def test_the_network_starts_from_synthetic_weights_where_clips_are_few(data: Samples):
    from micromimic.training.ensemble import EnsembleRecipe, FlowEnsemble

    who = {row.tobytes(): str(name) for row, name in zip(data.inputs, data.subjects, strict=True)}
    for below, init, start in (
        (37, "default", "default"),
        (37, SHIPPED, SHIPPED),
        (37, "none", "none"),
        (36, "default", "none"),
    ):
        learner = FlowEnsemble(EnsembleRecipe(tuned_below=below))
        learner.members = {"network": Spy(1.0, who=who), "kernel": Spy(1.0, who=who)}
        learner.fit(data, FitOptions(init=init))
        assert learner.members["network"].options.init == start


def test_trained_members_are_trusted_by_the_number_of_their_clips(data: Samples):
    """Fifteen clips once outvoted thousands of synthetic ones: five subjects got .51 UF1."""
    from micromimic.training.ensemble import EnsembleRecipe, FlowEnsemble

    shares = {}
    for full in (len(data), 4 * len(data)):
        recipe = EnsembleRecipe(trusted_from=full)
        voices = FlowEnsemble(recipe).fit(data, FitOptions(epochs=1)).voices
        shares[full] = {voice.name: voice.share for voice in voices}
    # weights 1 : 2 : 1, and with a quarter of the clips .25 : .5 : 1
    assert shares[len(data)]["synthetic flow-capsnet"] == pytest.approx(1 / 4)
    assert shares[4 * len(data)]["synthetic flow-capsnet"] == pytest.approx(1 / 1.75)
    assert shares[4 * len(data)]["kernel ridge"] == pytest.approx(0.5 / 1.75)


def test_no_row_outside_the_training_part_decides_anything(data: Samples):
    from micromimic.training.ensemble import FlowEnsemble

    train = np.flatnonzero(data.subjects != "smic/s05")
    options = FitOptions(epochs=1, seed=3)
    one = FlowEnsemble().fit(data.take(train), options)
    other = samples_of(seed=77)
    changed = Samples(
        np.where((data.subjects == "smic/s05")[:, None, None, None], other.inputs, data.inputs),
        np.where(data.subjects == "smic/s05", (data.targets + 1) % 3, data.targets),
        data.datasets, data.subjects, data.clips,
    )  # fmt: skip
    two = FlowEnsemble().fit(changed.take(train), options)
    assert np.array_equal(one.scores(other.inputs), two.scores(other.inputs))


def test_one_subject_or_class_is_enough_or_told(data: Samples):
    from micromimic.training.ensemble import FlowEnsemble, inner_splits

    alone = data.take(np.flatnonzero(data.subjects == "smic/s00"))
    ((train, test),) = inner_splits(alone, 3)
    assert train.tolist() == test.tolist() == list(range(6))
    fitted = FlowEnsemble().fit(alone, FitOptions(epochs=1))
    assert np.isfinite(fitted.scores(data.inputs)).all()
    with pytest.raises(InputError, match="two classes"):
        FlowEnsemble().fit(data.take(np.flatnonzero(data.targets == 0)), FitOptions())


def test_a_fold_that_would_leave_one_class_is_left_out(data: Samples):
    from micromimic.training.ensemble import inner_splits

    # s00 shows all classes, s01 and s02 only the first
    rows = np.flatnonzero(
        (data.subjects == "smic/s00")
        | (np.isin(data.subjects, ["smic/s01", "smic/s02"]) & (data.targets == 0))
    )
    some = data.take(rows)
    splits = inner_splits(some, 3)
    assert len(splits) == 2
    assert all(len(set(some.targets[train])) == 3 for train, _ in splits)


def test_settings_of_a_recipe_are_checked():
    from micromimic.training.ensemble import EnsembleRecipe

    for wrong in ({"network": 0.0}, {"inner_folds": 1}):
        with pytest.raises(ValueError, match="weights above 0"):
            EnsembleRecipe(**wrong)


def test_it_knows_other_peoples_movements_and_how_sure_it_is():
    from micromimic.training.ensemble import FlowEnsemble

    fitted = FlowEnsemble().fit(samples_of(10, seed=1), FitOptions(epochs=4))
    asked = samples_of(20, seed=2)
    p = softmax(fitted.scores(asked.inputs), FlowEnsemble().temperature)
    said = np.asarray(EMOTIONS)[p.argmax(1)]
    # the clips of ten people, asked about twenty others: far above chance (.33)
    assert uf1(asked.labels, said) > 0.6
    assert abs(p.max(1).mean() - (said == asked.labels).mean()) < 0.15


# --- the file ---


def test_the_file_says_what_the_model_says(trained: FittedEnsemble, file: Path):
    model = load_model(file)
    maps = samples_of(3, seed=4).inputs
    assert model.view == "flow" and model.info.name == "flow-ensemble"
    assert np.allclose(model.probabilities(maps), softmax(trained.scores(maps)), atol=1e-4)


def test_the_files_votes_are_the_voting_members_mean(
    trained: FittedEnsemble, file: Path, tmp_path: Path
):
    maps = samples_of(2, seed=4).inputs
    _, votes = load_model(file).lengths_and_votes(maps)
    assert votes.shape[:2] == (len(maps), 3)
    assert np.allclose(votes.sum((2, 3)), 1)
    said, shares = [], []
    for number, voice in enumerate(trained.voices):
        alone = tmp_path / f"{number}.onnx"
        alone.write_bytes(voice.fitted.to_onnx(META))
        theirs = load_model(alone).scores_and_votes(maps)[1]
        if theirs is not None:
            said.append(theirs)
            shares.append(voice.share)
    assert len(said) == 2  # the kernel machine has no capsules
    assert np.allclose(np.average(said, axis=0, weights=shares), votes, atol=1e-4)
    # what analyze shows of a face
    assert load_model(file).predict(maps[:1])[0].votes.shape == votes.shape[2:]


def test_without_the_synthetic_member_nothing_but_the_clips_decides(data: Samples, tmp_path: Path):
    from micromimic.training.ensemble import FROZEN, FlowEnsemble

    fitted = FlowEnsemble().fit(data, FitOptions(epochs=1, init="none"))
    assert FROZEN not in [voice.name for voice in fitted.voices]
    path = tmp_path / "two.onnx"
    path.write_bytes(fitted.to_onnx(META))
    maps = samples_of(1, seed=4).inputs
    assert np.allclose(
        load_model(path).probabilities(maps), softmax(fitted.scores(maps)), atol=1e-4
    )


def test_a_file_of_ones_own_takes_the_synthetic_members_place(
    data: Samples, trained: FittedEnsemble, tmp_path: Path
):
    from micromimic.training.ensemble import FROZEN, FlowEnsemble

    own = tmp_path / "own.onnx"
    own.write_bytes(trained.voices[0].fitted.to_onnx(META))
    fitted = FlowEnsemble().fit(data, FitOptions(epochs=1, init=own))
    frozen = next(voice.fitted for voice in fitted.voices if voice.name == FROZEN)
    maps = samples_of(1, seed=4).inputs
    assert np.array_equal(frozen.scores(maps), load_model(own).scores_and_votes(maps)[0])


def test_members_that_do_not_vote_join_as_scores(data: Samples, tmp_path: Path):
    machines = [FlowRidge(), FlowRidge(ridge=5.0)]
    voices = [Voice("k", one.fit(data, FitOptions()), 2.0, 0.5) for one in machines]
    fitted = FittedEnsemble(voices)
    path = tmp_path / "kernels.onnx"
    path.write_bytes(fitted.to_onnx(META))
    model = load_model(path)
    assert np.allclose(
        model.probabilities(data.inputs), softmax(fitted.scores(data.inputs)), atol=1e-4
    )
    with pytest.raises(ModelError, match="capsules that vote"):
        model.lengths_and_votes(data.inputs)


def test_what_cannot_be_a_member_is_refused(data: Samples, tmp_path: Path):
    import onnx

    from micromimic.models.ensemble_onnx import join
    from micromimic.training.ensemble import FlowEnsemble

    with pytest.raises(ModelError, match="nothing to download"):
        FlowEnsemble().fit(data, FitOptions(init="download"))
    with pytest.raises(ModelError, match="found no file"):
        FlowEnsemble().fit(data, FitOptions(init=tmp_path / "none.onnx"))
    volume = tmp_path / "volume.onnx"
    volume.write_bytes(_volume_model())
    with pytest.raises(ModelError, match="looks at flow maps"):
        FrozenFlow(volume)
    older = onnx.load(SHIPPED)
    older.opset_import[0].version = 15
    with pytest.raises(ModelError, match="ONNX operators"):
        join([older.SerializeToString()], [1.0], [1.0], META)
    shipped = SHIPPED.read_bytes()
    coarse = onnx.load(SHIPPED)
    votes = next(end for end in coarse.graph.output if end.name == "votes")
    votes.type.tensor_type.shape.dim[2].dim_value = 4
    with pytest.raises(ModelError, match="vote on one grid"):
        join([shipped, coarse.SerializeToString()], [1.0, 1.0], [0.5, 0.5], META)


def _volume_model() -> bytes:
    from micromimic.models.svm import FittedDescriptorSvm, HellingerMachine

    machine = HellingerMachine(np.ones((4, 3)), np.zeros(3))
    return FittedDescriptorSvm(machine).to_onnx({**META, "view": "volume", "encoder": "lbp-top"})


def test_train_and_evaluate_know_it(data: Samples, tmp_path: Path):
    """From a manifest to a file that `analyze --model` opens, and to figures."""
    import cv2

    from micromimic.evaluation.run import RunConfig
    from micromimic.pipelines.experiment import evaluate
    from micromimic.pipelines.training import train

    lines = ["dataset,subject,clip,label,kind,path"]
    for k, flow in enumerate(data.inputs):
        low, high = flow.min((1, 2), keepdims=True), flow.max((1, 2), keepdims=True)
        picture = np.rint(255 * (flow - low) / (high - low)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), picture.transpose(1, 2, 0)[..., ::-1])
        lines.append(f"smic,s{k // 6:02},c{k:02},{data.labels[k]},flow_map,{k}.png")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    config = RunConfig(model="flow-ensemble", groups=2, epochs=1)
    found = evaluate(manifest, config, tmp_path / "run")
    assert found.metrics["composite"]["n"] == len(data)
    out = tmp_path / "model.onnx"
    told = train(manifest, "flow-ensemble", out, FitOptions(epochs=1))
    assert told.clips == len(data) and told.weights is None
    asked = RunConfig(model="flow-ensemble", protocol="apply", init=out)
    applied = evaluate(manifest, asked, tmp_path / "applied")
    assert applied.metrics["composite"]["uf1"] > found.metrics["composite"]["uf1"] - 0.2
