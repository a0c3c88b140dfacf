"""What is packaged, and what loads when."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest
import skimage.data

import micromimic
from micromimic.cli.app import GROUPS, PARTS
from micromimic.media.video import VideoWriter

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"av", "cv2", "dlib", "joblib", "numpy", "onnxruntime", "pandas", "scipy"}
HEAVY |= {"skimage", "sklearn", "torch", "rich", "face_recognition_models", "pydantic", "PIL"}
HEAVY |= {
    "asyncio",
    "fastapi",
    "importlib.metadata",
    "jinja2",
    "matplotlib",
    "sqlalchemy",
    "uvicorn",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


RUN = "import sys; from micromimic.cli.main import main"
COMMANDS = [(name,) for names in GROUPS.values() for name in names]
COMMANDS += [(name, part) for name, parts in PARTS.items() for part in parts]


def loaded_by(code: str, *words: str) -> set[str]:
    """Modules that are loaded at the end of a program, which prints them last."""
    run = [sys.executable, "-c", f"{code}; print(*sys.modules)", *words]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "micromimic" in loaded
    return loaded


def test_help_loads_nothing_heavy() -> None:
    """Of any command: one process shows all."""
    code = f"{RUN}; assert not any(main([*words.split(), '--help']) for words in sys.argv[1:])"
    loaded = loaded_by(code, "", *map(" ".join, COMMANDS))
    assert {f"micromimic.cli.{name}" for name in ("analyze", "import_", "synth")} <= loaded
    assert not loaded & HEAVY
    assert not loaded_by(f"{RUN}; main(['--version'])") & HEAVY


def test_a_command_loads_the_others_not() -> None:
    loaded = loaded_by(f"{RUN}; main(['models', '--help'])")
    ours = {name for name in loaded if name.startswith("micromimic.cli.")}
    assert ours == {f"micromimic.cli.{name}" for name in ("app", "console", "main", "models")}


FIRST_FRAME = """
import os, sys
from micromimic.cli.main import main
from micromimic.face import identity, tracking

def update(*given, real=tracking.FaceTracker.update):
    assert real(*given) is not None
    assert identity._encoder.cache_info().currsize == 0
    print(*sys.modules, flush=True)
    os._exit(0)

tracking.FaceTracker.update = update
sys.exit(main(sys.argv[1:]))
"""
LATER = {
    "jinja2",
    "joblib",
    "onnxruntime",
    "pandas",
    "PIL",
    "pydantic",
    "rich",
    "skimage",
    "sklearn",
}
LATER |= {"asyncio", "pympi", "matplotlib", "torch", "scipy.ndimage", "scipy.special", "scipy.fft"}


def test_the_first_frame_of_an_analysis_waits_for_nothing_that_it_does_not_need(
    tmp_path: Path,
) -> None:
    face = skimage.data.astronaut()[20:200, 120:330].repeat(2, 0).repeat(2, 1)
    with VideoWriter(tmp_path / "a.mp4", 25.0, face.shape[1], face.shape[0]) as video:
        for _ in range(3):
            video.write(face)
    words = ["analyze", str(tmp_path / "a.mp4"), "--out", str(tmp_path / "out")]
    run = [sys.executable, "-c", FIRST_FRAME, *words]
    screen, terminal = pytest.importorskip("pty").openpty()  # as a person starts it
    done = subprocess.run(run, stdout=subprocess.PIPE, stderr=terminal, text=True, check=True)
    os.close(terminal)
    os.close(screen)
    loaded = set(done.stdout.split())
    assert {"av", "cv2", "dlib", "micromimic.analysis.analyze"} <= loaded
    assert not loaded & LATER


def test_the_runtime_needs_no_torch() -> None:
    assert not [d for d in PROJECT["dependencies"] if d.startswith(("torch", "onnx>"))]
    assert any(d.startswith("torch") for d in PROJECT["optional-dependencies"]["train"])


def test_one_version() -> None:
    """It stands in the package; what is built takes it from there."""
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {micromimic.__version__}" in changes


@pytest.mark.parametrize("name", ["py.typed", "report/templates", "models/weights"])
def test_package_data_is_there(name: str) -> None:
    place = resources.files("micromimic").joinpath(name)
    assert place.is_file() or any(place.iterdir())


def test_every_lazy_name_of_the_package_loads() -> None:
    for name in micromimic.__all__:
        assert getattr(micromimic, name) is not None
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = micromimic.nothing


def test_no_document_names_a_machine() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "Makefile", ROOT / ".ci/run"]
    for document in documents:
        text = document.read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|Users|work)/", text), document


@pytest.mark.needs("web")
def test_who_develops_has_the_client_that_starlette_asks_for() -> None:
    needed = {re.split(r"[<>=~;\[ ]", line)[0] for line in PROJECT["optional-dependencies"]["dev"]}
    code = "import starlette.testclient as t; print(t.httpx.__name__)"
    words = [sys.executable, "-W", "error", "-c", code]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() in needed
