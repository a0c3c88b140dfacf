"""What other tools say, in the records: markers, other people's codings, whose each video is."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pympi.Elan import Eaf

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

import sqlalchemy as sa

from micromimic.core.errors import (
    ConflictError,
    InputError,
    MicromimicError,
    NotFoundError,
    RefusedError,
)
from micromimic.datasets.assignments import read_assignments
from micromimic.workstation.export.readers import LEAD
from micromimic.workstation.export.recording import export_events
from micromimic.workstation.export.study import study_files
from micromimic.workstation.imports import markers_and_codings
from micromimic.workstation.imports.assignments import (
    assign,
    check_assignments,
)
from micromimic.workstation.imports.markers_and_codings import (
    import_coding,
    import_markers,
    kept_tiers,
)
from micromimic.workstation.project.file import gather_project
from micromimic.workstation.records import markers, people, privacy, recordings, reviews, study
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.folder import IMPORTED
from micromimic.workstation.records.review import FrameTimes
from micromimic.workstation.records.scheme import BUILT_IN

from .. import boris_files as boris
from ..store_samples import NO, YES, add_recording, add_session, analysed, opened
from .test_export import put as put_recording, sample
from .test_imports_read import eaf, elan

pytestmark = pytest.mark.needs("web")

Put = Callable[[str, str], Path]


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.needs("web"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request, tmp_path) as found:
        yield found


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content)
        return path

    return write


def rows(store: Store, recording_id: str) -> list[tuple[str, str, float, float]]:
    return [
        (m.tier, m.label, m.onset_s, m.offset_s) for m in markers.list_markers(store, recording_id)
    ]


def coded(store: Store, recording_id: str, coder: str) -> list[tuple[str, int, int, int, str]]:
    return [
        (e.label, e.onset_frame, e.apex_frame, e.offset_frame, e.note)
        for e in reviews.get_review(store, recording_id, coder, whole=True).events
        if e.machine is None
    ]


def exportable(store: Store, session_id: str | None = None) -> str:
    """A recording whose answer has all that an export needs."""
    _, payload, review = sample()
    return str(put_recording(store, payload, review, session_id=session_id, name="interview.mp4"))


def everything(store: Store) -> Any:
    """All that an import could have changed."""
    listed = recordings.list_recordings(store, limit=None)
    return (
        [(r.id, r.session_id, r.coders, rows(store, r.id)) for r in listed],
        [(s.code, s.sessions) for s in people.list_subjects(store)],
        [(s.title, s.condition, s.held_on) for s in people.list_sessions(store)],
        sorted(p.name for p in store.data.rglob(IMPORTED)),
    )


# ---- markers -----------------------------------------------------------------------------------

TRIALS = "onset_s,offset_s,label,tier\n0.5,1.5,film 1,trial\n2,,cue,trigger\n"


def test_markers_come_in_and_the_same_file_takes_its_own_place(store: Store, put: Put) -> None:
    recording = analysed(store)
    (done,) = import_markers(store, put("t.csv", TRIALS), recording_id=recording)
    assert (done.count, done.tiers) == (2, ("trial", "trigger"))
    assert rows(store, recording) == [("trial", "film 1", 0.5, 1.5), ("trigger", "cue", 2.0, 2.0)]
    assert {m.origin for m in markers.list_markers(store, recording)} == {"t.csv"}
    import_markers(store, put("other.csv", TRIALS), recording_id=recording, tiers=["trigger"])
    import_markers(store, put("t.csv", TRIALS.replace("film 1", "film 2")), recording_id=recording)
    assert [row[1] for row in rows(store, recording)] == ["film 2", "cue", "cue"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("f.csv", "onset_frame,apex_frame,offset_frame,label\n5,6,999999,x\n",
         "expected frames of"),
        ("n.eaf", eaf(-500).replace('"500"', '"-900"').replace('"lost"', '""'),
         "expected times within"),
    ],
)  # fmt: skip
def test_what_lies_outside_the_recording_is_a_line(
    store: Store, put: Put, name: str, content: str, line: str
) -> None:
    recording = analysed(store)
    with pytest.raises(InputError, match=line):
        import_markers(
            store,
            put(name, content),
            recording_id=recording,
            tiers=["t"] if name.endswith("eaf") else [],
            any_media=True,
        )
    assert rows(store, recording) == []


def test_frames_alone_are_no_time_before_the_answer(store: Store, put: Put) -> None:
    recording = add_recording(store).id
    table = "onset_frame,apex_frame,offset_frame,label\n5,6,9,x\n"
    with pytest.raises(NotFoundError, match="wait for its analysis"):
        import_markers(store, put("f.csv", table), recording_id=recording)
    assert rows(store, recording) == []


def test_a_file_finds_its_recordings_by_the_names_of_their_videos(store: Store, put: Put) -> None:
    first, second = analysed(store, name="P01.mp4"), analysed(store, name="P02.mov")
    table = "video,onset_s,label\nP01/p01.avi,1,a\nP02.mp4,2,b\n"
    done = import_markers(store, put("t.csv", table))
    assert [item.recording_id for item in done] == [first, second]
    assert rows(store, second) == [("markers", "b", 2.0, 2.0)]


def test_a_table_of_many_recordings_looks_at_each_of_their_names_once(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    real = markers_and_codings.file_name
    monkeypatch.setattr(
        markers_and_codings, "file_name", lambda path: looked.append(path) or real(path)
    )
    for number in range(20):
        add_recording(store, name=f"P{number}.mp4")
    lines = "".join(f"P{number}.mov,1,a\n" for number in range(20))
    assert len(import_markers(store, put("t.csv", f"video,onset_s,label\n{lines}"))) == 20
    assert len(looked) <= 40


def test_boris_gives_the_same_markers_from_its_project_and_its_tables(
    store: Store, put: Put
) -> None:
    recording = analysed(store)
    files = {
        "a.boris": boris.project({"o 1": boris.observation(boris.EVENTS)}),
        "single.csv": boris.single_events(),
        "aggregated.csv": boris.aggregated_events(),
        "old.csv": boris.old_events(),
    }
    wanted = [
        (tier, f"{label} ({modifiers})" if modifiers else label, onset, offset)
        for tier, label, onset, offset, modifiers, _ in boris.SEEN
    ]
    for name, text in files.items():
        import_markers(store, put(name, text), recording_id=recording)
        assert rows(store, recording) == wanted, name
        markers.remove_markers(store, recording, name)


def test_times_of_a_player_become_those_of_the_analysis(store: Store, put: Put) -> None:
    """A video that begins late: its player starts at 1 s, or the analysis does."""
    from micromimic.workstation.records import jobs

    from ..store_samples import answer, claimed

    recording = add_recording(store)
    given = answer()
    given["review"]["media"] = {"fps": 100.0, "start_s": 1.0, "frame_times": None}
    jobs.finish_job(store, claimed(store).id, **given)
    table = "onset_s,offset_s,label\n3,4,film\n0.5,0.5,before\n"
    import_markers(store, put("t.csv", table), recording_id=recording.id)
    # At 3 s the player shows frame 200, which the analysis has at 1 s.
    assert rows(store, recording.id) == [
        ("markers", "before", 0.0, 0.0),
        ("markers", "film", 1.0, 1.5),
    ]
    coding = put("c.csv", table.replace("film", "surprise").replace("before", "negative"))
    import_coding(store, coding, coder="lee", recording_id=recording.id)
    assert [row[:4] for row in coded(store, recording.id, "lee")][1] == ("surprise", 200, 250, 300)


# ---- ELAN, there and back ----------------------------------------------------------------------


def test_elan_tiers_come_back_in_the_next_export_and_survive_expiry_but_not_forgetting(
    store: Store, tmp_path: Path
) -> None:
    session = add_session(store, "P1")
    recording = exportable(store, session)
    source = elan(tmp_path / "trials.eaf")
    with pytest.raises(InputError, match="got gaze under others; name those to import"):
        import_markers(store, source, recording_id=recording)
    assert kept_tiers(store, recording) is None
    (done,) = import_markers(store, source, recording_id=recording, tiers=["trial", "blink"])
    assert (done.count, done.recording) == (3, "interview.mp4")
    assert os.name != "posix" or not (store.folder(recording) / IMPORTED).stat().st_mode & 0o077
    (tmp_path / "out.eaf").write_bytes(export_events(store, recording, format="eaf"))
    found, before = Eaf(str(tmp_path / "out.eaf")), Eaf(str(source))
    for name in ("trial", "gaze"):
        assert found.get_annotation_data_for_tier(name) == before.get_annotation_data_for_tier(name)
    assert found.get_annotation_data_for_tier("blink (imported)") == [(1000, 1250, "hard blink")]
    assert "micro-expression" in found.get_tier_names()
    # And once more, from our own file: what is ours is not taken for somebody else's.
    import_markers(store, tmp_path / "out.eaf", recording_id=recording, tiers=["trial"])
    (tmp_path / "again.eaf").write_bytes(export_events(store, recording, format="eaf"))
    assert set(Eaf(str(tmp_path / "again.eaf")).get_tier_names()) == set(found.get_tier_names())
    recordings.change_recording(store, recording, expires_at=store.clock())
    assert privacy.expire(store) == [recording]
    assert kept_tiers(store, recording) is not None
    assert privacy.sweep(store) == 0
    privacy.forget_subject(store, "P1")
    assert list(store.data.rglob(IMPORTED)) == []


@pytest.mark.parametrize("again", [False, True])
def test_what_the_database_does_not_keep_leaves_the_tiers_as_they_were(
    store: Store, tmp_path: Path, again: bool
) -> None:
    recording = exportable(store)
    source = elan(tmp_path / "trials.eaf", nested=False)
    if again:
        import_markers(store, source, recording_id=recording)
        source.write_text(source.read_text().replace("film", "play"))
    before = kept_tiers(store, recording), rows(store, recording)

    def full(_: object) -> None:
        raise OSError("no space left on the disk")

    sa.event.listen(store.writer, "commit", full)
    with pytest.raises(OSError, match="no space left"):
        import_markers(store, source, recording_id=recording)
    sa.event.remove(store.writer, "commit", full)
    assert (kept_tiers(store, recording), rows(store, recording)) == before


def test_markers_that_came_from_elsewhere_are_tiers_of_the_elan_file(
    store: Store, put: Put, tmp_path: Path
) -> None:
    recording = exportable(store)
    import_markers(store, put("t.csv", TRIALS), recording_id=recording)
    (tmp_path / "out.eaf").write_bytes(export_events(store, recording, format="eaf"))
    found = Eaf(str(tmp_path / "out.eaf"))
    assert found.get_annotation_data_for_tier("trial") == [(500, 1500, "film 1")]
    assert found.get_annotation_data_for_tier("trigger") == [(2000, 2001, "cue")]


def test_a_long_label_is_cut_and_one_may_be_empty(store: Store, tmp_path: Path) -> None:
    recording = exportable(store)
    document = Eaf(author="somebody")
    document.remove_tier("default")
    document.add_tier("said")
    document.add_annotation("said", 100, 900, "well " * 80)
    document.add_annotation("said", 900, 1000, "")
    document.to_file(str(tmp_path / "a.eaf"))
    (done,) = import_markers(store, tmp_path / "a.eaf", recording_id=recording, any_media=True)
    assert done.note == "1 label cut to 255 characters"
    assert [len(row[1]) for row in rows(store, recording)] == [255, 0]
    (tmp_path / "out.eaf").write_bytes(export_events(store, recording, format="eaf"))
    (whole, _) = Eaf(str(tmp_path / "out.eaf")).get_annotation_data_for_tier("said")
    assert whole[2].split() == ["well"] * 80


# ---- codings -----------------------------------------------------------------------------------


def test_a_coding_is_a_coder_s_and_done_with_apexes_told_from_made_up_ones(
    store: Store, put: Put
) -> None:
    recording = analysed(store)
    table = "onset_s,apex_s,offset_s,label,note\n1,1.1,1.4,Surprise,sure\n2,,2.2,negative,\n"
    (done,) = import_coding(store, put("c.csv", table), coder="lee", recording_id=recording)
    assert (done.count, done.note) == (2, "1 without an apex: the middle was taken")
    assert coded(store, recording, "lee") == [
        ("surprise", 200, 220, 280, "sure"),
        ("negative", 400, 420, 440, "apex not coded: the middle"),
    ]
    review = reviews.get_review(store, recording, "lee", whole=True)
    assert review.done
    assert {d.mode for d in reviews.history(store, recording, "lee")} == {"imported"}
    with pytest.raises(ConflictError, match="lee"):
        import_coding(store, put("c.csv", table), coder="lee", recording_id=recording)


def test_boris_codes_become_classes_by_name(store: Store, put: Put) -> None:
    recording = analysed(store)
    text = boris.project({"o 1": boris.observation(boris.EVENTS)})
    classes = {"smile": "positive", "look away": "negative"}
    with pytest.raises(InputError, match="expected a class among .*, got 'smile' .*--label"):
        import_coding(store, put("a.boris", text), coder="lee", recording_id=recording,
                      tiers=["mouth"])  # fmt: skip
    import_coding(
        store, put("a.boris", text), coder="lee", recording_id=recording, classes=classes,
        tiers=["child - mouth", "mouth"],
    )  # fmt: skip
    assert coded(store, recording, "lee") == [
        ("positive", 200, 300, 400, "apex not coded: the middle; left; shy"),
        ("positive", 600, 675, 750, "apex not coded: the middle"),
    ]


@pytest.mark.parametrize("kind", ["csv", "eaf", "boris"])
def test_what_we_export_of_a_coder_comes_in_as_it_was(
    store: Store, tmp_path: Path, kind: Any
) -> None:
    recording, other = exportable(store), exportable(store)
    study.change_study(store, scheme=BUILT_IN["three"].to_dict())
    events = ((0, "positive", 300), (1, "surprise", 500), (2, "surprise", 520))  # two overlap
    units = [{"au": 12, "side": "left", "intensity": "C"}, {"au": 6, "side": "", "intensity": ""}]
    for number, label, onset in events:
        reviews.decide(
            store, recording, coder="kim", expected=number, action="add", label=label,
            onset_frame=onset, apex_frame=onset + 10, offset_frame=onset + 40,
            **({"units": units, "note": "at last"} if number == 0 else {}),
        )  # fmt: skip
    reviews.decide(store, recording, coder="kim", expected=3, action="reject", event="m0")
    path = tmp_path / f"kim.{kind}"
    path.write_bytes(export_events(store, recording, coder="kim", format=kind))
    import_coding(store, path, coder="kim", recording_id=other)
    before, after = (coded(store, place, "kim") for place in (recording, other))
    if kind == "boris":  # which has modifiers for units, and nothing that tells them from others
        after[0] = (*after[0][:-1], after[0][-1].removeprefix("L12C, 6; "))
        after[2] = (*after[2][:-1], after[2][-1].removeprefix("at once 2"))
    assert after == before
    seen = [e.units for e in reviews.get_review(store, other, "kim", whole=True).events if e.units]
    assert [list(found) for found in seen] == ([] if kind == "boris" else [units])


def test_boris_gets_back_what_it_brought(store: Store, put: Put, tmp_path: Path) -> None:
    """Markers of its project come in, go out as a project, and read the same."""
    recording = exportable(store)
    first = put("a.boris", boris.project({"o 1": boris.observation(boris.EVENTS)}))
    import_markers(store, first, recording_id=recording)
    brought = rows(store, recording)
    path = tmp_path / "out.boris"
    path.write_bytes(export_events(store, recording, format="boris"))
    project = json.loads(path.read_text())
    assert set(json.loads(first.read_text())) <= set(project)
    (observation,) = project["observations"].values()
    assert observation["file"]["1"] == ["interview.mp4"]
    kinds = {b["code"]: b["type"] for b in project["behaviors_conf"].values()}
    assert kinds["look away"] == "Point event" and kinds["positive"] == "State event"
    assert all(len(event) == 6 and event[2] in kinds for event in observation["events"])
    markers.remove_markers(store, recording, "a.boris")
    import_markers(store, path, recording_id=recording, tiers=["child - mouth", "BORIS", "mouth"])
    assert [(tier, label, *times) for tier, label, *times in rows(store, recording)] == [
        tuple(row) for row in brought
    ]


def test_a_coding_that_was_imported_is_not_shown_before_the_own_review_is_done(
    store: Store, tmp_path: Path
) -> None:
    recording = exportable(store)
    source = elan(tmp_path / "lee.eaf", nested=False)
    source.write_text(source.read_text().replace("hard blink", "positive"))
    import_coding(store, source, coder="lee", recording_id=recording, tiers=["blink"])

    def shown(reader: str) -> tuple[bool, bool]:
        text = export_events(store, recording, coder=reader, format="eaf").decode()
        packed = gather_project(store, reader=f" {reader} ")
        return "blink (imported)" in text, f"recordings/{recording}/{IMPORTED}" in packed.files

    assert (shown("lee"), shown("kim")) == ((True, True), (False, False))
    for event in reviews.get_review(store, recording, "kim").events:
        number = reviews.get_review(store, recording, "kim").number
        reviews.decide(
            store, recording, coder="kim", expected=number, action="accept", event=event.key
        )
    number = reviews.get_review(store, recording, "kim").number
    assert shown("kim") == (False, False)
    reviews.decide(store, recording, coder="kim", expected=number, action="done")
    assert shown("kim") == (True, True)


def test_a_study_s_own_table_brings_units_certainty_and_tags_back(
    store: Store, tmp_path: Path
) -> None:
    recording = exportable(store)
    scheme = {**BUILT_IN["three"].to_dict(), "tags": ["posed", "masked"]}
    study.change_study(store, scheme=scheme)
    units = [{"au": 12, "side": "left", "intensity": "C"}, {"au": 6, "side": "", "intensity": ""}]
    reviews.decide(
        store, recording, coder="kim", expected=0, action="add", label="positive", units=units,
        certainty="probable", tags=["posed", "masked"], note="at last",
        onset_frame=300, apex_frame=310, offset_frame=340,
    )  # fmt: skip
    other = exportable(store)
    recordings.change_recording(store, other, name="other.mp4")
    path = tmp_path / "events.csv"
    path.write_text(study_files(store, LEAD)["events.csv"])
    with pytest.raises(ConflictError):  # kim has decided on the first
        import_coding(store, path, coder="kim")
    path.write_text(path.read_text().replace("interview.mp4", "other.mp4"))
    (done,) = import_coding(store, path, coder="kim", recording_id=other)
    assert done.count == 1
    (before,), (after,) = (
        [e for e in reviews.get_review(store, r, "kim", whole=True).events if e.machine is None]
        for r in (recording, other)
    )
    for name in ("label", "onset_frame", "apex_frame", "units", "certainty", "tags", "note"):
        assert getattr(after, name) == getattr(before, name), name


def test_the_frame_nearest_in_time_is_taken_where_times_are_irregular() -> None:
    times = FrameTimes(4, 10.0, 0.0, [0.0, 0.1, 0.5, 0.6])
    assert [times.nearest(t) for t in (-1.0, 0.29, 0.31, 0.56, 9.0)] == [0, 1, 2, 3, 3]
    assert [FrameTimes(4, 10.0, 1.0).nearest(t) for t in (0.0, 1.14, 1.16, 9.0)] == [0, 1, 2, 3]


# ---- bad input: a line each, nothing changed ----------------------------------------------------

LATE = "onset_s,label\n1,positive\n7,positive\n"
FRAMED = (
    "onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,label\n"
    "1,1.1,1.2,25,27,30,positive\n"
)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("late.csv", LATE, "expected times within interview.mp4, which ends at 4.995 s, got 7.000"),
        ("framed.csv", FRAMED, "expected frame 25 at 0.125 s, as in interview.mp4, got 1.000 s"),
        ("two.csv", "video,onset_s,label\nother.mp4,1,positive\n",
         "expected a file on interview.mp4, got one on other.mp4; choose the recording"),
        ("b.boris", boris.project({"o 1": boris.observation([], fps=25.0)}),
         "expected 200 frames a second, as interview.mp4 has, got 25 in observation o 1 of "),
        ("c.boris", boris.project({"a": boris.observation([]), "b": boris.observation([])}),
         "expected one part on interview.mp4, got 2 (observation a of c.boris, observation b"),
        ("tiers.csv", TRIALS, "expected the tiers that hold the coding of tiers.csv, got none"),
        ("class.csv", "onset_s,label\n1,grin\n", "expected a class among negative, positive, surp"),
    ],
)  # fmt: skip
def test_a_coding_that_does_not_fit_changes_nothing(
    store: Store, put: Put, name: str, text: str, line: str
) -> None:
    recording = analysed(store)
    before = everything(store)
    with pytest.raises(InputError) as caught:
        import_coding(store, put(name, text), coder="lee", recording_id=recording)
    assert str(caught.value).startswith(line), str(caught.value)
    assert "\n" not in str(caught.value)
    assert everything(store) == before


def pal(path: Path) -> Path:
    """An ELAN file that counts 25 frames a second."""
    text = elan(path, nested=False).read_text()
    path.write_text(text.replace("<HEADER", '<HEADER TIME_UNITS="PAL-frames"', 1))
    return path


def late(path: Path) -> Path:
    """One of a longer video."""
    path.write_text(elan(path, nested=False).read_text().replace("9000", "90000"))
    return path


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda p: elan(p, nested=False, media="other.mp4"),
         "expected a file on interview.mp4, got one on other.mp4, voice.wav; choose the recording"),
        (pal, "expected 200 frames a second, as interview.mp4 has, got 25 in a.eaf"),
        (late, "expected times within interview.mp4, which ends at 4.995 s, got 90.000 s"),
        (elan, "expected tiers with times of their own in a.eaf, got gaze under others; name"),
    ],
)  # fmt: skip
def test_an_elan_file_that_does_not_fit_changes_nothing(
    store: Store, tmp_path: Path, make: Callable[[Path], Path], line: str
) -> None:
    recording = analysed(store)
    before = everything(store)
    with pytest.raises(InputError) as caught:
        import_markers(store, make(tmp_path / "a.eaf"), recording_id=recording)
    assert str(caught.value).startswith(line), str(caught.value)
    assert everything(store) == before


def test_an_elan_file_under_another_name_is_taken_when_asked_for(
    store: Store, put: Put, tmp_path: Path
) -> None:
    recording = analysed(store)
    path = elan(tmp_path / "a.eaf", nested=False, media="other.mp4")
    path.write_text(path.read_text().replace("9000", "4500"))
    import_markers(store, path, recording_id=recording, any_media=True)
    assert len(rows(store, recording)) == 3


def test_one_video_that_does_not_fit_keeps_the_others_of_the_file_out(
    store: Store, put: Put
) -> None:
    analysed(store, name="P01.mp4")
    before = everything(store)
    for table, line in (
        ("video,onset_s,label\nP01.mp4,1,a\nP02.mp4,1,b\n",
         "expected one recording called P02.mp4 (t.csv), got none; upload it first"),
        ("onset_s,label\n1,a\n", "expected a video named in t.csv, got none; name the recording"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            import_markers(store, put("t.csv", table))
        assert str(caught.value).startswith(line), str(caught.value)
        assert everything(store) == before
    analysed(store, name="P01.avi")
    with pytest.raises(InputError, match="expected one recording called P01.mp4 .*, got 2 of that"):
        import_markers(store, put("t.csv", "video,onset_s,label\nP01.mp4,1,a\n"))


# ---- the table that says whose each video is ----------------------------------------------------

TABLE = (
    "video,subject,session,condition,date\n"
    "a.mp4,P1,first,control,2024-05-01\n"
    "b.mp4,P2,intake,stress,20.11.2026\n"
    "s/c.mp4,P2,intake,,\n"
)


def test_a_table_gives_each_video_its_session_and_makes_what_lacks(store: Store, put: Put) -> None:
    known = add_session(store, "P1")
    a, b = (analysed(store, name=f"{name}.mp4") for name in "ab")
    table = read_assignments(put("t.csv", TABLE))
    coming = ["study/s/c.mp4", "study/t/c.mp4"]
    checked = check_assignments(store, table, coming, new_subjects=True)
    assert [(c.state, c.session_id, c.subject_known) for c in checked] == [
        ("there", known, True), ("there", None, False), ("coming", None, False)]  # fmt: skip
    done = assign(store, table, coming, consent=YES, new_subjects=True)
    listed = {r.id: r for r in recordings.list_recordings(store)}
    assert [listed[a].session_id, listed[b].session_id] == [known, done[1].session_id]
    assert done[1].session_id == done[2].session_id and done[2].name == "study/s/c.mp4"
    made = people.get_session(store, str(done[1].session_id))
    assert (made.subject_code, made.title, made.condition, made.held_on) == (
        "P2", "intake", "stress", date(2026, 11, 20))  # fmt: skip
    assert made.consent.given
    assert people.get_session(store, known).condition == "control"
    again = assign(store, table, coming)  # everything is there now: no consent is asked for
    assert [row.session_id for row in again] == [row.session_id for row in done]


def test_a_table_written_from_the_records_reads_as_they_are(store: Store, put: Put) -> None:
    from micromimic.workstation.imports.assignments import assignment_table

    session = add_session(store, "P1")
    people.change_session(store, session, condition="control")
    recording = add_recording(store, session, name="a, 1.mp4")
    add_recording(store, name="b.mp4")  # nobody's
    text = assignment_table(store)
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"video": "a, 1.mp4", "subject": "P1", "session": "first", "condition": "control",
         "date": "2024-05-01"}
    ]  # fmt: skip
    other = add_session(store, "P2")
    recordings.change_recording(store, recording.id, session_id=other)
    assign(store, read_assignments(put("t.csv", text)))
    assert recordings.get_recording(store, recording.id).session_id == session


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        (TABLE, InputError, "expected subjects that are known, got P2 (line 3); add them first"),
        ("video,subject,session\nx/a.mp4,P1,first\ny/a.mp4,P1,other\n", InputError,
         "expected one row for a.mp4, got lines 2 and 3; remove one"),
        ("video,subject,session\nc.mp4,P1,first\ns/c.mp4,P1,first\n", InputError,
         "expected one video called c.mp4 (line 2), got 2 of that name"),
        ("video,subject\nz.mp4,P1\n", InputError,
         "expected one video called z.mp4 (line 2), got none; correct the name, or upload it"),
        ("video,subject\nc.mp4,P1\n", InputError,
         "expected one video called c.mp4 (line 2), got 2 of that name; write more of its path"),
        ("video,subject,session,condition\na.mp4,P1,first,stress\n", ConflictError,
         "expected condition control for P1, first as noted, got stress (line 2); change"),
        ("video,subject,session\na.mp4,P1,second\n", InputError,
         "expected a date for the new session 'second' of P1 (line 2), got none; fill it in"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_changes_nothing(
    store: Store, put: Put, text: str, kind: type[MicromimicError], line: str
) -> None:
    session = add_session(store, "P1")
    people.change_session(store, session, condition="control")
    analysed(store, name="a.mp4")
    before = everything(store)
    with pytest.raises(kind) as caught:
        assign(store, read_assignments(put("t.csv", text)), ["s/c.mp4", "t/c.mp4"], consent=YES)
    assert str(caught.value).startswith(line), str(caught.value)
    assert everything(store) == before


def test_an_accent_is_one_sign_or_two(store: Store, put: Put) -> None:
    session = add_session(store, "P1")
    recording = analysed(store, name="Zoe\u0301.mp4")
    line = "video,subject,session\nzo\u00e9.mp4,P1,first\n"
    (row,) = assign(store, read_assignments(put("t.csv", line)))
    assert (row.recording_id, row.session_id) == (recording, session)
    (done,) = import_markers(store, put("m.csv", "video,onset_s,label\nzo\u00e9.mov,1,a\n"))
    assert done.recording_id == recording


def test_a_table_of_many_videos_looks_at_each_of_them_once(
    store: Store, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micromimic.workstation.imports import assignments

    looked: list[str] = []
    real = assignments.file_name
    monkeypatch.setattr(assignments, "file_name", lambda path: looked.append(path) or real(path))
    lines = "".join(f"d{n}/v{n}.mp4,P{n % 9},s,,2026-11-20\n" for n in range(300))
    table = read_assignments(put("t.csv", "video,subject,session,condition,date\n" + lines))
    coming = [f"x/d{n}/v{n}.mp4" for n in range(300)]
    found = check_assignments(store, table, coming, new_subjects=True)
    assert [item.name for item in found] == coming
    assert len(looked) <= 600


def test_new_sessions_need_consent(store: Store, put: Put) -> None:
    analysed(store, name="a.mp4")
    table = read_assignments(put("t.csv", "video,subject,date\na.mp4,P9,2026-11-20\n"))
    before = everything(store)
    for consent in (None, NO):
        with pytest.raises(RefusedError, match="expected the consent of the person filmed"):
            assign(store, table, consent=consent, new_subjects=True)
    assert everything(store) == before
