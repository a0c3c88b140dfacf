"""What is public: every name is there, says what it is, and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from micromimic._former import MOVED
from micromimic.core.labels import THREE

from .models.test_estimators import write_maps

ROOMS = ("", ".datasets", ".evaluation", ".models", ".spotting", ".synthesis")


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_are_there_and_say_what_they_are(room: str) -> None:
    module = import_module(f"micromimic{room}")
    assert len(set(module.__all__)) == len(module.__all__) > 5
    for name in module.__all__:
        assert (getattr(module, name).__doc__ or "").strip(), name


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "sklearn", "cv2", "torch", "onnxruntime"}
    rooms = "; ".join(f"import micromimic{room}" for room in ROOMS if room != ".spotting")
    code = f"import sys; {rooms}; print(sorted({heavy!r} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_names_of_the_first_version_still_work_and_say_what_they_are_now() -> None:
    import micromimic

    with pytest.warns(DeprecationWarning, match="THREE"):
        assert micromimic.EMOTIONS == micromimic.THREE.names  # noqa: SIM300


def test_live_settings_have_the_places_that_they_had_in_the_first_version() -> None:
    from micromimic import LiveConfig

    assert [field.name for field in fields(LiveConfig)] == [
        *("tracking", "spotting", "flow", "timing", "model", "average", "evidence", "curve"),
        *("may_drop", "waiting", "buffer_s", "ring_bytes", "crop_margin", "crop_resolution"),
    ]
    assert not LiveConfig().evidence


def test_evaluate_and_train_as_the_first_version_called_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    from micromimic.evaluation.evaluate import evaluate
    from micromimic.evaluation.run import RunConfig
    from micromimic.evaluation.train import train

    # it warns when it is first imported, which another test may have done
    monkeypatch.delitem(sys.modules, "micromimic.models.learner", raising=False)
    with pytest.warns(DeprecationWarning, match="evaluation.former now"):
        learner = import_module("micromimic.models.learner")
    manifest = write_maps(tmp_path, [THREE.names[k % 3] for k in range(18)])
    config = RunConfig(model="flow-template", protocol="loso", init="none", seed=0)
    with pytest.warns(DeprecationWarning, match="evaluate_run"):
        run = evaluate(manifest, config, tmp_path / "run")
    assert run.metrics["composite"]["n"] == len(run.summary.predictions) == 18
    with pytest.warns(DeprecationWarning, match="FitOptions"):
        train(manifest, "flow-template", tmp_path / "mine.onnx", learner.FitOptions(seed=0))
    assert (tmp_path / "mine.onnx").is_file()


@pytest.mark.parametrize(
    "old, name",
    [
        ("errors", "InputError"),
        ("evaluation.parallel", "Workers"),
        ("features", "DESCRIPTORS"),
        ("media.live_camera", "CameraOptions"),
        ("media.live_open", "open_live"),
        ("models.learner", "FitOptions"),
        ("pipelines.experiment", "evaluate"),
        ("pipelines.live_messages", "Settled"),
        ("pipelines.sensitivity", "SensitivityConfig"),
        ("pipelines.spotting", "evaluate_spotting"),
        ("pipelines.training", "train"),
        ("reports.write", "write_analysis"),
        ("results", "Analysis"),
        ("evaluation.scores", "is_development"),
        ("evaluation.statistics", "compare_runs"),
        ("synthesis.nuisance", "Sensor"),
        ("synthesis.tracks", "tracks_of"),
        ("training.torch_adapter", "TorchClassifier"),
        ("types", "MicroExpression"),
    ],
)
def test_modules_are_found_under_the_names_that_scripts_have(
    old: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old == "training.torch_adapter":
        pytest.importorskip("torch")
    monkeypatch.delitem(sys.modules, f"micromimic.{old}", raising=False)
    with pytest.warns(DeprecationWarning, match=f"micromimic.{MOVED[old]} now"):
        former = import_module(f"micromimic.{old}")
    assert getattr(former, name) is getattr(import_module(f"micromimic.{MOVED[old]}"), name)


@pytest.mark.parametrize("new", sorted(set(MOVED.values()) - {"models.training.torch_adapter"}))
def test_what_has_moved_is_where_it_is_said_to_be(new: str) -> None:
    assert import_module(f"micromimic.{new}").__name__ == f"micromimic.{new}"
