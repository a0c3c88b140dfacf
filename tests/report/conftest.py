"""Fixtures of reports: one analysis, and what is written of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from micromimic.core.results import Analysis
from micromimic.report.write import write_analysis

from ..sample_analysis import sample_analysis


@pytest.fixture(scope="session")
def analysis() -> Analysis:
    return sample_analysis()


@pytest.fixture(scope="session")
def folder(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("out") / "deep" / "interview"
    write_analysis(analysis, target)
    return target
