"""Models of the user's own: scikit-learn's tools on ours, ours on scikit-learn's, plug-in files."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import micromimic
from micromimic.cli.main import main
from micromimic.core.errors import InputError, ModelError
from micromimic.core.labels import THREE, LabelSet
from micromimic.evaluation import identity
from micromimic.evaluation.predictions import Predictions
from micromimic.models import registry
from micromimic.models.fitting import seeded
from micromimic.models.svm import FlowSvm
from micromimic.models.views import Descriptors, Faces, FlowMaps, FlowVectors, Volumes, encoder_of
from micromimic.synthesis.maps import generate_maps

from ..evaluation.test_run import stopping
from ..remembering_model import Drawing, Remembering

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PEOPLE, EACH = 6, 6


def write_maps(folder: Path, labels: list[str], seed: int = 0) -> Path:
    """A manifest of made-up flow maps, eight bits a channel as published ones are."""
    maps = generate_maps(THREE.decode(np.arange(len(labels)) % 3).tolist(), seed=seed)
    lines = ["dataset,subject,clip,label,kind,path"]
    for k, flow in enumerate(maps):
        low, high = flow.min((1, 2), keepdims=True), flow.max((1, 2), keepdims=True)
        picture = np.rint(255 * (flow - low) / (high - low)).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{k}.png"), picture[::-1].transpose(1, 2, 0))
        lines.append(f"lab,p{k // EACH},c{k},{labels[k]},flow_map,{k}.png")
    (folder / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_maps(tmp_path_factory.mktemp("maps"), [THREE.names[k % 3] for k in range(36)])


def data_of(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, y and groups of made-up maps."""
    y = THREE.decode(np.arange(PEOPLE * EACH) % 3)
    return generate_maps(y.tolist(), seed=seed), y, np.repeat(np.arange(PEOPLE), EACH).astype(str)


def logistic() -> Any:
    return make_pipeline(FlowVectors(), LogisticRegression(C=0.01, max_iter=500))


# --- scikit-learn's tools on our models ---


def test_cross_val_predict_says_what_evaluate_says(manifest: Path) -> None:
    model = FlowSvm(C=1.0)
    found = micromimic.evaluate({"svm": model}, manifest)
    assert isinstance(found, Predictions) and set(found["model"]) == {"svm"}
    clips = [cv2.imread(str(manifest.parent / f"{k}.png"))[..., ::-1] for k in range(36)]
    X = np.stack([clip.transpose(2, 0, 1) for clip in clips]).astype(np.float32)
    folds = {"cv": LeaveOneGroupOut(), "groups": found.who, "method": "predict_proba"}
    assert np.array_equal(cross_val_predict(model, X, found.truth, **folds), found.probabilities)
    by_cv = micromimic.evaluate(model, manifest, cv=LeaveOneGroupOut())
    assert np.array_equal(by_cv.probabilities, found.probabilities)
    assert by_cv["fold"].tolist() == found["fold"].tolist()


def test_a_grid_search_inside_folds_keeps_people_together(manifest: Path) -> None:
    seen: list[bool] = []

    class Watched(GroupKFold):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X, y, groups):
                seen.append(bool(set(groups[train]) & set(groups[test])))
                yield train, test

    X, y, groups = data_of()
    grid = GridSearchCV(FlowSvm(), {"C": [0.1, 10.0]}, cv=Watched(3), scoring="f1_macro")
    grid.fit(X, y, groups=groups)
    assert grid.best_params_["C"] in (0.1, 10.0) and not any(seen) and len(seen) == 3
    grid.set_params(cv=GroupKFold(3))
    vectors = GridSearchCV(
        make_pipeline(FlowVectors(), LogisticRegression()),
        {"logisticregression__C": [0.01, 1.0]},
        cv=GroupKFold(3),
    )
    found = micromimic.evaluate({"grid": grid, "vectors": vectors}, manifest, groups=2)
    assert found["model"].value_counts().to_dict() == {"grid": 36, "vectors": 36}
    assert (found.scores().query("scope == 'composite'")["uf1"] > 0.5).all()
    assert len(found.compare()) == 1


