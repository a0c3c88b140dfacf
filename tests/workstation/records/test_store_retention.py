"""Retention, and what a crash left behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.core.errors import ConflictError, RefusedError, UnavailableError
from micromimic.workstation.records.store import Store

from ...store_samples import (
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
