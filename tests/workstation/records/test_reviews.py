"""Decisions: only added, by one at a time, everything kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import delete, select, text, update

from micromimic.core.errors import ConflictError, NotFoundError, RefusedError, StoreError
from micromimic.workstation.records import recordings, reviews
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.models import AnalysisRecord, Decision, Recording

from ...store_samples import NOW, add_recording, analysed, machine_events, view

TIMEOUT = 120


def keys(store: Store, recording: str, coder: str = "kim") -> dict[str, tuple[str, str]]:
    return {e.key: (e.status, e.label) for e in reviews.get_review(store, recording, coder).events}


def test_before_the_first_decision(store: Store) -> None:
    recording = analysed(store)
    review = reviews.get_review(store, recording, "kim")
    assert (review.number, review.undoable, review.redoable) == (0, None, None)
    assert not review.complete
    assert [dict(e.machine or {}) for e in review.events] == machine_events()
    assert reviews.history(store, recording) == ()
    assert reviews.coders(store, recording) == ()


def test_decisions_are_numbered_kept_and_dated(store: Store) -> None:
    recording = analysed(store)
    store.clock.now = NOW
    reviews.decide(
        store, recording, coder="kim", expected=0, action="accept", event="m0", note=None
    )
    reviews.decide(
        store, recording, coder="kim", expected=1, action="relabel", event="m1", label="surprise",
        note="brow\nonly",
    )  # fmt: skip
    reviews.decide(
        store, recording, coder="kim", expected=2, action="add", label="positive",
        onset_frame=500, apex_frame=510, offset_frame=540,
    )  # fmt: skip
    review = reviews.decide(
        store, recording, coder="kim", expected=3, action="move", event="c3", apex_frame=512
    )
    assert review == reviews.get_review(store, recording, "kim")
    assert (review.number, review.complete) == (4, True)
    assert keys(store, recording) == {
        "m0": ("accepted", "negative"),
        "m1": ("accepted", "surprise"),
        "c3": ("accepted", "positive"),
    }
    trail = reviews.history(store, recording)
    assert [(d.number, d.action, d.event, d.payload) for d in trail] == [
        (1, "accept", "m0", {}),
        (2, "relabel", "m1", {"label": "surprise", "note": "brow\nonly"}),
        (3, "add", "c3", {"label": "positive", "onset_frame": 500, "apex_frame": 510,
                          "offset_frame": 540}),
        (4, "move", "c3", {"apex_frame": 512}),
    ]  # fmt: skip
    times = [d.decided_at - NOW for d in reviews.history(store, recording)]
    assert times == [timedelta(seconds=k) for k in (1, 2, 3, 4)]


def test_undo_and_redo_are_decisions_too(store: Store) -> None:
    recording = analysed(store)
    reviews.decide(store, recording, coder="kim", expected=0, action="accept", event="m0")
    reviews.decide(store, recording, coder="kim", expected=1, action="reject", event="m1")
    review = reviews.decide(store, recording, coder="kim", expected=2, action="undo")
    assert (review.number, review.undoable, review.redoable) == (3, 1, 2)
    assert keys(store, recording)["m1"] == ("pending", "negative")
    review = reviews.decide(store, recording, coder="kim", expected=3, action="redo")
    assert (review.number, review.undoable, review.redoable) == (4, 2, None)
    assert keys(store, recording)["m1"] == ("rejected", "negative")
    trail = [
        (d.number, d.action, d.event, d.target) for d in reviews.history(store, recording, "kim")
    ]
    assert trail == [
        (1, "accept", "m0", None), (2, "reject", "m1", None), (3, "undo", "", 2),
        (4, "redo", "", 2),
    ]  # fmt: skip
    with pytest.raises(RefusedError, match="redo"):
        reviews.decide(store, recording, coder="kim", expected=4, action="redo")


def test_coders_do_not_see_each_other(store: Store) -> None:
    recording, other = analysed(store), analysed(store)
    reviews.decide(store, recording, coder="kim", expected=0, action="accept", event="m0")
    reviews.decide(store, recording, coder="Åsa", expected=0, action="reject", event="m0")
    reviews.decide(store, other, coder="kim", expected=0, action="reject", event="m1")
    assert keys(store, recording, "kim")["m0"][0] == "accepted"
    assert keys(store, recording, "Åsa")["m0"][0] == "rejected"
    assert keys(store, recording, "lee")["m0"][0] == "pending"
    assert (
        reviews.coders(store, recording)
        == recordings.get_recording(store, recording).coders
        == ("kim", "Åsa")
    )
    assert [d.coder for d in reviews.history(store, recording)] == ["kim", "Åsa"]
    assert [d.coder for d in reviews.history(store, recording, " kim ")] == ["kim"]


def test_the_machines_answer_stays_as_it_was(store: Store) -> None:
    recording = analysed(store)
    before = view(reviews.get_analysis(store, recording))
    reviews.decide(
        store, recording, coder="kim", expected=0, action="move", event="m0", onset_frame=5
    )
    reviews.decide(store, recording, coder="kim", expected=1, action="reject", event="m1")
    assert view(reviews.get_analysis(store, recording)) == before


@pytest.mark.parametrize(
    "given",
    [
        {"action": "accept", "event": "m7"},
        {"action": "explode", "event": "m0"},
        {"action": "relabel", "event": "m0", "label": "joy"},
        {"action": "move", "event": "m0", "onset_frame": 21},
        {"action": "move", "event": "m0", "offset_frame": 1000},
        {"action": "move", "event": "m0", "onset_frame": -(2**70)},
        {"action": "comment", "event": "m0", "note": "\x00"},
        {"action": "comment", "event": "m0", "note": "\ud800"},
        {"action": "remove", "event": "m0"},
        {"action": "undo"},
        {"action": "accept", "event": "\x00"},
    ],
    ids=str,
)
def test_nonsense_is_refused_and_leaves_nothing(store: Store, given: dict[str, Any]) -> None:
    recording = analysed(store)
    with pytest.raises(RefusedError, match=r"^expected .*got"):
        reviews.decide(store, recording, coder="kim", expected=0, **given)
    assert reviews.history(store, recording) == ()


@pytest.mark.parametrize("name", ["", " ", "Machine", "a\nb", "\x00", "\ud800", "x" * 65])
def test_a_coder_has_a_name(store: Store, name: str) -> None:
    recording = analysed(store)
    for ask in (
        lambda: reviews.get_review(store, recording, name),
        lambda: reviews.decide(
            store, recording, coder=name, expected=0, action="accept", event="m0"
        ),
        lambda: reviews.history(store, recording, name),
    ):
        with pytest.raises(RefusedError, match=r"^expected a (coder|person)'s name"):
            ask()


def test_there_is_nothing_to_review_before_the_answer(store: Store) -> None:
    recording = add_recording(store).id
    assert reviews.get_analysis(store, recording) is None
    with pytest.raises(NotFoundError, match="got one whose analysis is queued"):
        reviews.get_review(store, recording, "kim")
    with pytest.raises(NotFoundError, match="got one whose analysis is queued"):
        reviews.decide(store, recording, coder="kim", expected=0, action="accept", event="m0")
    assert reviews.history(store, recording) == ()


# ---------------------------------------------------------------------------------- at once


@pytest.mark.parametrize("expected", [0, 2, -1, 2**40])
def test_a_decision_upon_an_old_state_is_a_conflict(store: Store, expected: int) -> None:
    recording = analysed(store)
    store.clock.now = NOW
    reviews.decide(store, recording, coder="kim", expected=0, action="reject", event="m1")
    with pytest.raises(ConflictError) as caught:
        reviews.decide(
            store, recording, coder="kim", expected=expected, action="accept", event="m0"
        )
    assert str(caught.value) == (
        f"expected decision {expected} to be the last of kim, got 1 (reject m1, by kim at "
        "2024-05-06 07:08:10 UTC); reload and decide again"
    )
    assert len(reviews.history(store, recording)) == 1


def test_of_many_windows_one_wins_each_number(store: Store) -> None:
    recording = analysed(store)
    windows, rounds = 6, 5
    barrier = Barrier(windows)

    def save(window: int) -> list[tuple[int, str]]:
        won = []
        for number in range(rounds):
            barrier.wait(TIMEOUT)
            note = f"window {window}"
            try:
                review = reviews.decide(
                    store,
                    recording,
                    coder="kim",
                    expected=number,
                    action="comment",
                    event="m0",
                    note=note,
                )
            except ConflictError as error:
                assert f"got {number + 1} (comment m0, by kim at 2024-05-06" in str(error)
                continue
            assert review.number == number + 1
            won.append((number + 1, note))
        return won

    with ThreadPoolExecutor(windows) as pool:
        won = [one for part in pool.map(save, range(windows)) for one in part]
    trail = [(d.number, d.payload["note"]) for d in reviews.history(store, recording)]
    assert trail == sorted(won)
    assert [number for number, _ in trail] == [1, 2, 3, 4, 5]


def test_coders_at_once_do_not_disturb_each_other(store: Store) -> None:
    recording = analysed(store)
    names = [f"coder {k}" for k in range(6)]
    barrier = Barrier(len(names))

    def review(name: str) -> None:
        barrier.wait(TIMEOUT)
        for number in range(8):
            action = "accept" if number % 2 else "reject"
            reviews.decide(store, recording, coder=name, expected=number, action=action, event="m0")

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(review, names))
    for name in names:
        assert [d.number for d in reviews.history(store, recording, name)] == list(range(1, 9))
    assert len(reviews.history(store, recording)) == 48


# ---------------------------------------------------------------------------------- only added


@pytest.mark.parametrize("table", [Decision, AnalysisRecord], ids=lambda t: t.__tablename__)
def test_the_database_itself_refuses_to_change_the_trail(store: Store, table: Any) -> None:
    recording = analysed(store)
    reviews.decide(store, recording, coder="kim", expected=0, action="accept", event="m0")
    before = view((reviews.history(store, recording), reviews.get_analysis(store, recording)))

    def attempt(statement: Any) -> Callable[[], None]:
        def run() -> None:
            with store.write() as transaction:
                transaction.execute(statement)

        return run

    for run in (
        attempt(update(table).values(payload={"forged": True})),
        attempt(delete(table)),
        attempt(delete(table).where(table.recording_id == recording)),
        *([attempt(text(f"TRUNCATE {table.__tablename__}"))] if store.kind != "sqlite" else []),
    ):
        with pytest.raises(StoreError, match=r"only ever added|never changed|only with their"):
            run()
    assert (
        view((reviews.history(store, recording), reviews.get_analysis(store, recording))) == before
    )
    with store.write() as transaction:
        transaction.execute(delete(Recording).where(Recording.id == recording))
    with store.read() as transaction:
        assert transaction.scalars(select(table)).all() == []