def test_without_groups_nobody_is_held_out_inside() -> None:
    X, y, groups = data_of()
    assert FlowSvm().fit(X, y).C_ == 1.0
    assert FlowSvm(C=10.0).fit(X, y, groups).C_ == 10.0


# --- views ---


def test_a_pipeline_looks_at_what_its_first_step_says() -> None:
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 256, (12, 170, 140)).astype(np.uint8)
    for step in (Descriptors("hog-top"), Faces(), FlowMaps()):
        for model in (make_pipeline(step, DummyClassifier()),
                      GridSearchCV(make_pipeline(step, DummyClassifier()), {})):  # fmt: skip
            assert encoder_of(model).view == step.view
    assert encoder_of(DummyClassifier()).view == "flow"
    row = Descriptors("hog-top").encode(volume)
    assert np.array_equal(Descriptors("hog-top").fit_transform([volume]), [row])
    assert np.array_equal(Descriptors("hog-top").transform(row[None]), [row])
    assert Volumes(frames=5).encode(volume).shape == (5, 170, 140)
    crops = rng.integers(0, 256, (2, 5, 224, 224, 3)).astype(np.uint8)
    assert np.array_equal(Faces().transform(crops), crops[:, 0])
    with pytest.raises(ModelError, match="one of lbp-top"):
        Descriptors("lbp").encode(volume)
    X, _, _ = data_of()
    assert FlowVectors().fit_transform(X).shape == (36, 1568)
    assert np.array_equal(FlowMaps(centred=False).transform(X), X)


def test_random_states_that_are_none_are_set_and_others_kept() -> None:
    model = make_pipeline(FlowVectors(), LogisticRegression())
    assert seeded(model, 7).get_params()["logisticregression__random_state"] == 7
    assert seeded(model, 8).get_params()["logisticregression__random_state"] == 7


# --- evaluate ---


def test_folds_that_leak_are_refused(manifest: Path) -> None:
    for cv, said in (
        (KFold(5), "keep subjects together, got lab/p1"),
        (GroupShuffleSplit(2, random_state=0), "test every clip once"),
    ):
        with pytest.raises(InputError, match=said):
            micromimic.evaluate(FlowSvm(), manifest, cv=cv)
    with pytest.raises(InputError, match="a splitter with protocol cv"):
        micromimic.evaluate(FlowSvm(), manifest, protocol="cv")
    found = micromimic.evaluate(FlowSvm(), manifest, cv=StratifiedGroupKFold(3))
    assert found["fold"].nunique() == 3 and len(found) == 36


@pytest.mark.needs("train")
def test_train_then_apply_in_python(manifest: Path, tmp_path: Path) -> None:
    """Paths as text; the model's own clips are refused, and labelled where that is wanted."""
    file = str(tmp_path / "mine.onnx")
    with pytest.raises(ModelError, match="written as ONNX, got scikit_learn, a Pipeline"):
        micromimic.train(manifest, f"{EXAMPLES / 'scikit_learn.py'}:make_model", file)
    micromimic.train(str(manifest), "flow-svm", file)
    asked: dict[str, Any] = {"protocol": "apply", "init": file}
    with pytest.raises(InputError, match="fitted to 36 of these clips and 6 of these subjects"):
        micromimic.evaluate("flow-svm", manifest, **asked)
    found = micromimic.evaluate("flow-svm", manifest, **asked, allow_overlap=True)
    assert found["model"][0].startswith("flow-svm (OVERLAP: fitted to 36")
    assert "OVERLAP" in found.to_markdown()
    others = write_maps(tmp_path, [THREE.names[k % 3] for k in range(12)], seed=5)
    with pytest.raises(InputError, match=r"fitted to 2 of these subjects \(lab/p0, ...\);"):
        micromimic.evaluate("flow-svm", others, **asked)
    others.write_text(others.read_text().replace("lab,p", "LAB,P0"))  # spelled in another way
    with pytest.raises(InputError, match=r"fitted to 2 of these subjects \(LAB/P00, ...\);"):
        micromimic.evaluate("flow-svm", others, **asked)
    others.write_text(others.read_text().replace("LAB,P0", "other,q"))
    # the file says which model it is, whatever is asked for beside it
    assert set(micromimic.evaluate("flow-capsnet", others, **asked)["model"]) == {"flow-svm"}


