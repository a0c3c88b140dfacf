"""What CI requires and is not there stops the run: nothing is skipped in silence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("required", "message"),
    [
        ("train,cc", "MICROMIMIC_REQUIRE names cc: not installed"),
        ("browsers", "expected needs among browser, cc, .* got 'browsers'"),
    ],
)
@pytest.mark.needs("train")
def test_a_required_need_that_is_missing(required: str, message: str, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "pytest", "--collect-only", "-q", str(Path(__file__).parent)]
    environment = {**os.environ, "PATH": str(tmp_path), "MICROMIMIC_REQUIRE": required}
    ended = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert re.search(message, ended.stderr)
