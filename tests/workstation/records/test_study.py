"""The study: its mode, scheme and markers, imported codings, and how far coders are."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import event

from micromimic.core.errors import ConflictError, NotFoundError, RefusedError
from micromimic.workstation.records import jobs, markers, people, recordings, reviews
from micromimic.workstation.records.blind import masked_review
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.review import FrameTimes, make_review
from micromimic.workstation.records.scheme import BUILT_IN, Scheme
from micromimic.workstation.records.study import change_study, get_study

from ...store_samples import (
    add_recording,
    add_session,
    analysed,
    claimed,
    machine_events,
    view,
)

SEVEN = {**BUILT_IN["seven"].to_dict(), "tags": ["posed"]}
OWN = {"onset_frame": 12, "apex_frame": 18, "offset_frame": 41}


def decide(store: Store, recording: str, action: str, *, coder: str = "kim", **more: Any) -> Any:
    number = reviews.get_review(store, recording, coder).number
    return reviews.decide(store, recording, coder=coder, expected=number, action=action, **more)


# -------------------------------------------------------------------------- the study's row


def test_a_study_is_open_until_changed_and_keeps_what_is_not_named(store: Store) -> None:
    before = get_study(store)
    assert (before.title, before.mode, before.scheme, before.overlap) == ("", "open", None, 0.5)
    changed = change_study(store, title="Stress", mode="blind", scheme=SEVEN)
    assert change_study(store, overlap=0.3).title == "Stress"
    found = get_study(store)
    assert (found.mode, found.scheme, found.overlap) == ("blind", SEVEN, 0.3)
    assert found.changed_at is not None and changed.changed_at is not None
    assert change_study(store, scheme=None).scheme is None
    assert get_study(store).mode == "blind"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "secret"}, "open, blind"),
        ({"overlap": 0.0}, "above 0"),
        ({"title": "a\nb"}, "on one line"),
        ({"scheme": {"name": "mine"}}, "write its schema"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    store: Store, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        change_study(store, **{"title": "new", **change})
    assert get_study(store).title == ""


# ------------------------------------------------------------------------------- the scheme


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "micromimic.scheme/9"}, "micromimic.scheme/1"),
        ({"colour": "red"}, "got 'colour'"),
        ({"name": 7}, "name as text"),
        ({"classes": []}, "with a class"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "each once"),
        ({"classes": [{"name": "a"}, {"name": "A"}]}, "each once"),
        ({"classes": [{"name": "Per_minute"}]}, "names a column of the study's tables"),
        ({"tags": ["posed; masked"]}, "expected tags without ;"),
        ({"classes": "a"}, "as a list"),
        ({"classes": [{"name": "a", "key": 1}]}, "got 'key'"),
        ({"units": [0]}, "from 1 to"),
        ({"units": [12, 12]}, "each once"),
        ({"sides": "yes"}, "true or false"),
        ({"tags": ["a\nb"]}, "one line"),
        ({"tags": [f"t{k}" for k in range(101)]}, "at most 100, got 101"),
        ({"templates": [{"name": "smile", "label": "joy"}]}, "got 'joy'"),
        ({"templates": [{"name": "x", "label": "fear", "units": [99, 99]}]}, "each once"),
        ({"templates": [{"name": "x", "label": "fear", "tags": ["odd"]}]}, "got 'odd'"),
    ],
)
def test_a_file_that_is_no_scheme_is_refused_in_one_line(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        Scheme.read({**SEVEN, **change})
    assert "\n" not in str(caught.value)


def test_a_scheme_goes_to_its_file_and_back() -> None:
    for scheme in BUILT_IN.values():
        assert Scheme.read(scheme.to_dict()) == scheme
    smile = {"name": "smile", "label": "happiness", "units": [6, {"au": 12, "side": "left"}]}
    read = Scheme.read({**SEVEN, "templates": [smile]})
    assert read.templates[0].units[1] == {"au": 12, "side": "left", "intensity": ""}
    assert Scheme.read(read.to_dict()) == read


def test_a_coder_says_what_the_scheme_has_and_nothing_else(store: Store) -> None:
    recording = analysed(store)
    change_study(store, scheme={**SEVEN, "units": [12], "intensities": False})
    with pytest.raises(RefusedError, match="the machine's 'negative' alone"):
        decide(store, recording, "accept", event="m0")
    with pytest.raises(RefusedError, match="the machine's 'negative' alone"):
        decide(store, recording, "move", event="m0", onset_frame=11)
    for wrong, words in (
        ({"units": [{"au": 4}]}, "of the scheme"),
        ({"units": [{"au": 12, "intensity": "B"}]}, "the intensity of a unit"),
        ({"units": [{"au": 12}, {"au": 12, "side": ""}]}, "each once"),
        ({"certainty": "very"}, "guess, probable, certain"),
        ({"tags": ["posed", "posed"]}, "each once"),
    ):
        with pytest.raises(RefusedError, match=words):
            decide(store, recording, "accept", event="m0", label="fear", **wrong)
    said = {"units": [{"au": 12, "side": "left", "intensity": ""}], "certainty": "guess"}
    made = decide(store, recording, "accept", event="m0", label="fear", **OWN, **said).events[0]
    assert (made.status, made.label, made.onset_frame, made.changed) == (
        "accepted", "fear", 12, True,
    )  # fmt: skip
    assert (made.units, made.certainty, made.mode) == (said["units"], "guess", "open")
    coded = decide(store, recording, "code", event="m1", tags=["posed"]).events[1]
    assert (coded.status, coded.tags, coded.mode) == ("pending", ["posed"], None)
    assert decide(store, recording, "undo").events[1].tags == ()


def test_a_scheme_that_lacks_what_is_coded_is_refused_and_nothing_changes(store: Store) -> None:
    recording = analysed(store)
    change_study(store, scheme=SEVEN, title="old")
    said = {"units": [{"au": 12, "intensity": "C"}], "certainty": "guess", "tags": ["posed"]}
    decide(store, recording, "accept", event="m0", label="fear", **said)
    decide(store, recording, "reject", event="m1")  # what is rejected needs no class
    for scheme, words in (
        (None, "the class fear, as kim"),
        ({**SEVEN, "classes": [{"name": "anger"}]}, "the class fear"),
        ({**SEVEN, "intensities": False}, "AU 12C"),
        ({**SEVEN, "certainty": ["certain"]}, "the certainty guess"),
        ({**SEVEN, "tags": []}, "the tag posed"),
    ):
        with pytest.raises(ConflictError, match=words):
            change_study(store, title="new", scheme=scheme)
    assert (get_study(store).title, get_study(store).scheme) == ("old", SEVEN)
    decide(store, recording, "reject", event="m0")
    assert change_study(store, scheme=None).scheme is None
    decide(store, recording, "accept", event="m1")  # the machine's class: in force as well
    with pytest.raises(ConflictError, match="the class negative"):
        change_study(store, scheme=SEVEN)


def test_a_decision_waits_for_a_scheme_that_is_being_changed(store: Store) -> None:
    recording = analysed(store)
    change_study(store, scheme=SEVEN)
    said: list[str] = []

    def code() -> None:
        try:
            decide(store, recording, "relabel", event="m0", label="fear")
        except RefusedError as error:
            said.append(str(error))

    coder = Thread(target=code)
    with store.write() as transaction:
        change_study(transaction, scheme={**SEVEN, "classes": [{"name": "anger"}]})
        transaction.flush()
        coder.start()
        coder.join(0.3)
        assert coder.is_alive()
    coder.join()
    assert len(said) == 1 and "expected a label among anger, got 'fear'" in said[0]


# ----------------------------------------------------------------------- blind to the machine


def test_an_undecided_event_is_a_window_that_tells_nothing(store: Store) -> None:
    recording = analysed(store, events=9)
    change_study(store, mode="blind")
    review = reviews.get_review(store, recording, "kim")
    whole = {e.key: e for e in reviews.get_review(store, recording, "kim", whole=True).events}
    offsets = set()
    for event_ in review.events:
        truth = whole[event_.key]
        assert (event_.masked, event_.label, event_.machine, event_.mode) == (True, "", None, None)
        assert event_.onset_frame <= truth.onset_frame <= truth.offset_frame
        assert truth.offset_frame <= event_.offset_frame
        assert event_.offset_s - event_.onset_s == pytest.approx(2.0)
        middle = (event_.onset_frame + event_.offset_frame) // 2
        assert event_.apex_frame == middle
        if event_.onset_frame > 0 and event_.offset_frame < 999:  # not at an end of the video
            offsets.add(truth.onset_frame - event_.onset_frame)
    assert len(offsets) > 2  # never at the same place
    assert reviews.get_review(store, recording, "lee").events == review.events
    shown = reviews.get_shown(store, recording, "kim")
    assert shown is not None and list(shown.analysis["events"]) == [None] * 9


def test_the_place_of_a_window_cannot_be_computed_from_what_is_shown() -> None:
    times = FrameTimes(4000, 200.0)
    (entry,) = machine_events(1)
    entry |= {"onset_frame": 1000, "apex_frame": 1010, "offset_frame": 1040}
    entry |= {"onset_s": 5.0, "apex_s": 5.05, "offset_s": 5.2}
    starts = {
        masked_review(
            make_review("r", "kim", [{**entry, "strength": strength}], (), times), times
        ).events[0].onset_frame
        for strength in (1.0, 1.1, 1.2)
    }  # fmt: skip
    assert len(starts) == 3


def test_a_longer_event_has_a_window_that_does_not_tell_how_long_it_is() -> None:
    times = FrameTimes(4000, 200.0)

    def window(seconds: float) -> float:
        entry = {**machine_events(1)[0], "onset_frame": 1000, "apex_frame": 1010, "onset_s": 5.0}
        entry |= {
            "apex_s": 5.05,
            "offset_s": 5 + seconds,
            "offset_frame": 1000 + int(200 * seconds),
        }
        review = make_review("r", "kim", [{**entry, "kind": "macro"}], (), times)
        (shown,) = masked_review(review, times).events
        assert shown.onset_s <= 5.0 and 5 + seconds <= shown.offset_s
        assert shown.kind == "micro"  # nor whether it is one of the longer expressions
        return shown.offset_s - shown.onset_s

    assert [window(s) for s in (0.7, 1.5, 2.5, 3.9)] == pytest.approx([2, 4, 4, 8])


def test_a_blind_coder_decides_with_an_own_class_and_own_frames(store: Store) -> None:
    recording = analysed(store)
    change_study(store, mode="blind")
    for action, more in (
        ("accept", {}),
        ("accept", {"label": "positive"}),
        ("relabel", {"label": "positive"}),
        ("move", OWN),
    ):
        with pytest.raises(RefusedError, match="coded blind"):
            decide(store, recording, action, event="m0", **more)
    review = decide(store, recording, "accept", event="m0", label="positive", **OWN)
    made = next(e for e in review.events if e.key == "m0")
    assert (made.masked, made.mode, made.machine["label"]) == (False, "blind", "negative")
    assert next(e for e in review.events if e.key == "m1").masked
    shown = reviews.get_shown(store, recording, "kim")
    assert shown is not None and [e is None for e in shown.analysis["events"]] == [False, True]
    review = decide(store, recording, "reject", event="m1")
    assert not any(e.masked for e in review.events)
    with pytest.raises(ConflictError, match="kim to have marked this recording done"):
        reviews.check_machine_open(store, recording, "kim")
    decide(store, recording, "done")
    reviews.check_machine_open(store, recording, "kim")
    for reader, index in ((None, None), ("lee", None), ("lee", 1)):
        if reader:
            with pytest.raises(ConflictError, match="lee"):
                reviews.check_machine_open(store, recording, reader, index)
        else:  # all who began are done
            reviews.check_machine_open(store, recording, reader, index)


def test_what_was_decided_after_the_answer_was_shown_is_not_blind(store: Store) -> None:
    recording = analysed(store, events=3)
    decide(store, recording, "comment", event="m2", note="the study is open", coder="zoe")
    change_study(store, mode="blind")
    own = {"label": "positive", **OWN}
    decide(store, recording, "accept", event="m0", **own)
    decide(store, recording, "undo")  # hidden again, but seen
    review = decide(store, recording, "accept", event="m0", **own)
    assert next(e for e in review.events if e.key == "m0").mode == "open"
    review = decide(store, recording, "accept", event="m1", **own)
    assert next(e for e in review.events if e.key == "m1").mode == "blind"
    review = decide(store, recording, "relabel", event="m1", label="surprise")
    assert next(e for e in review.events if e.key == "m1").mode == "open"
    review = decide(store, recording, "accept", event="m0", coder="zoe", **own)
    assert next(e for e in review.events if e.key == "m0").mode == "open"
    trail = [(d.action, d.mode) for d in reviews.history(store, recording, "kim")]
    assert trail == [
        ("accept", "blind"), ("undo", "blind"), ("accept", "open"), ("accept", "blind"),
        ("relabel", "open"),
    ]  # fmt: skip


# ------------------------------------------------------------------------- imported codings


def test_somebody_elses_coding_becomes_a_coder_all_or_nothing(store: Store) -> None:
    recording = analysed(store)
    events = [{"label": "positive", **OWN}, {"label": "surprise", **OWN, "note": "tier A"}]
    with pytest.raises(RefusedError, match="got 'joy'"):
        reviews.import_coding(store, recording, "ana", [*events, {"label": "joy", **OWN}])
    assert reviews.coders(store, recording) == ()
    review = reviews.import_coding(store, recording, "ana", events)
    assert review == reviews.get_review(store, recording, "ana")
    assert review.done and not review.complete
    own = [e for e in review.events if e.added]
    assert [(e.label, e.mode, e.note) for e in own] == [
        ("positive", "imported", ""), ("surprise", "imported", "tier A"),
    ]  # fmt: skip
    assert [d.action for d in reviews.history(store, recording, "ana")] == ["add", "add", "done"]
    with pytest.raises(ConflictError, match="ana with 3 decisions"):
        reviews.import_coding(store, recording, "ana", events)
    assert not reviews.is_open_to(store, recording, "kim")


# ---------------------------------------------------------------------------------- markers


def test_markers_stand_by_time_and_go_by_origin_or_one_by_one(store: Store) -> None:
    recording, other = analysed(store), analysed(store)
    film = {"tier": "stimulus", "label": "film", "onset_s": 2.5, "offset_s": 4}
    key = {"tier": "key", "label": "", "onset_s": 0.25}
    made = markers.add_markers(store, recording, [film, key], origin="trials.eaf")
    assert [m.offset_s for m in made] == [4.0, 0.25]
    (by_hand,) = markers.add_markers(store, recording, [{**film, "onset_s": 1}])
    markers.add_markers(store, other, [key], origin="trials.eaf")
    found = markers.list_markers(store, recording)
    assert [m.onset_s for m in found] == [0.25, 1, 2.5]
    assert markers.remove_markers(store, recording, "trials.eaf") == 2
    assert view(markers.list_markers(store, recording)) == (view(by_hand),)
    with pytest.raises(NotFoundError):
        markers.remove_marker(store, by_hand.id, recording_id=other)
    markers.remove_marker(store, by_hand.id)
    assert markers.list_markers(store, recording) == ()
    assert len(markers.list_markers(store, other)) == 1
    for wrong, words in (
        ({"onset_s": -1}, "seconds from 0"),
        ({"onset_s": float("nan")}, "seconds from 0"),
        ({"offset_s": 1}, "ends after it begins"),
        ({"tier": ""}, "a marker's row"),
    ):
        with pytest.raises(RefusedError, match=words):
            markers.add_markers(store, recording, [key, {**film, **wrong}])
    assert markers.list_markers(store, recording) == ()


# -------------------------------------------------------- how far coders and the queue are


def test_a_recording_says_how_far_each_coder_is(store: Store) -> None:
    recording = analysed(store)

    def progress() -> list[tuple[str, int, int, bool]]:
        rows = recordings.get_recording(store, recording).progress
        return [(row.coder, row.decided, row.candidates, row.done) for row in rows]

    assert progress() == []
    decide(store, recording, "reject", event="m1")
    decide(store, recording, "comment", event="m0", note="?", coder="lee")
    decide(store, recording, "add", label="positive", **OWN)
    assert progress() == [("kim", 1, 2, False), ("lee", 0, 2, False)]
    decide(store, recording, "accept", event="m0")
    decide(store, recording, "done")
    assert progress()[0] == ("kim", 2, 2, True)
    decide(store, recording, "undo")
    decide(store, recording, "undo")
    assert progress()[0] == ("kim", 1, 2, False)


def test_a_session_is_named_where_its_recording_is(store: Store) -> None:
    session = add_session(store, "P04")
    people.change_session(store, session, condition="control")
    found = recordings.get_recording(store, analysed(store, session))
    assert (found.subject_code, found.condition, found.session_title) == ("P04", "control", "first")
    assert found.held_on is not None
    assert recordings.get_recording(store, analysed(store)).condition is None


def test_the_same_file_twice_is_told(store: Store) -> None:
    first = add_recording(store)
    second, third = add_recording(store), add_recording(store)
    other = add_recording(store, sha256="f" * 64)
    same = {r.id: r.same_as for r in recordings.list_recordings(store)}
    assert same == {first.id: second.id, second.id: first.id, third.id: first.id, other.id: None}


def test_the_queue_has_places_and_about_the_time_left(store: Store) -> None:
    waiting = [add_recording(store, size_bytes=100 * (k + 1)) for k in range(3)]
    assert [r.job.place for r in waiting if r.job] == [1, 2, 3]
    assert [r.job.seconds_left for r in waiting if r.job] == [None, None, None]
    job = claimed(store)
    started = job.started_at
    assert started is not None
    store.clock.now = started + timedelta(seconds=19)
    jobs.finish_job(store, job.id, payload={"events": []}, review={})
    seconds_a_byte = 20 / 100
    second, third = (recordings.get_recording(store, r.id).job for r in waiting[1:])
    assert second is not None and third is not None
    assert (second.place, third.place) == (1, 2)
    assert second.seconds_left == pytest.approx(200 * seconds_a_byte)
    assert third.seconds_left == pytest.approx(500 * seconds_a_byte)
    running = claimed(store)
    found = {job.id: job for job in jobs.list_jobs(store)}
    assert (found[running.id].place, found[third.id].place) == (None, 1)
    left = found[running.id].seconds_left
    assert left is not None and 1 <= left < 200 * seconds_a_byte
    assert found[third.id].seconds_left == pytest.approx(left + 300 * seconds_a_byte)


# ------------------------------------------------------------------------------ performance


def test_a_list_asks_as_much_for_many_recordings_as_for_one(store: Store) -> None:
    def asked(count: int) -> list[str]:
        said: list[str] = []

        def note(_c: Any, _k: Any, statement: str, *_: Any) -> None:
            said.append(statement)

        event.listen(store.reader, "before_cursor_execute", note)
        try:
            assert len(recordings.list_recordings(store)) == count
            people.list_sessions(store)
        finally:
            event.remove(store.reader, "before_cursor_execute", note)
        return said

    session = add_session(store)

    def more() -> None:
        recording = analysed(store, session)
        decide(store, recording, "accept", event="m0")
        decide(store, recording, "accept", event="m0", coder="lee")

    more()
    one = asked(1)
    for _ in range(4):
        more()
    assert len(asked(5)) == len(one)