@pytest.mark.needs("train")
def test_one_person_under_two_names_is_told_on_the_command_line(
    manifest: Path, tmp_path: Path
) -> None:
    twice = manifest.with_name("twice.csv")
    rows = manifest.read_text().splitlines()
    twice.write_text("\n".join([*rows[:4], *(row.replace(",p0,", ",P00,") for row in rows[4:])]))
    words = ["evaluate", str(twice), "--model", "flow-template", "--out", str(tmp_path / "run")]
    call = [sys.executable, "-m", "micromimic", *words]
    ran = subprocess.run(call, capture_output=True, text=True, check=True)
    wanted = f"micromimic: note: subjects P00 and p0 of lab may be one person in {twice}"
    assert ran.stderr.splitlines().count(wanted) == 1, ran.stderr


@pytest.mark.needs("train")
def test_any_labels(tmp_path: Path) -> None:
    """Four classes, with our models and with others', in one table."""
    names = ["calm", "fear", "joy", "others"]
    manifest = write_maps(tmp_path, [names[k % 4] for k in range(36)])
    found = micromimic.evaluate(
        {"mine": logistic(), "flow-svm": None, "flow-template": None}, manifest, labels="any",
        groups=2, epochs=3, out=tmp_path / "run",
    )  # fmt: skip
    tables = (tmp_path / "run" / "tables.md").read_text()
    assert all(name in tables for name in names)
    assert "3 epochs" not in tables  # none of them has any
    assert found.labels.names == tuple(names)
    assert set(found["y_pred"]) <= set(names)
    assert np.allclose(found.probabilities.sum(1), 1)
    assert "mine" in found.to_markdown()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (SVC(), "SVC without predict_proba"),
        (LogisticRegression, "the class LogisticRegression"),
        (object(), "object without fit"),
        (LogisticRegression(), r"train on 30 clips \(3, 28, 28\), got ValueError.*FlowVectors"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(manifest: Path, model: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said) as told:
        micromimic.evaluate({"mine": model}, manifest)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("models", "more", "said"),
    [
        ([SVC(probability=True)], {}, "names in a list of models, got a SVC"),
        ("flow-template", {"cv": 5}, "got cv=5 with protocol loso"),
        ("flow-template", {"cv": [(np.arange(99), np.arange(9))]}, "got cv=[(array(["),
        ("flow-template", {"cv": GroupKFold}, "a scikit-learn splitter in place of a protocol"),
        ("flow-template", {"cv": GroupKFold(3), "protocol": "hde"}, "with protocol hde"),
        ("flow-template", {"cv": GroupKFold(99)}, "expected folds by GroupKFold"),
        ("flow-template", {"groups": 1}, "two groups of subjects or more, got 1"),
        ("flow-template", {"labels": ["a", "b"]}, "a scheme of labels or a LabelSet, got list"),
        ("flow-template", {"data": pd.DataFrame({"clip": ["a"]})}, "got DataFrame; pass the path"),
        ("flow-template", {"labels": LabelSet("s", ("a", "b"), several=True)}, "has one, got s;"),
    ],
)
def test_what_is_no_argument_is_refused_in_one_line(
    manifest: Path, models: Any, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as told:
        micromimic.evaluate(models, **{"data": manifest, **more})
    assert said in str(told.value) and "\n" not in str(told.value)


def test_a_splitter_may_give_masks(manifest: Path) -> None:
    class Masks(GroupKFold):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X, y, groups):
                yield np.isin(np.arange(len(X)), train), np.isin(np.arange(len(X)), test)

    found = [micromimic.evaluate("flow-template", manifest, cv=cv(3)) for cv in (Masks, GroupKFold)]
    assert found[0].equals(found[1])
    with pytest.raises(InputError, match="one model's predictions, got flow-template, other; take"):
        pd.concat([found[0], found[1].assign(model="other")]).plot_confusion()


