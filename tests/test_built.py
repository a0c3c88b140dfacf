"""What is released: the sdist makes the wheel; the wheel analyses a video where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import micromimic

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".git", ".venv", ".*_cache", "__pycache__", ".hypothesis", "build", "node_modules")


def build(kind: str, source: Path, out: Path) -> Path:
    """An sdist or a wheel of a source tree, by the build back end itself: nothing is fetched."""
    code = f"import sys, hatchling.build as back; print(back.build_{kind}(sys.argv[1]))"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(out)],
        cwd=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return out / ran.stdout.split()[-1]


def test_what_is_built_runs_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("hatchling.build", reason="hatchling is not installed here")
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
    with tarfile.open(build("sdist", tree, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / f"micromimic-{micromimic.__version__}"
    assert {"docs", "tests", "CHANGELOG.md", "LICENSE"} <= {p.name for p in source.iterdir()}
    wheel = build("wheel", source, tmp_path)
    place = tmp_path / "installed"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([sys.executable, *install, str(place), str(wheel)], check=True)

    def run(*words: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-P", *words],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(place)},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    where = run("-c", "import micromimic; print(micromimic.__file__, micromimic.__version__)")
    assert where.split() == [str(place / "micromimic" / "__init__.py"), micromimic.__version__]
    command = ("-m", "micromimic")
    run(
        *command,
        "synth",
        "clips",
        "--out",
        "clips",
        "--count",
        "1",
        "--seconds",
        "3",
        "--fps",
        "60",
    )
    video = next((tmp_path / "clips").glob("*.mp4"))
    run(*command, "analyze", str(video), "--out", "results")
    assert (tmp_path / "results" / video.stem / "report.html").stat().st_size > 0
