"""What is packaged, and what loads when."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import micromimic

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"av", "cv2", "dlib", "joblib", "numpy", "onnxruntime", "pandas", "scipy"}
HEAVY |= {"skimage", "sklearn", "torch", "rich", "face_recognition_models"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    "load",
    [
        "import micromimic.cli.main",
        "from micromimic.cli.main import main; main(['--help'])",
        "from micromimic.cli.main import main; main(['analyze', '--help'])",
        "from micromimic.cli.main import main; main(['--version'])",
    ],
)
def test_the_command_line_loads_nothing_heavy(load: str) -> None:
    code = f"import sys; {load}; print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "micromimic" in loaded
    assert not loaded & HEAVY


def test_an_analysis_loads_no_statistics() -> None:
    """What .7 s of each start went to."""
    code = "import sys, micromimic.analysis.analyze; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "micromimic.analysis.indicators" in loaded
    assert not loaded & {"scipy.signal", "scipy.stats", "scipy.optimize"}


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