def test_a_model_that_ends_the_process_is_told(manifest: Path) -> None:
    class Ends(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            sys.exit(0)

    with pytest.raises(ModelError, match=r"train on 30 clips \(3, 28, 28\), got SystemExit: 0;"):
        micromimic.evaluate({"mine": Ends()}, manifest)


def test_probabilities_that_are_none_are_refused(manifest: Path) -> None:
    class Doubled(LogisticRegression):
        def predict_proba(self, X):
            return 2 * super().predict_proba(X)

    with pytest.raises(ModelError, match="that sum to 1"):
        micromimic.evaluate({"mine": make_pipeline(FlowVectors(), Doubled())}, manifest)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "got ZeroDivisionError: division by zero in"),
        ("import nothing_of_this_name", "got ModuleNotFoundError"),
        ("raise SystemExit(3)", "got SystemExit: 3"),
        ("def other(): ...", "a function 'make' in"),
        ("def make(): return 5", "got int without fit"),
        ("def make(): return 1 / 0", "got ZeroDivisionError"),
        ("def make(): raise SystemExit(0)", "got SystemExit: 0"),
        ("from sklearn.svm import SVC\ndef make(): return SVC()", "SVC without predict_proba"),
        ("from sklearn.dummy import DummyClassifier as D\ndef make(): return D", "the class Dummy"),
        (
            "from sklearn.dummy import DummyClassifier\nclass M(DummyClassifier):\n"
            "    def __init__(self, a=1):\n        super().__init__()\n        self.a = [a]\n"
            "def make(): return M(2)",
            "that scikit-learn can clone",
        ),
        (None, "a Python file at"),
    ],
)
@pytest.mark.needs("train")
def test_plug_ins_that_fail_are_told_before_any_work(
    manifest: Path, tmp_path: Path, capfd: Any, text: str | None, said: str
) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    words = ["evaluate", str(manifest), "--model", f"{file}:make", "--out", str(tmp_path / "run")]
    assert main(words) == 1
    error = capfd.readouterr().err.strip().splitlines()
    assert len(error) == 1 and said in error[0], error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("model", [Remembering(), Drawing()], ids=["remembers", "draws"])
def test_a_model_that_says_otherwise_the_second_time_is_labelled(
    manifest: Path, tmp_path: Path, model: Any
) -> None:
    for _ in range(2):  # the second call finds all folds done, and says the same
        found = micromimic.evaluate({"mine": model}, manifest, out=tmp_path / "run")
        tables = (tmp_path / "run" / "tables.md").read_text(encoding="utf-8")
        assert "mine (NOT REPEATABLE)" in tables and "run again at the end" in tables
    assert "REPEATABLE" in found.to_markdown()


def test_a_model_that_repeats_itself_is_not_labelled(manifest: Path) -> None:
    honest = micromimic.evaluate({"mine": logistic()}, manifest)
    assert "REPEATABLE" not in honest.to_markdown()


def same_as_in_python(out: Path, file: Path, manifest: Path) -> bool:
    """Whether the command's predictions are what Python says of the same function."""
    found = micromimic.evaluate(f"{file}:make_model", manifest, groups=3)
    return np.array_equal(found.probabilities, Predictions.read(out).probabilities)


