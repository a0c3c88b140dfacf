"""Retention, and what a crash left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.errors import ConflictError, RefusedError, UnavailableError
from micromimic.store.store import Store
from micromimic.store.values import new_id

from .store_samples import (
    DATABASES,
    NOW,
    NUMBERS,
    Clock,
    add_recording,
    analysed,
    answer,
    files,
    fill_folder,
    opened,
)


@pytest.fixture(params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request, tmp_path) as found:
        yield found


# ---------------------------------------------------------------------------------- retention


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def test_videos_go_when_their_time_is_over_and_numbers_stay(store: Store) -> None:
    early, late, kept = (
        analysed(store, expires_at=until) for until in (at(30), at(60), None)
    )  # fmt: skip
    store.decide(early, coder="kim", expected=0, action="accept", event="m0")
    for recording in (early, late, kept):
        fill_folder(store.folder(recording), "x")
    before = store.analysis(early), store.history(early)
    assert store.expire(now=at(29.9)) == []
    assert store.expire(now=at(30)) == [early]
    assert store.expire(now=at(31)) == []
    assert files(store.folder(early)) == NUMBERS
    assert len(files(store.folder(late))) == len(files(store.folder(kept))) == 12
    assert [store.recording(r).media for r in (early, late, kept)] == ["expired", "kept", "kept"]
    assert (store.analysis(early), store.history(early)) == before
    review = store.decide(early, coder="kim", expected=1, action="reject", event="m1")
    assert review.complete
    assert store.expire(now=at(36500)) == [late]
    assert store.recording(kept).media == "kept"


def test_expire_goes_by_the_clock_of_the_store(store: Store) -> None:
    recording = add_recording(store, files=True, expires_at=at(30))
    assert store.expire() == []
    store.clock = Clock(at(30))
    assert store.expire() == [recording.id]


def test_an_analysis_that_runs_when_the_time_is_over_is_cancelled(store: Store) -> None:
    recording = add_recording(store, files=True, expires_at=at(1))
    job = store.claim_job("w")
    assert job is not None
    assert store.expire(now=at(2)) == [recording.id]
    found = store.recording(recording.id)
    assert found.job is not None
    assert (found.job.status, found.job.error) == ("cancelled", "the video's retention is over")
    with pytest.raises(ConflictError):
        store.finish_job(job.id, **answer())
    with pytest.raises(RefusedError, match="got one that was removed"):
        store.requeue_job(recording.id)
    with pytest.raises(RefusedError, match="video was removed"):
        store.change_recording(recording.id, expires_at=None)


def test_one_file_that_stays_does_not_keep_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [add_recording(store, files=True, expires_at=at(1)).id for _ in range(3)]
    stuck = store.folder(made[1]) / "video.mp4"
    real = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(UnavailableError, match="Permission denied"):
        store.expire(now=at(2))
    assert [store.recording(r).media for r in made] == ["expired", "kept", "expired"]
    monkeypatch.undo()
    assert store.expire(now=at(2)) == [made[1]]
    assert files(store.data / "recordings") == []


# ---------------------------------------------------------------------------------- sweep


def test_sweep_removes_what_no_record_knows(store: Store) -> None:
    known = add_recording(store, files=True).id
    late = add_recording(store, files=True, expires_at=at(1)).id
    store.expire(now=at(2))
    (store.folder(late) / "proxy.mp4").write_text("a worker that was slow to stop")
    stray, fresh, part, young = (new_id() for _ in range(4))
    fill_folder(store.folder(stray), "x")
    fill_folder(store.folder(fresh), "x")
    for name in (f"{part}.part", f"{known}.mp4", f"{young}.part", "holiday.mp4"):
        store.incoming.mkdir(exist_ok=True)
        (store.incoming / name).write_text("x")
    (store.data / "recordings" / "my notes.txt").write_text("x")
    hours_ago = time.time() - 7200
    for path in (
        store.folder(stray),
        *store.incoming.iterdir(),
    ):
        if not path.name.startswith(young):
            os.utime(path, (hours_ago, hours_ago))

    assert store.sweep() == 12 + 2 + 1
    assert files(store.incoming) == sorted(["holiday.mp4", f"{young}.part"])
    assert {p.name for p in (store.data / "recordings").iterdir()} == {
        known, late, fresh, "my notes.txt",
    }  # fmt: skip
    assert files(store.folder(late)) == []
    assert store.sweep(older_than_s=0) == 12 + 1
    assert files(store.data / "recordings") == sorted([f"{known}/video.mp4", "my notes.txt"])
    assert files(store.incoming) == ["holiday.mp4"]
    assert store.sweep(older_than_s=0) == 0


def test_there_is_nothing_to_sweep_in_an_empty_folder(store: Store) -> None:
    assert store.sweep() == 0
