from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from micromimic.core.errors import RefusedError
from micromimic.core.labels import THREE
from micromimic.workstation.records.models import Decision
from micromimic.workstation.records.payloads import ACTIONS, FRAMES, LONGEST_NOTE
from micromimic.workstation.records.review import (
    FrameTimes,
    check,
    effective,
    make_review,
    next_steps,
    reviewed,
)
from micromimic.workstation.records.scheme import BUILT_IN

START = datetime(2024, 5, 6, 9, 30, tzinfo=UTC)
TIMES = FrameTimes(1000, 200.0)


def machine_event(onset, apex, offset, label="negative", times=TIMES):
    places = dict(zip(FRAMES, (onset, apex, offset), strict=True))
    seconds = {name.replace("frame", "s"): times.seconds(n) for name, n in places.items()}
    shares = {name: 1.0 if name == label else 0.0 for name in THREE}
    return {
        **seconds,
        **places,
        "label": label,
        "probabilities": shares,
        "uncertain": False,
        "strength": 7.5,
        "regions": {},
    }


MACHINE = [
    machine_event(100, 120, 150),
    machine_event(400, 410, 440, "surprise"),
    machine_event(700, 730, 780, "positive"),
]

THREE_AND_MORE = replace(BUILT_IN["three"], tags=("posed", "speech"))
CODES = st.fixed_dictionaries(
    {},
    optional={
        "units": st.sampled_from([[], [{"au": 12, "side": "left", "intensity": "B"}]]),
        "certainty": st.sampled_from(["", "guess", "certain"]),
        "tags": st.sampled_from([[], ["posed"], ["posed", "speech"]]),
    },
)


class Trail:
    """Decisions of one coder, added as the store adds them."""

    def __init__(self, machine=MACHINE, times=TIMES, scheme=THREE_AND_MORE):
        self.machine, self.times, self.decisions = machine, times, []
        self.scheme, self.blind = scheme, False

    def say(self, action, event="", **payload):
        entry = check(
            self.machine, self.decisions, self.times, action=action, event=event, payload=payload,
            scheme=self.scheme, blind=self.blind,
        )  # fmt: skip
        number = len(self.decisions) + 1
        at = START + timedelta(minutes=number)
        self.decisions.append(
            Decision(
                recording_id="r",
                coder="kim",
                number=number,
                action=entry.action,
                event=entry.event,
                payload=dict(entry.payload),
                target=entry.target,
                decided_at=at,
                mode=entry.mode,
            )
        )
        return self

    @property
    def events(self):
        return reviewed(self.machine, self.decisions, self.times)

    def __getitem__(self, key):
        return next(event for event in self.events if event.key == key)


# ---- what each action does ------------------------------------------------------------------


def test_before_any_decision_everything_is_pending_and_the_machines():
    review = make_review("r", "kim", MACHINE, (), TIMES)
    assert [event.key for event in review.events] == ["m0", "m1", "m2"]
    assert {event.status for event in review.events} == {"pending"}
    assert [event.machine for event in review.events] == MACHINE
    assert (review.number, review.undoable, review.redoable) == (0, None, None)
    assert not review.complete
    assert make_review("r", "kim", [], (), TIMES).complete  # nothing is left to decide


def test_accept_and_reject():
    trail = Trail().say("accept", "m0").say("reject", "m1", note="a blink")
    assert trail["m0"].status == "accepted" and not trail["m0"].changed
    assert trail["m1"].status == "rejected" and trail["m1"].note == "a blink"
    assert trail["m2"].status == "pending" and trail["m2"].decided_at is None
    assert trail["m1"].decided_at == START + timedelta(minutes=2)
    assert not make_review("r", "kim", MACHINE, trail.decisions, TIMES).complete
    trail.say("accept", "m2")
    assert make_review("r", "kim", MACHINE, trail.decisions, TIMES).complete


def test_to_correct_an_event_is_to_accept_it():
    trail = Trail().say("relabel", "m0", label="surprise").say("move", "m1", apex_frame=415)
    for key in ("m0", "m1"):
        assert trail[key].status == "accepted" and trail[key].changed
    assert trail["m0"].label == "surprise" and trail["m0"].machine["label"] == "negative"
    moved = trail["m1"]
    assert (moved.onset_frame, moved.apex_frame, moved.offset_frame) == (400, 415, 440)
    assert (moved.onset_s, moved.apex_s, moved.offset_s) == (2.0, 2.075, 2.2)
    trail.say("relabel", "m0", label="negative")
    assert trail["m0"].status == "accepted" and not trail["m0"].changed


