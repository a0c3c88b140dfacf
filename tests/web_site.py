"""A workstation for tests: an application, a real store, a recording analysed with real files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fastapi import FastAPI
from starlette.testclient import TestClient

from micromimic.core.strict_json import tidy
from micromimic.media.writer import ProxyWriter
from micromimic.report.write import write_analysis
from micromimic.workstation.app import create_app
from micromimic.workstation.jobs.artifacts import frames_bin, review_document
from micromimic.workstation.jobs.confinement import Limits
from micromimic.workstation.records import jobs
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.settings import Settings

from .sample_analysis import sample_analysis

BASE = "http://127.0.0.1:8420"
API = "/api/v1"
SOCKET = "ws://127.0.0.1:8420/api/v1/live"
SIDE = 64
VIDEO = b"\x00\x00\x00\x18ftypisom" + bytes(range(256)) * 16
"""Begins as a video does; what is behind it is for the worker to find out."""


@cache
def _template() -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A folder of all that an analysis leaves, and what the store keeps of it."""
    folder = Path(tempfile.mkdtemp(prefix="micromimic-site-"))
    analysis = sample_analysis()
    review = review_document(analysis)
    write_analysis(analysis, folder)
    (folder / "frames.bin").write_bytes(frames_bin(analysis))
    (folder / "review.json").write_text(json.dumps(review, allow_nan=False), encoding="utf-8")
    _film(folder / "proxy.mp4")
    for index, event in enumerate(analysis.events):
        pictures = folder / "events" / str(index)
        pictures.mkdir(parents=True)
        assert event.evidence is not None
        for name, face in (
            ("onset.jpg", event.evidence.onset_face),
            ("apex.jpg", event.evidence.apex_face),
        ):
            assert cv2.imwrite(str(pictures / name), face)
        _film(pictures / "face.mp4")
        _film(pictures / "magnified.mp4")
    return folder, tidy(analysis.to_dict()), review


def _film(path: Path, frames: int = 12) -> None:
    with ProxyWriter(path, SIDE, SIDE, rate=25.0) as writer:
        for number in range(frames):
            writer.write(np.full((SIDE, SIDE, 3), 20 * number, np.uint8), number / 25.0)


@dataclass
class Runner:
    """Stands for the job runner, and counts what it is told."""

    limits: Limits = field(default_factory=Limits)
    told: list[str] = field(default_factory=list)

    async def start(self) -> None:
        self.told.append("start")

    async def stop(self) -> None:
        self.told.append("stop")

    def wake(self) -> None:
        self.told.append("wake")


@dataclass
class Site:
    """An application with its store, and a client on this machine."""

    settings: Settings
    store: Store
    app: FastAPI
    runner: Runner
    client: TestClient

    @property
    def data(self) -> Path:
        return self.settings.data

    def get(self, path: str, **query: Any) -> Any:
        """JSON of a GET below the API that must succeed."""
        answer = self.client.get(API + path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        """JSON of a POST below the API that must give a status."""
        answer = self.client.post(API + path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def upload(self, content: bytes = VIDEO, **query: Any) -> Any:
        """The answer to an upload with consent of its own, unless the query says otherwise."""
        query = {"name": "a.mp4", "consent": "true", "noted_by": "kim", **query}
        return self.client.post(f"{API}/recordings", params=query, content=content)

    def subject(self, code: str = "P01") -> dict[str, Any]:
        return dict(self.post("/subjects", {"code": code}))

    def session(self, subject_id: str, given: bool = True, **more: Any) -> dict[str, Any]:
        body = {
            "subject_id": subject_id,
            "title": "intake",
            "held_on": "2026-03-04",
            "consent": {"given": given, "noted_by": "kim", "note": "form 12"},
            **more,
        }
        return dict(self.post("/sessions", body))

    def analysed(self, **query: Any) -> str:
        """Id of a recording whose analysis is done, with its files."""
        answer = self.upload(**query)
        assert answer.status_code == 201, answer.text
        recording_id = str(answer.json()["id"])
        folder, payload, review = _template()
        shutil.copytree(folder, self.store.folder(recording_id), dirs_exist_ok=True)
        job = jobs.claim_job(self.store, "test")
        assert job is not None and job.recording_id == recording_id
        jobs.finish_job(self.store, job.id, payload=payload, review=review)
        return recording_id

    def left(self) -> list[str]:
        """Every file and folder of uploads and recordings, by relative path."""
        return sorted(
            str(p.relative_to(self.data))
            for name in ("incoming", "recordings")
            for p in (self.data / name).rglob("*")
        )


@contextmanager
def running_site(data: Path, **settings: Any) -> Iterator[Site]:
    """A site whose application has been started, and is stopped at the end."""
    store_options = {key: settings.pop(key) for key in ("busy_s",) if key in settings}
    chosen = Settings(data, **settings)
    runner = Runner()
    with open_store(data, chosen.url, **store_options) as store:
        app = create_app(chosen, store, runner=runner)
        with TestClient(app, base_url=BASE, raise_server_exceptions=False) as client:
            yield Site(chosen, store, app, runner, client)
