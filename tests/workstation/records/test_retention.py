"""Retention, and what a crash left behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.core.errors import ConflictError, RefusedError, UnavailableError
from micromimic.workstation.records import jobs, privacy, recordings, reviews
from micromimic.workstation.records.database import Store

from ...store_samples import (
    NOW,
    NUMBERS,
    Clock,
    add_recording,
    analysed,
    answer,
    claimed,
    files,
    fill_folder,
    view,
)

# ---------------------------------------------------------------------------------- retention


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def test_videos_go_when_their_time_is_over_and_numbers_stay(store: Store) -> None:
    early, late, kept = (
        analysed(store, expires_at=until) for until in (at(30), at(60), None)
    )  # fmt: skip
    reviews.decide(store, early, coder="kim", expected=0, action="accept", event="m0")
    for recording in (early, late, kept):
        fill_folder(store.folder(recording), "x")
    before = view((reviews.get_analysis(store, early), reviews.history(store, early)))
    assert privacy.expire(store, now=at(29.9)) == []
    assert privacy.expire(store, now=at(30)) == [early]
    assert privacy.expire(store, now=at(31)) == []
    assert files(store.folder(early)) == NUMBERS
    assert len(files(store.folder(late))) == len(files(store.folder(kept))) == 15
    assert [recordings.get_recording(store, r).media for r in (early, late, kept)] == [
        "expired",
        "kept",
        "kept",
    ]
    assert view((reviews.get_analysis(store, early), reviews.history(store, early))) == before
    review = reviews.decide(store, early, coder="kim", expected=1, action="reject", event="m1")
    assert review.complete
    assert privacy.expire(store, now=at(36500)) == [late]
    assert recordings.get_recording(store, kept).media == "kept"


def test_expire_goes_by_the_clock_of_the_store(store: Store) -> None:
    recording = add_recording(store, files=True, expires_at=at(30))
    assert privacy.expire(store) == []
    store.clock = Clock(at(30))
    assert privacy.expire(store) == [recording.id]


def test_an_analysis_that_runs_when_the_time_is_over_is_cancelled(store: Store) -> None:
    recording = add_recording(store, files=True, expires_at=at(1))
    job = claimed(store)
    assert privacy.expire(store, now=at(2)) == [recording.id]
    found = recordings.get_recording(store, recording.id)
    assert found.job is not None
    assert (found.job.status, found.job.error) == ("cancelled", "the video's retention is over")
    with pytest.raises(ConflictError):
        jobs.finish_job(store, job.id, **answer())
    with pytest.raises(RefusedError, match="got one that was removed"):
        jobs.requeue_job(store, recording.id)
    with pytest.raises(RefusedError, match="video was removed"):
        recordings.change_recording(store, recording.id, expires_at=None)


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
        privacy.expire(store, now=at(2))
    assert [recordings.get_recording(store, r).media for r in made] == [
        "expired",
        "kept",
        "expired",
    ]
    monkeypatch.undo()
    assert privacy.expire(store, now=at(2)) == [made[1]]
    assert files(store.data / "recordings") == []