def test_a_comment_decides_nothing():
    trail = Trail().say("comment", "m0", note=" speaking?\r\n\tyes ")
    assert trail["m0"].note == "speaking?\r\n\tyes"  # as any other note is kept
    trail.say("comment", "m0", note="")
    assert trail["m0"].status == "pending" and trail["m0"].note == ""
    assert trail["m0"].decided_at == START + timedelta(minutes=2)


def test_a_missed_event_is_added_and_removed():
    trail = Trail().say("accept", "m0")
    trail.say("add", label="positive", onset_frame=300, apex_frame=310, offset_frame=330)
    added = trail["c2"]
    assert (added.status, added.machine, added.changed) == ("accepted", None, False)
    assert (added.onset_s, added.apex_s, added.offset_s) == (1.5, 1.55, 1.65)
    assert [event.key for event in trail.events] == ["m0", "c2", "m1", "m2"]
    trail.say("move", "c2", onset_frame=305).say("remove", "c2")
    assert [event.key for event in trail.events] == ["m0", "m1", "m2"]
    trail.say("undo")
    assert trail["c2"].onset_frame == 305


def test_undo_and_redo_name_what_they_concern():
    trail = Trail().say("accept", "m0").say("reject", "m1").say("undo").say("undo").say("redo")
    assert [(d.action, d.target) for d in trail.decisions[2:]] == [
        ("undo", 2),
        ("undo", 1),
        ("redo", 1),
    ]
    assert next_steps(trail.decisions) == {"undo": 1, "redo": 2}
    trail.say("reject", "m2")  # a new decision: what was undone is gone for good
    assert next_steps(trail.decisions)["redo"] is None
    assert [d.number for d in effective(trail.decisions)] == [1, 6]
    assert trail["m1"].status == "pending"


def test_seconds_are_the_machines_until_a_frame_moves():
    odd = {**MACHINE[0], "onset_s": 0.501, "apex_s": 0.602, "offset_s": 0.751}
    trail = Trail([odd]).say("move", "m0", offset_frame=160)
    assert (trail["m0"].onset_s, trail["m0"].apex_s, trail["m0"].offset_s) == (0.501, 0.602, 0.8)
    # A clock that runs away from the frames' is never mixed with theirs out of order.
    late = {**MACHINE[0], "onset_s": 0.9, "apex_s": 1.0, "offset_s": 1.15}
    trail = Trail([late]).say("move", "m0", offset_frame=160)
    assert (trail["m0"].onset_s, trail["m0"].apex_s, trail["m0"].offset_s) == (0.5, 0.6, 0.8)


def test_frame_times():
    assert FrameTimes.of({"frames": 3, "fps": 10.0, "start_s": 0.5}).seconds(2) == 0.7
    uneven = FrameTimes.of({"frames": 3, "fps": 10.0, "frame_times": [0.0, 0.1, 0.35]})
    assert uneven.seconds(2) == 0.35
    assert [FrameTimes(9, 100.0).nearest(s) for s in (-1.0, 0.052, 9.0)] == [0, 5, 8]
    assert [uneven.nearest(s) for s in (-1.0, 0.2, 0.3, 9.0)] == [0, 1, 2, 2]
    for bad in (
        {"frames": 2, "fps": 0.0},
        {"frames": 2, "fps": float("nan")},
        {"frames": 2, "fps": 10.0, "times": (0.0,)},
        {"frames": 2, "fps": 10.0, "times": (1.0, 0.5)},
    ):
        with pytest.raises(ValueError, match="expected|times must"):
            FrameTimes(**bad)
    for frame in (-1, 3):
        with pytest.raises(ValueError, match="from 0 to 2"):
            uneven.seconds(frame)


# ---- what is refused ------------------------------------------------------------------------

ADD = {"label": "positive", "onset_frame": 10, "apex_frame": 20, "offset_frame": 30}


