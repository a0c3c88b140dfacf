"""Support vector machines: against scikit-learn's own, leak-free, and as ONNX."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from micromimic.core.errors import InputError, MissingExtraError, ModelError
from micromimic.core.labels import THREE
from micromimic.evaluation.metrics import uf1
from micromimic.models import svm
from micromimic.models.base import FitRun
from micromimic.models.onnx import load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.runtime import METADATA_KEY
from micromimic.models.samples import Samples, softmax
from micromimic.models.svm import COSTS, DescriptorSvm, FlowSvm
from micromimic.motion.features import DESCRIPTORS
from weights.real_maps import read_flow_maps

pytestmark = pytest.mark.needs("train")

META = {
    "name": "flow-svm",
    "version": "1",
    "trained_on": "a test",
    "classes": list(THREE),
    "temperature": 0.5,
    "margin": 0.1,
}


def samples(inputs, targets, subjects) -> Samples:
    n = len(targets)
    return Samples(
        inputs=np.asarray(inputs),
        targets=np.asarray(targets, np.int64),
        datasets=np.array(["synthetic"] * n),
        subjects=np.array([f"synthetic/{s:02}" for s in subjects]),
        clips=np.array([f"synthetic/{s:02}/{i:03}" for i, s in enumerate(subjects)]),
    )


def flow_samples(people=8, each=6, seed=0, noise=1.0) -> Samples:
    """Maps with a symmetric pattern a class, a habit a subject, and noise."""
    rng = np.random.default_rng(seed)
    pattern = np.random.default_rng(99).normal(size=(3, 3, 28, 28))
    pattern = pattern + mirror(pattern)
    maps, targets, subjects = [], [], []
    for who in range(people):
        habit = 0.5 * rng.normal(size=(3, 28, 28))
        for i in range(each):
            label = int(rng.choice(3, p=[0.5, 0.3, 0.2])) if i > 2 else i
            maps.append(127 + 30 * (pattern[label] + habit + noise * rng.normal(size=(3, 28, 28))))
            targets.append(label)
            subjects.append(who)
    return samples(np.array(maps, np.float32), targets, subjects)


def histogram_samples(people=8, each=6, seed=0, size=40) -> Samples:
    """Histograms of 10 bins each, that lean to another bin in each class."""
    rng = np.random.default_rng(seed)
    inputs, targets, subjects = [], [], []
    for who in range(people):
        habit = rng.uniform(0.5, 1.5, size)
        for i in range(each):
            lean = np.ones(size)
            lean[i % 3 :: 3] *= 1.35
            drawn = rng.gamma(8 * habit * lean).reshape(-1, 10)
            inputs.append((drawn / drawn.sum(1, keepdims=True)).ravel())
            targets.append(i % 3)
            subjects.append(who)
    return samples(np.array(inputs, np.float32), targets, subjects)


def clip_samples(descriptor, people=6, each=3, seed=0) -> Samples:
    """Clips of a texture a subject: in one class it moves sideways, in one up, in one not."""
    rng = np.random.default_rng(seed)
    inputs, targets, subjects = [], [], []
    learner = DescriptorSvm(descriptor)
    y, x = np.mgrid[:50, :50]
    for who in range(people):
        waves = rng.uniform(0.2, 0.7, (4, 2)) * rng.choice([-1, 1], (4, 2))
        for label in range(3):
            for _ in range(each):
                shift = 2.5 * np.sin(np.linspace(0, np.pi, rng.integers(12, 40)))
                right, down = [(0, 0), (1, 0), (0, 1)][label]
                clip = [
                    sum(np.sin(a * (x + right * s) + b * (y + down * s)) for a, b in waves)
                    for s in shift
                ]
                noisy = 128 + 25 * np.stack(clip) + rng.normal(size=(len(shift), 50, 50))
                inputs.append(learner.encode(np.rint(noisy).clip(0, 255).astype(np.uint8)))
                targets.append(label)
                subjects.append(who)
    return samples(np.array(inputs), targets, subjects)


def given(data: Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return data.inputs, data.labels, data.subjects


def rows_of(data: Samples, people) -> np.ndarray:
    return np.flatnonzero(np.isin(data.subjects, [f"synthetic/{s:02}" for s in people]))


def halves(data: Samples) -> tuple[Samples, Samples]:
    """Even subjects and odd subjects."""
    people = range(len(set(data.subjects.tolist())))
    return (
        data.take(rows_of(data, [s for s in people if s % 2 == 0])),
        data.take(rows_of(data, [s for s in people if s % 2])),
    )


def run_onnx(content: bytes, name: str, inputs: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [end.name for end in session.get_inputs()] == [name]
    assert [end.name for end in session.get_outputs()] == ["scores"]
    return session.run(["scores"], {name: inputs})[0]


def test_flow_svm_recognises_other_people():
    train, test = halves(flow_samples())
    fitted = FlowSvm().fit(*given(train))
    scores = fitted.scores(test.inputs)
    assert scores.shape == (len(test), 3) and scores.dtype == np.float64
    assert (scores.argmax(1) == test.targets).mean() > 0.9


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_descriptors_tell_movements_of_other_people(name):
    train, test = halves(clip_samples(name))
    found = DescriptorSvm(name).fit(*given(train)).scores(test.inputs).argmax(1)
    if name == "lbp-sip":  # no pattern of it joins place and time: it sees that, not where to
        found, truth = found > 0, test.targets > 0
    else:
        truth = test.targets
    # each plane's histogram by itself, as the article's text may be read, tells less
    assert (found == truth).mean() > (0.7 if name.endswith("by-planes") else 0.9)


def test_shuffled_labels_teach_nothing():
    train, test = halves(flow_samples(people=16, seed=5))
    rng = np.random.default_rng(0)
    shuffled = samples(
        train.inputs, rng.permutation(train.targets), [int(s[-2:]) for s in train.subjects]
    )
    predicted = FlowSvm().fit(*given(shuffled)).scores(test.inputs).argmax(1)
    assert uf1(test.labels, THREE.decode(predicted)) < 0.5


@pytest.mark.parametrize("cost", [0.1, 10.0])
def test_flow_scores_equal_scikit_learns_machines(monkeypatch, cost):
    from sklearn.svm import SVC

    monkeypatch.setattr(svm, "COSTS", (cost,))
    train, test = halves(flow_samples(noise=2.0))
    found = FlowSvm().fit(*given(train)).scores(test.inputs)

    def vectors(maps):
        return center(maps)[:, :2].reshape(len(maps), -1).astype(np.float64)

    both = np.concatenate([vectors(train.inputs), vectors(mirror(train.inputs))])
    gamma = 1 / both.var(0).sum()
    for label in range(3):
        machine = SVC(C=cost, kernel="rbf", gamma=gamma, class_weight="balanced")
        machine.fit(both, np.tile(train.targets == label, 2))
        one, other = (
            machine.decision_function(vectors(m)) for m in (test.inputs, mirror(test.inputs))
        )
        # two solvers of one problem, each to its tolerance
        assert np.allclose(found[:, label], (one + other) / 2, atol=5e-3)


@pytest.mark.parametrize("cost", [0.1, 10.0])
def test_descriptor_scores_equal_scikit_learns_machines(monkeypatch, cost):
    from sklearn.svm import SVC

    monkeypatch.setattr(svm, "COSTS", (cost,))
    train, test = halves(histogram_samples())
    found = DescriptorSvm("lbp-top").fit(*given(train)).scores(test.inputs)
    roots = np.sqrt(train.inputs.astype(np.float64))
    spread = np.sqrt(roots.var(0).sum())
    asked = (np.sqrt(test.inputs.astype(np.float64)) - roots.mean(0)) / spread
    for label in range(3):
        machine = SVC(C=cost, kernel="linear", class_weight="balanced")
        machine.fit((roots - roots.mean(0)) / spread, train.targets == label)
        assert np.allclose(found[:, label], machine.decision_function(asked), atol=5e-3)


def test_the_mirror_image_scores_the_same():
    train, test = halves(flow_samples())
    fitted = FlowSvm().fit(*given(train))
    assert np.allclose(fitted.scores(test.inputs), fitted.scores(mirror(test.inputs)), atol=1e-9)


def test_scale_and_offset_of_a_map_do_not_matter():
    train, test = halves(flow_samples())
    fitted = FlowSvm().fit(*given(train))
    assert np.allclose(fitted.scores(test.inputs), fitted.scores(3 * test.inputs - 40), atol=1e-3)


def test_cost_is_chosen_across_subjects_of_the_training_part():
    from sklearn.model_selection import GroupKFold
    from sklearn.svm import SVC

    data = histogram_samples(people=7, seed=3)
    roots = np.sqrt(data.inputs.astype(np.float64))
    rows = (roots - roots.mean(0)) / np.sqrt(roots.var(0).sum())
    scores = {}
    for cost in COSTS:
        predicted = np.zeros(len(data), int)
        for train, held in GroupKFold(5).split(rows, groups=data.subjects):
            values = [
                SVC(C=cost, kernel="linear", class_weight="balanced")
                .fit(rows[train], data.targets[train] == label)
                .decision_function(rows[held])
                for label in range(3)
            ]
            predicted[held] = np.argmax(values, axis=0)
        scores[cost] = uf1(data.labels, THREE.decode(predicted))
    assert len(set(scores.values())) > 1  # there is something to choose
    expected = max(COSTS, key=lambda cost: scores[cost])
    assert svm.choose_cost(rows @ rows.T, data.targets, data.subjects, copies=1) == expected


def test_inner_folds_keep_subjects_together():
    data = flow_samples(people=7)
    seen = np.zeros(len(data), int)
    for train, held in svm.inner_folds(data.subjects):
        assert not set(data.subjects[train]) & set(data.subjects[held])
        seen[held] += 1
    assert (seen == 1).all()


def test_mirror_images_of_held_out_clips_are_held_out():
    # scores of a clip that was trained on, even mirrored, would be far above others'
    data = flow_samples(people=4, noise=30.0, seed=2)  # nothing to learn but the clips themselves
    vectors = np.concatenate(svm.both_ways(data.inputs))
    gram = np.exp(-svm.square_distances(vectors, vectors) * 20 / svm.spread_of(vectors))
    for train, held in svm.inner_folds(data.subjects):
        rows = svm._copied(train, len(data), 2)
        asked = gram[np.ix_(svm._copied(held, len(data), 2), rows)]
        assert asked.max() < 0.5


def test_flow_onnx_equals_the_scores():
    import onnx

    train, test = halves(flow_samples(noise=2.0))
    fitted = FlowSvm().fit(*given(train))
    content = fitted.to_onnx({**META, "view": "flow"})
    data = center(test.inputs)
    one, other = run_onnx(content, "maps", data), run_onnx(content, "maps", mirror(data))
    assert one.dtype == np.float32
    assert np.allclose((one + other) / 2, fitted.scores(test.inputs), atol=1e-4)
    # the graph gives one view at a time; as it learnt from both, it is nearly symmetric
    assert np.allclose(one, fitted.machine_.scores(svm.both_ways(test.inputs)[0]), atol=1e-4)
    assert not np.array_equal(one, other)
    model = onnx.load_from_string(content)
    assert model.ir_version == 8 and model.opset_import[0].version == 17
    stored = {prop.key: prop.value for prop in model.metadata_props}
    assert json.loads(stored[METADATA_KEY])["view"] == "flow"
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [
        0, 3, 28, 28,
    ]  # fmt: skip


def test_descriptor_onnx_equals_the_scores():
    train, test = halves(clip_samples("lbp-top"))
    fitted = DescriptorSvm("lbp-top").fit(*given(train))
    content = fitted.to_onnx({**META, "view": "volume", "encoder": "lbp-top"})
    found = run_onnx(content, "features", test.inputs.astype(np.float32))
    assert np.allclose(found, fitted.scores(test.inputs), atol=1e-4)
    assert len(run_onnx(content, "features", np.zeros((0, 1200), np.float32))) == 0


def test_exported_files_open_as_models(tmp_path):
    train, test = halves(flow_samples(noise=2.0))
    fitted = FlowSvm().fit(*given(train))
    file = tmp_path / "flow.onnx"
    file.write_bytes(fitted.to_onnx({**META, "view": "flow", "encoder": None}))
    expected = softmax(fitted.scores(test.inputs), META["temperature"])
    assert np.allclose(load_model(file).probabilities(test.inputs), expected, atol=1e-4)

    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (n, 170, 140), dtype=np.uint8) for n in (5, 12, 20, 31)]
    learner = DescriptorSvm("lbp-sip")
    rows = np.array([learner.encode(clip) for clip in clips])
    described = learner.fit(*given(samples(rows, [0, 1, 2, 0], [0, 1, 2, 3])))
    file = tmp_path / "volume.onnx"
    file.write_bytes(described.to_onnx({**META, "view": "volume", "encoder": "lbp-sip"}))
    expected = softmax(described.scores(rows), META["temperature"])
    assert np.allclose(load_model(file).probabilities(clips), expected, atol=1e-4)


def test_a_class_that_an_inner_part_lacks_is_never_named():
    data = flow_samples(people=4)
    rows = svm.both_ways(data.inputs)[0]
    targets = np.where(data.targets == 1, 0, data.targets)
    weights, bias = svm._one_vs_rest(rows @ rows.T, targets, 1.0, 3)
    assert bias[1] == svm.ABSENT and not weights[:, 1].any()


def test_a_class_of_one_subject_is_trained_all_the_same():
    data = flow_samples(people=4)
    keep = (data.targets != 2) | (data.subjects == "synthetic/01")
    fitted = FlowSvm().fit(*given(data.take(np.flatnonzero(keep))))
    assert (fitted.scores(data.inputs).argmax(1) == 2).any()


def test_one_class_or_none_is_refused():
    data = flow_samples()
    with pytest.raises(InputError, match="two classes or more to train on, got only surprise; add"):
        FlowSvm().fit(*given(data.take(np.flatnonzero(data.targets == 2))))
    with pytest.raises(InputError, match="got no clips"):
        DescriptorSvm("lbp-sip").fit(*given(data.take(np.zeros(0, np.int64))))


def test_one_subject_takes_the_default_cost(monkeypatch):
    data = flow_samples(people=1, each=9)
    assert svm.choose_cost(np.eye(9), data.targets, data.subjects, copies=1) == svm.DEFAULT_COST
    assert FlowSvm().fit(*given(data)).scores(data.inputs).shape == (9, 3)


def test_training_twice_gives_the_same():
    train, test = halves(flow_samples())
    first, second = (FlowSvm().fit(*given(train)) for _ in range(2))
    assert np.array_equal(first.scores(test.inputs), second.scores(test.inputs))
    assert first.to_onnx(META) == second.to_onnx(META)


def test_learners_and_models_travel_to_other_processes():
    train, test = halves(histogram_samples())
    learner = pickle.loads(pickle.dumps(DescriptorSvm("higo-top")))
    fitted = learner.fit(*given(train))
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.scores(test.inputs), fitted.scores(test.inputs))


def test_progress_is_told_and_ends():
    told = []
    data = flow_samples(people=4)
    FlowSvm().fit(*given(data), run=FitRun(progress=lambda *event: told.append(event)))
    assert told[0] == (0, len(COSTS), "choosing C") and told[-1][:2] == (len(COSTS), len(COSTS))


def test_an_unknown_descriptor_is_refused():
    with pytest.raises(ModelError, match="one of lbp-top, .*; got 'lbp'"):
        DescriptorSvm("lbp").encode(np.zeros((5, 170, 140), np.uint8))


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 28, 28\), got \(28, 28\)"):
        FlowSvm().encode(np.zeros((28, 28)))
    fitted = DescriptorSvm("lbp-top").fit(*given(histogram_samples()))
    with pytest.raises(ValueError, match=r"features must be \(n, 40\), got \(2, 41\)"):
        fitted.scores(np.zeros((2, 41)))


def test_a_missing_extra_is_named(monkeypatch):
    fitted = DescriptorSvm("lbp-top").fit(*given(histogram_samples()))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'micromimic\[train\]'"):
        fitted.to_onnx(META)


def test_nothing_heavy_is_imported_before_training():
    code = (
        "import sys; import micromimic.models.svm; "
        "print([m for m in ('onnx', 'torch', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_flow_maps_of_unseen_subjects(shared: Path):
    from sklearn.model_selection import GroupKFold

    data = read_flow_maps(shared / "data" / "flow_maps" / "manifest.csv")
    every = Samples(
        inputs=data.maps,
        targets=np.array([THREE.index(label) for label in data.labels], np.int64),
        datasets=data.datasets,
        subjects=data.subjects,
        clips=data.clips,
    )
    predicted = np.zeros(len(every), int)
    for train, test in GroupKFold(5).split(every.targets, groups=every.subjects):
        fitted = FlowSvm().fit(*given(every.take(train)))
        predicted[test] = fitted.scores(every.inputs[test]).argmax(1)
    # the majority of each database scores .24, mean maps about .67
    assert uf1(data.labels, THREE.decode(predicted)) > 0.65