@pytest.mark.needs("train")
@pytest.mark.parametrize(("example", "jobs"), [("torch_model", 1), ("scikit_learn", 2)])
def test_examples_are_scripts_and_plug_ins_of_other_processes(
    manifest: Path, tmp_path: Path, example: str, jobs: int, monkeypatch: Any, capfd: Any
) -> None:
    file = EXAMPLES / f"{example}.py"
    monkeypatch.setattr(sys, "argv", [str(file), str(manifest)])
    runpy.run_path(str(file), run_name="__main__")
    assert "mine" in capfd.readouterr().out
    words = ["evaluate", str(manifest), "--model", f"{file}:make_model", "--groups", "3"]
    assert main([*words, "--jobs", str(jobs), "--out", str(tmp_path / "run")]) == 0
    assert same_as_in_python(tmp_path / "run" / "predictions.csv", file, manifest)


@pytest.mark.needs("train")
def test_a_stopped_run_of_a_plug_in_goes_on(
    manifest: Path, tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = EXAMPLES / "scikit_learn.py", tmp_path / "run"
    words = ["evaluate", str(manifest), "--model", f"{file}:make_model", "--groups", "3", "--out"]
    with stopping(monkeypatch):
        assert main([*words, str(out)]) == 130
    assert len(list((out / "folds").glob("*.npz"))) == 1
    assert main([*words, str(out)]) == 0
    assert "1 folds from before" in capfd.readouterr().out
    assert same_as_in_python(out / "predictions.csv", file, manifest)


def test_entry_points_are_models(monkeypatch: pytest.MonkeyPatch, manifest: Path) -> None:
    points = [
        EntryPoint("guess", "sklearn.dummy:DummyClassifier", registry.GROUP),
        EntryPoint("flow-svm", "sklearn.dummy:DummyClassifier", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert "guess" in registry.list_models()
    assert isinstance(registry.entry("flow-svm").make(), FlowSvm)  # a name of ours stays ours
    found = micromimic.evaluate(["guess"], manifest)
    assert set(found["model"]) == {"guess"}


# --- identity ---


def test_a_run_is_not_continued_by_another_model(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is in the train extra")
    file, out = tmp_path / "mine.py", tmp_path / "run"
    text = (EXAMPLES / "scikit_learn.py").read_text()
    file.write_text(text)

    def run(**more: Any) -> Predictions:
        return micromimic.evaluate(f"{file}:make_model", manifest, out=out, groups=2, **more)

    first = run()
    assert run().equals(first)
    file.write_text(text.replace("C=0.01", "C=0.02"))
    with pytest.raises(InputError, match="another code, parameter logisticregression__C"):
        run()
    file.write_text(text + "# a remark\n")
    with pytest.raises(InputError, match="another code "):
        run()
    file.write_text(text)
    monkeypatch.setattr(identity, "version", lambda name: f"0 of {name}")
    with pytest.raises(
        InputError, match="version of numpy, version of scikit-learn, version of scipy"
    ):
        run()


def test_identity_holds_code_weights_and_versions(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is in the train extra")
    from micromimic.models.onnx import SHIPPED
    from micromimic.models.training.flow import FlowNet

    own = identity.identity_of(FlowNet())
    rooms = [Path(identity.micromimic.__file__).parent / room for room in identity._OURS]
    assert all(list(room.glob("*.py")) for room in rooms)
    assert SHIPPED.name in own["starting weights"]
    assert "version of torch" in own and "version of torch" not in identity.identity_of(FlowSvm())
    copy = tmp_path / SHIPPED.name
    copy.write_bytes(SHIPPED.read_bytes())
    same = identity.identity_of(FlowNet(init=copy))
    assert same["starting weights"] == own["starting weights"]
    assert identity.identity_of(FlowNet(init="none"))["starting weights"] == ""
    copy.write_bytes(SHIPPED.read_bytes() + b"\0")
    other = identity.identity_of(FlowNet(init=copy))
    assert other["starting weights"] != same["starting weights"]
    # the same in every process: no addresses, no order of sets
    twice = [identity.identity_of(logistic()) for _ in range(2)]
    assert twice[0] == twice[1] and " at 0x" not in str(twice[0])