@pytest.mark.parametrize(
    ("action", "event", "payload", "words"),
    [
        ("agree", "m0", {}, "an action among"),
        ("accept", "m3", {}, "'m3'"),
        ("accept", "c1", {}, "'c1'"),
        ("accept", "", {}, "an event of this review"),
        ("accept", "m0", {"label": "anger"}, "got 'anger'"),
        ("reject", "m0", {"label": "positive"}, "got label"),
        ("code", "m0", {"note": "n"}, "got no code"),
        ("code", "m0", {"tags": ["posed"]}, "got 'posed'"),
        ("accept", "m0", {"units": [{"au": 12}]}, "got 12"),
        ("accept", "m0", {"certainty": "certain"}, "got 'certain'"),
        ("relabel", "m0", {}, "got no label"),
        ("relabel", "m0", {"label": "anger"}, "got 'anger'"),
        ("relabel", "m0", {"label": 1}, "got 1"),
        ("move", "m0", {}, "got no frame"),
        ("move", "m0", {"onset_frame": 121}, "got 121, 120, 150"),
        ("move", "m0", {"offset_frame": 119}, "got 100, 120, 119"),
        ("move", "m0", {"onset_frame": -1}, "got -1, 120, 150"),
        ("move", "m0", {"offset_frame": 1000}, "<= 999, got 100, 120, 1000"),
        ("move", "m0", {"apex_frame": 120.0}, "whole number"),
        ("move", "m0", {"apex_frame": True}, "whole number"),
        ("move", "m0", {"apex_frame": 10**30}, "choose frames"),
        ("add", "m0", ADD, "no event named"),
        ("add", "", {**ADD, "apex_frame": None}, "got no apex_frame"),
        ("add", "", {**ADD, "apex_frame": 31}, "got 10, 31, 30"),
        ("remove", "m0", {}, "reject it instead"),
        ("comment", "m0", {}, "got no note"),
        ("comment", "m0", {"note": "x" * (LONGEST_NOTE + 1)}, f"got {LONGEST_NOTE + 1}"),
        ("comment", "m0", {"note": "a\x00b"}, "control characters"),
        ("comment", "m0", {"note": "a\ud800b"}, "control characters"),
        ("comment", "m0", {"note": 7}, "got no text"),
        ("undo", "", {}, "to undo, got none"),
        ("redo", "", {}, "to redo, got none"),
        ("undo", "m0", {}, "got event 'm0'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(action, event, payload, words):
    with pytest.raises(RefusedError) as caught:
        check(MACHINE, (), TIMES, action=action, event=event, payload=payload)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


def test_a_damaged_trail_is_never_read_as_something_else():
    trail = Trail().say("accept", "m0").say("reject", "m1").say("undo")
    wrong = [trail.decisions[0], *trail.decisions[2:]]  # decision 2 is lost
    with pytest.raises(RefusedError, match="the trail is damaged"):
        reviewed(MACHINE, wrong, TIMES)
    with pytest.raises(RefusedError, match="'m1'"):
        reviewed(MACHINE[:1], trail.decisions[:2], TIMES)


# ---- properties, against a model that keeps every state -------------------------------------


@st.composite
def recordings(draw):
    frames = draw(st.integers(1, 60))
    if draw(st.booleans()):
        times = FrameTimes(frames, draw(st.sampled_from([24.0, 29.97, 200.0])), start_s=0.25)
    else:
        steps = draw(st.lists(st.floats(0.001, 0.5), min_size=frames, max_size=frames))
        clock = [round(sum(steps[: k + 1]), 6) for k in range(frames)]
        times = FrameTimes(frames, 30.0, times=clock)
    placed = st.lists(st.integers(0, frames - 1), min_size=3, max_size=3).map(sorted)
    labels = st.sampled_from(THREE.names)
    found = draw(st.lists(st.tuples(placed, labels), max_size=4))
    return [machine_event(*p, label, times) for p, label in found], times


def model_events(machine):
    return {
        f"m{k}": {
            "frames": [entry[name] for name in FRAMES],
            "label": entry["label"],
            "status": "pending",
            "note": "",
            "units": (),
            "certainty": "",
            "tags": (),
        }
        for k, entry in enumerate(machine)
    }


def seen(events):
    return {
        e.key: {
            "frames": [e.onset_frame, e.apex_frame, e.offset_frame],
            "label": e.label,
            "status": e.status,
            "note": e.note,
            "units": tuple(e.units),
            "certainty": e.certainty,
            "tags": tuple(e.tags),
        }
        for e in events
    }


def draw_decision(data, trail):
    """A valid decision, whatever the state."""
    can = ["add"]
    events = {event.key: event for event in trail.events}
    can += ["accept", "reject", "relabel", "move", "code", "comment"] if events else []
    can += ["remove"] if any(key[0] == "c" for key in events) else []
    can += [step for step, target in next_steps(trail.decisions).items() if target] * 2
    action = data.draw(st.sampled_from(can))
    if action in ("undo", "redo"):
        return action, "", {}
    last = trail.times.frames - 1
    frames = sorted(data.draw(st.tuples(*[st.integers(0, last)] * 3)))
    label = data.draw(st.sampled_from(THREE.names))
    places = dict(zip(FRAMES, frames, strict=True))
    codes = data.draw(CODES)
    if action == "add":
        return action, "", {"label": label, **places, **codes}
    keys = [key for key in events if action != "remove" or key[0] == "c"]
    payload = {
        "accept": data.draw(st.sampled_from([{}, codes, {"label": label, **places, **codes}])),
        "relabel": {"label": label, **codes},
        "move": {**places, **codes},
        "code": codes or {"certainty": "guess"},
        "comment": {"note": "look again"},
    }
    return action, data.draw(st.sampled_from(sorted(keys))), payload.get(action, {})


def say(trail, decision):
    action, event, payload = decision
    return trail.say(action, event, **payload)


def apply_to_model(state, action, event, payload, number):
    state = copy.deepcopy(state)
    if action == "add":
        frames = [payload[name] for name in FRAMES]
        item = {"frames": frames, "label": payload["label"], "status": "accepted", "note": ""}
        return {**state, f"c{number}": {**item, **coded({}, payload)}}
    if action == "remove":
        del state[event]
        return state
    item = state[event]
    same = {"comment": item["status"], "code": item["status"]}
    item["status"] = {"reject": "rejected", **same}.get(action, "accepted")
    item["label"] = payload.get("label", item["label"])
    item["note"] = payload.get("note", item["note"])
    item["frames"] = [payload.get(n, f) for n, f in zip(FRAMES, item["frames"], strict=True)]
    return {**state, event: {**item, **coded(item, payload)}}


def coded(before, payload):
    return {
        "units": tuple(payload.get("units", before.get("units", ()))),
        "certainty": payload.get("certainty", before.get("certainty", "")),
        "tags": tuple(payload.get("tags", before.get("tags", ()))),
    }


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recordings(), st.data())
def test_any_sequence_of_decisions(recording, data):
    machine, times = recording
    untouched = copy.deepcopy(machine)
    trail = Trail(machine, times)
    states, ahead = [model_events(machine)], []  # every state reached; those that redo restores
    for number in range(1, data.draw(st.integers(0, 14)) + 1):
        action, event, payload = draw_decision(data, trail)
        trail.say(action, event, **payload)
        if action == "undo":
            ahead.append(states.pop())
        elif action == "redo":
            states.append(ahead.pop())
        else:
            states.append(apply_to_model(states[-1], action, event, payload, number))
            ahead = []
        assert seen(trail.events) == states[-1]
        named = {"add": f"c{number}", "undo": "", "redo": ""}.get(action, event)
        assert (trail.decisions[-1].action, trail.decisions[-1].event) == (action, named)
        for item in trail.events:
            assert 0 <= item.onset_frame <= item.apex_frame <= item.offset_frame < times.frames
            assert item.onset_s <= item.apex_s <= item.offset_s
            if item.key[0] == "m":
                assert item.machine == untouched[int(item.key[1:])]
        steps = next_steps(trail.decisions)
        assert (steps["undo"] is None, steps["redo"] is None) == (len(states) == 1, not ahead)
    assert machine == untouched
    order = [(e.onset_frame, e.apex_frame) for e in trail.events]
    assert order == sorted(order)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recordings(), st.data())
def test_undo_gives_back_the_very_same_events_and_redo_brings_them_again(recording, data):
    trail = Trail(*recording)
    for _ in range(data.draw(st.integers(0, 6))):
        say(trail, draw_decision(data, trail))
    before = trail.events
    decision = draw_decision(data, trail)
    assume(decision[0] not in ("undo", "redo"))
    after = say(trail, decision).events
    assert trail.say("undo").events == before
    assert trail.say("redo").events == after


def test_every_action_is_covered_by_the_model():
    modelled = "accept reject relabel move add code remove comment undo redo"
    assert {*modelled.split(), "done"} == set(ACTIONS)
