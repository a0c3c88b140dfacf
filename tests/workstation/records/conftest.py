"""An empty store on both databases, for most of the tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.needs("web")),
        pytest.param("postgresql", marks=pytest.mark.needs("postgres", "web")),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    from ...store_samples import opened  # of the web extra

    with opened(request, tmp_path) as found:
        yield found
