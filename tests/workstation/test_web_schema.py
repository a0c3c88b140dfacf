"""schemathesis over the OpenAPI description: no 5xx, no status or shape that is not described.

Half of the ids that it makes up are replaced by those of real records, so that what lies behind a
404 is asked too. A longer session: ``MICROMIMIC_SCHEMA_EXAMPLES=500 pytest
tests/test_web_schema.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import load_all_checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from micromimic.workstation.app import create_app
from micromimic.workstation.records import recordings
from micromimic.workstation.records.database import Store
from micromimic.workstation.settings import Settings

from ..web_site import API, Site, running_site

pytestmark = pytest.mark.needs("web")
EXAMPLES = int(os.environ.get("MICROMIMIC_SCHEMA_EXAMPLES", "8"))
HEADERS = {"Host": "127.0.0.1:8420"}
_KINDS = ("subject_id", "session_id", "recording_id", "job_id", "marker_id")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site"), max_bytes=1 << 20) as site:
        yield site


@pytest.fixture(scope="module")
def schema(site: Site) -> Any:
    """The application's description, read once."""
    load_all_checks()
    return schemathesis.openapi.from_asgi(f"{API}/openapi.json", site.app, headers=HEADERS)


@pytest.fixture(scope="module")
def real(site: Site) -> dict[str, str]:
    """Ids of records that stay: nothing here deletes them."""
    person = site.subject("P01")
    session_id = site.session(person["id"])["id"]
    recording_id = site.analysed(session_id=session_id)
    body = {"coder": "kim", "expected": 0, "action": "accept", "event": "m0"}
    site.post(f"/recordings/{recording_id}/decisions", body)
    job = recordings.get_recording(site.store, recording_id).job
    assert job is not None
    found = {"subject_id": person["id"], "session_id": session_id, "recording_id": recording_id}
    marker = {"tier": "stimulus", "label": "film", "onset_s": 1.5}
    found["marker_id"] = site.post(f"/recordings/{recording_id}/markers", marker)["id"]
    return {**found, "job_id": job.id}


def operations() -> list[tuple[str, str]]:
    """Method and path of every route; describing them touches no store."""
    described = create_app(Settings(Path("nowhere")), cast(Store, None)).openapi()
    return [(m.upper(), path) for path, methods in described["paths"].items() for m in methods]


def known(values: Any, real: dict[str, str]) -> None:
    """Put real ids, coders and small numbers where made-up ones would only give 404 and 409."""
    if not isinstance(values, dict):
        return
    for name in _KINDS:
        text = values.get(name)
        if isinstance(text, str) and re.fullmatch("[0-9a-f]{32}", text) and int(text[0], 16) < 12:
            values[name] = real[name]
    if isinstance(values.get("coder"), str) and len(values["coder"]) % 2:
        values["coder"] = "kim"
    if isinstance(values.get("index"), int) and values["index"] >= 0:
        values["index"] %= 8


def test_what_an_agreement_counts_is_described(site: Site) -> None:
    """Twenty short names: whoever reads the answer has the description alone."""
    agreement = site.app.openapi()["components"]["schemas"]["Agreement"]
    words = set(re.findall(r"\w+", agreement["description"]))
    assert not agreement["properties"].keys() - words


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), operations())
def test_every_route_answers_as_described(
    schema: Any, real: dict[str, str], method: str, path: str, mode: GenerationMode
) -> None:
    seen: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        if method != "DELETE":
            for values in (case.path_parameters, case.query, case.body):
                known(values, real)
        response = case.call(headers=HEADERS)
        assert response.status_code < 500, response.content
        # A rule may forbid what the description allows (no consent, nothing to undo): said as such.
        excluded = [positive_data_acceptance]
        if response.status_code == 413:  # refused by its size, before anybody looks what is in it
            excluded.append(negative_data_rejection)
        case.validate_response(response, headers=HEADERS, excluded_checks=excluded)
        if mode is GenerationMode.POSITIVE and response.status_code == 422:
            assert response.json()["error"]["code"] == "refused", response.content
        seen.append(response.status_code)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing in it can be wrong
    else:
        assert seen
