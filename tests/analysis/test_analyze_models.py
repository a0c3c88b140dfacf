"""Models of every view: opened, checked, run, and used by ``analyze`` and ``recognize``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is in the train extra")

from micromimic.analysis.analyze import AnalyzeConfig, analyze, analyze_frames
from micromimic.analysis.recognize import flow_between, recognize
from micromimic.cli.main import main
from micromimic.core.canonical import follow
from micromimic.core.errors import ModelError
from micromimic.core.labels import THREE
from micromimic.core.results import Analysis
from micromimic.face.crops import face_crop
from micromimic.face.landmarks import DlibLandmarks
from micromimic.media.video import Frame, open_source
from micromimic.models.action_units import load_unit_model
from micromimic.models.onnx import FaceModel, FlowModel, VolumeModel, load_model, opened_model
from micromimic.models.preprocess import center, mirror
from micromimic.motion.features import DESCRIPTORS
from micromimic.report.write import write_analysis
from micromimic.synthesis.clips import ClipConfig, write_clip

from ..model_files import describe, softmax, weights_of, write_model

ENCODER = "hog-top"


def a_volume(seed: int = 0, frames: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, 170, 140), np.uint8)


@pytest.fixture(scope="module")
def size() -> int:
    return len(DESCRIPTORS[ENCODER](a_volume()))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, size: int) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    weights = weights_of("volume", size)
    return {
        "flow": write_model(folder / "flow.onnx", "flow"),
        "faces": write_model(folder / "faces.onnx", "faces"),
        "volume": write_model(folder / "v.onnx", "volume", weights=weights, encoder=ENCODER),
    }


# --- the runtime against numpy ---


def test_flow_scores_are_the_mean_of_map_and_mirror_image(files: dict[str, Path]) -> None:
    model = load_model(files["flow"])
    maps = np.random.default_rng(1).normal(size=(5, 3, 28, 28)).astype(np.float32)
    data = center(maps)
    both = [m.reshape(5, -1) @ weights_of("flow") for m in (data, mirror(data))]
    np.testing.assert_allclose(model.probabilities(maps), softmax(sum(both) / 2), atol=1e-5)
    assert isinstance(model, FlowModel)
    assert (model.view, model.encoder) == ("flow", None)
    assert model.predict(maps)[0].votes is None


def test_face_scores_are_the_mean_of_crop_and_mirror_image(files: dict[str, Path]) -> None:
    model = load_model(files["faces"])
    crops = np.random.default_rng(2).integers(0, 256, (18, 224, 224, 3), np.uint8)
    wanted = []
    for crop in crops:
        score = np.zeros(3)
        for picture in (crop, crop[:, ::-1]):
            pooled = picture.reshape(7, 32, 7, 32, 3).mean((1, 3)) / 255
            score += pooled.transpose(2, 0, 1).ravel() @ weights_of("faces") / 2
        wanted.append(score)
    np.testing.assert_allclose(model.probabilities(crops), softmax(np.array(wanted)), atol=1e-5)
    assert isinstance(model, FaceModel)
    assert (model.view, model.encoder) == ("faces", None)


def test_volumes_go_through_their_descriptor(files: dict[str, Path], size: int) -> None:
    model = load_model(files["volume"])
    clips = [a_volume(3), a_volume(4, frames=20)]
    features = np.stack([DESCRIPTORS[ENCODER](clip) for clip in clips])
    wanted = softmax(features.astype(np.float64) @ weights_of("volume", size))
    np.testing.assert_allclose(model.probabilities(clips), wanted, atol=1e-5)
    assert isinstance(model, VolumeModel)
    assert (model.view, model.encoder) == ("volume", ENCODER)


@pytest.mark.parametrize("view", ["flow", "faces", "volume"])
def test_predictions_are_the_probabilities(files: dict[str, Path], view: str) -> None:
    rng = np.random.default_rng(5)
    inputs = {
        "flow": rng.normal(size=(4, 3, 28, 28)),
        "faces": rng.integers(0, 256, (4, 224, 224, 3), np.uint8),
        "volume": [a_volume(seed) for seed in range(4)],
    }[view]
    model = load_model(files[view])
    rows = model.probabilities(inputs)
    for row, found in zip(rows, model.predict(inputs), strict=True):
        assert list(found.probabilities.values()) == pytest.approx(row.tolist())
        assert found.label == THREE.names[int(row.argmax())]
        ordered = np.sort(row)
        assert found.uncertain == (ordered[-1] - ordered[-2] < 0.1)
    assert model.predict(inputs[:0]) == []
    assert model.info.name == f"linear-{view}"
    assert model.calibration.temperature == pytest.approx(0.7)


def test_a_file_that_names_no_view_looks_at_flow(tmp_path: Path) -> None:
    details = {k: v for k, v in describe("flow").items() if k not in ("view", "encoder")}
    assert load_model(write_model(tmp_path / "m.onnx", "flow", details=details)).view == "flow"


def test_faces_of_another_size_are_told(files: dict[str, Path]) -> None:
    model = load_model(files["faces"])
    for wrong in (np.zeros((1, 3, 224, 224), np.uint8), np.zeros((1, 224, 224, 3))):
        with pytest.raises(ValueError, match="faces must be"):
            model.predict(wrong)


# --- unusable files ---


BAD = {
    "another view": {"details": {**describe("flow"), "view": "sound"}},
    "no encoder": {"view": "volume", "weights": weights_of("volume", 9)},
    "unknown encoder": {"view": "volume", "weights": weights_of("volume", 9), "encoder": "sift"},
    "view and input differ": {"details": describe("faces")},
    "another size": {"changes": {"input": ("maps", (3, 28, 56))}, "weights": np.zeros((4704, 3))},
    "another input": {"changes": {"input": ("flow", (3, 28, 28))}},
    "another output": {"changes": {"output": "logits"}},
    "one clip at a time": {"changes": {"batch": 1}},
    "double precision": {"changes": {"kind": 11}},
    "no description": {"details": []},
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_models_are_told_in_one_line(tmp_path: Path, case: str) -> None:
    settings = {"view": "flow", **BAD[case]}
    file = write_model(tmp_path / "bad.onnx", **settings)
    with pytest.raises(ModelError, match="expected .*got .*micromimic train") as caught:
        load_model(file)
    assert "\n" not in str(caught.value)


def test_a_model_without_numbers_is_told(tmp_path: Path) -> None:
    weights = weights_of("flow")
    weights[0, 0] = np.nan
    model = load_model(write_model(tmp_path / "nan.onnx", "flow", weights=weights))
    maps = np.random.default_rng(0).normal(size=(2, 3, 28, 28))
    with pytest.raises(ModelError, match="finite scores"):
        model.predict(maps)
    with pytest.raises(ModelError, match="finite scores"):
        model.probabilities(maps)


def test_a_descriptor_that_changed_is_told(tmp_path: Path, size: int) -> None:
    weights = weights_of("volume", size + 1)
    file = write_model(tmp_path / "old.onnx", "volume", weights=weights, encoder=ENCODER)
    with pytest.raises(ModelError, match=f"give {size + 1} numbers"):
        load_model(file).predict([a_volume()])


# --- exporters of the project ---


@pytest.mark.parametrize("descriptor", [None, "lbp-top"])
def test_exported_machines_say_the_same(tmp_path: Path, descriptor: str | None) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is in the train extra")
    from micromimic.models.svm import DescriptorSvm, FlowSvm

    rng = np.random.default_rng(0)
    model = FlowSvm() if descriptor is None else DescriptorSvm(descriptor)
    views = (
        list(rng.normal(size=(12, 3, 28, 28)).astype(np.float32))
        if descriptor is None
        else [a_volume(seed) for seed in range(12)]
    )
    people = np.array([f"s{k // 3}" for k in range(12)])
    rows = np.stack([model.encode(view) for view in views])
    model.fit(rows, np.array(["negative", "positive", "surprise"])[np.arange(12) % 3], people)
    details = {**describe(model.view, descriptor), "temperature": model.temperature}
    file = tmp_path / "svm.onnx"
    file.write_bytes(model.to_onnx(details))
    inputs = rows if descriptor is None else views
    wanted = model.predict_proba(rows)
    np.testing.assert_allclose(load_model(file).probabilities(inputs), wanted, atol=1e-4)


def test_an_exported_network_says_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is in the train extra")
    pytest.importorskip("torchvision", reason="torchvision is in the train extra")
    from micromimic.models.networks.faces import FaceCnn
    from micromimic.models.training.export import export_network

    torch.manual_seed(0)
    network = FaceCnn("resnet18").eval()
    file = tmp_path / "resnet.onnx"
    file.write_bytes(export_network(network, "faces", describe("faces")))
    crops = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        scores = (network(pixels) + network(pixels.flip(3))).double().numpy() / 2
    np.testing.assert_allclose(load_model(file).probabilities(crops), softmax(scores), atol=1e-4)


# --- analyze and recognize ---


CLIP = ClipConfig(
    seconds=4.0, fps=100.0, width=320, height=240, face_px=225.0, peak_px=1.6, colour=True,
    events_per_minute=30.0, macros_per_minute=0, blinks_per_minute=0, head_moves_per_minute=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def backend() -> DlibLandmarks:
    return DlibLandmarks()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "planted.mp4"
    write_clip(path, CLIP, seed=1)
    return path


@pytest.fixture(scope="module")
def pictures(video: Path) -> list[np.ndarray]:
    with open_source(video) as source:
        return [frame.rgb() for frame in source]


@pytest.fixture(scope="module")
def by_face(
    video: Path,
    files: dict[str, Path],
    backend: DlibLandmarks,
    tmp_path_factory: pytest.TempPathFactory,
) -> Analysis:
    """What a face model says whose file is gone once the first frame is read."""
    file = tmp_path_factory.mktemp("gone") / "mine.onnx"
    file.write_bytes(files["faces"].read_bytes())

    def remove(frame: Frame) -> None:
        file.unlink(missing_ok=True)

    with open_source(video) as source:
        config = AnalyzeConfig(model=file)
        return analyze_frames(source, config=config, backend=backend, each=remove)


def test_a_model_that_is_removed_meanwhile_stays_the_one_that_was_checked(
    by_face: Analysis,
) -> None:
    assert by_face.model.name == "linear-faces"


def test_analyze_shows_a_face_model_the_apex(
    by_face: Analysis, pictures: list[np.ndarray], files: dict[str, Path]
) -> None:
    found = by_face
    assert len(found.events) == 2
    model = load_model(files["faces"])
    places = found.track.transforms
    for event in found.events:
        place = follow(places[event.onset_frame], places[event.apex_frame])
        crop = face_crop(pictures[event.apex_frame], place)
        wanted = model.predict(crop[None])[0]
        assert event.probabilities == pytest.approx(wanted.probabilities, abs=1e-6)
        assert event.label == wanted.label
        assert event.regions == {}
        assert event.evidence is not None
        assert event.evidence.votes is None


def test_analyze_shows_a_volume_model_every_frame(
    video: Path,
    by_face: Analysis,
    files: dict[str, Path],
    backend: DlibLandmarks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[np.ndarray] = []
    predict = VolumeModel.predict

    def spy(self, inputs):
        seen.extend(inputs)
        return predict(self, inputs)

    monkeypatch.setattr(VolumeModel, "predict", spy)
    found = analyze(video, config=AnalyzeConfig(model=files["volume"]), backend=backend)
    assert [e.interval for e in found.events] == [e.interval for e in by_face.events]
    assert len(seen) == len(found.events) == 2
    for event, clip, other in zip(found.events, seen, by_face.events, strict=True):
        assert clip.shape == (event.offset_frame - event.onset_frame + 1, 170, 140)
        assert clip.dtype == np.uint8
        # registered: the frames differ by noise and by the movement, not by the head's drift
        assert np.abs(clip.astype(int) - clip[0]).mean() < 4
        assert event.regions == {}
        assert event.evidence is not None
        assert other.evidence is not None
        np.testing.assert_array_equal(event.evidence.flow.uv, other.evidence.flow.uv)


def test_a_flow_model_without_votes_is_reported(
    video: Path, files: dict[str, Path], backend: DlibLandmarks, tmp_path: Path
) -> None:
    found = analyze(video, config=AnalyzeConfig(model=files["flow"]), backend=backend)
    model = load_model(files["flow"])
    for event in found.events:
        assert event.evidence is not None
        wanted = model.predict(event.evidence.flow.channels()[None])[0]
        assert event.probabilities == wanted.probabilities
    write_analysis(found, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "events.json").read_text(encoding="utf-8"))
    assert document["model"]["name"] == "linear-flow"
    assert [event["regions"] for event in document["events"]] == [{}, {}]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<b>Movement</b>" in page
    for absent in ("Where the class comes from", "Face region"):
        assert absent not in page


def test_a_model_is_opened_once_for_each_content(files: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(files["flow"].read_bytes())
    assert opened_model(file) is opened_model(str(file))
    file.write_bytes(files["faces"].read_bytes())
    assert (opened_model(file).view, opened_model().view) == ("faces", "flow")


def test_an_unusable_model_is_refused_before_a_frame_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"no model")
    unread: Any = object()
    with pytest.raises(ModelError, match="expected an ONNX model"):
        analyze_frames(unread, config=AnalyzeConfig(model=tmp_path / "mine.onnx"))


def test_recognize_takes_models_of_one_or_two_frames(
    pictures: list[np.ndarray], files: dict[str, Path], backend: DlibLandmarks
) -> None:
    onset, apex = pictures[94], pictures[113]
    by_flow = recognize(onset, apex, model=files["flow"], backend=backend)
    flow = flow_between(onset, apex, backend=backend).channels()
    units = load_unit_model().evidence(flow[None])[0]
    named = load_model(files["flow"]).predict(flow[None])[0]
    assert by_flow == replace(named, action_units=units)
    by_face = recognize(onset, apex, model=files["faces"], backend=backend)
    assert (by_face.votes, by_face.action_units) == (None, units)
    still = recognize(onset, onset, model=files["faces"], backend=backend)
    assert by_face.probabilities != still.probabilities
    assert by_face.probabilities == pytest.approx(still.probabilities, abs=0.02)
    with pytest.raises(ModelError, match="needs a whole clip"):
        recognize(onset, apex, model=files["volume"], backend=backend)


def test_the_command_takes_a_model(
    video: Path, files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["analyze", str(video), "--out", str(out), "--model", str(files["faces"])]) == 0
    document = json.loads((out / "planted" / "events.json").read_text(encoding="utf-8"))
    assert document["model"] == {"name": "linear-faces", "version": "1.2", "trained_on": "nothing"}
    capfd.readouterr()
    bad = tmp_path / "bad.onnx"
    bad.write_text("no model")
    others = [str(video), str(tmp_path / "missing.mp4")]
    assert main(["analyze", *others, "--out", str(tmp_path / "none"), "--model", str(bad)]) == 1
    told = capfd.readouterr().err.strip().splitlines()
    assert len(told) == 1  # once, and before any video is read
    assert "expected an ONNX model" in told[0]
    assert not (tmp_path / "none").exists()
