"""A whole study taken away: tables for statistics, whole for its lead, blind for its coders."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("sqlalchemy")
pytest.importorskip("pandas")

import pandas as pd

from micromimic.analysis.track_file import TrackTable
from micromimic.cli.main import main
from micromimic.core.canonical import scale_of
from micromimic.core.errors import ConflictError
from micromimic.core.labels import CELLS
from micromimic.core.results import STATED_UNITS
from micromimic.core.types import Interval
from micromimic.evaluation.agreement import CodedEvent
from micromimic.motion.spotting.dense.measure import UNITS_SEEN
from micromimic.workstation.export.agreement import (
    Coded,
    CodedOne,
    coded_study,
    compare,
    conditions_of,
    marker_tiers,
)
from micromimic.workstation.export.agreement_figure import agreement_svg
from micromimic.workstation.export.codebook import FILES, FRAMES, columns_of
from micromimic.workstation.export.frames import frame_columns
from micromimic.workstation.export.readers import LEAD, MACHINE, Reader
from micromimic.workstation.export.study import _spss, cell, study_entries, study_files
from micromimic.workstation.records import markers, people, reviews
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.study import change_study

from ..store_samples import add_recording
from .test_export import YES, put, sample, say

pytestmark = pytest.mark.needs("web")

SCHEME = {
    "schema": "micromimic.scheme/1",
    "name": "mine",
    "classes": [{"name": name} for name in ("negative", "positive", "surprise", "pain")],
    "units": True,
    "sides": True,
    "intensities": True,
    "certainty": ["guess", "certain"],
    "tags": ["posed", "masked smile"],
}


def finish(store, recording_id, coder):
    for event in reviews.get_review(store, recording_id, coder, whole=True).events:
        if event.status == "pending" and event.kind == "micro":
            say(store, recording_id, coder, "reject", event.key)
    say(store, recording_id, coder, "done")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two people in two conditions, a recording of nobody without events, one not analysed: kim
    has done four of them, lee one and a half."""
    folder = tmp_path_factory.mktemp("study")
    _, payload, review = sample()
    nothing = {**payload, "events": []}
    with open_store(folder / "data") as store:
        change_study(store, title="Tension", scheme=SCHEME)
        ids = {}
        for code in ("006", "P2"):
            person = people.add_subject(store, code)
            for k, condition in enumerate(("control", "stress")):
                session = people.add_session(
                    store, person.id, title=f"week {k}", held_on=date(2026, 3, 1 + k), consent=YES,
                    condition=condition,
                )  # fmt: skip
                name = f"{code} {condition}.mp4"
                ids[f"{code} {condition}"] = put(
                    store, payload, review, session_id=session.id, name=name
                )
        ids["empty"] = put(store, nothing, {**review, "blinks": []}, name="=1+1, nobody.mp4")
        ids["waiting"] = add_recording(store).id
        first = ids["006 control"]
        markers.add_markers(
            store,
            first,
            [
                {"tier": "stimulus", "label": "film", "onset_s": 4.0, "offset_s": 30.0},
                {"tier": "trial", "label": "2", "onset_s": 13.0},
            ],
            origin="log.csv",
        )
        say(
            store,
            first,
            "kim",
            "accept",
            "m0",
            label="pain",
            units=[{"au": 12, "side": "left", "intensity": "C"}, {"au": 4}],
            certainty="guess",
            tags=["posed", "masked smile"],
            note="eyes too,\nperhaps",
        )
        say(store, first, "kim", "move", "m1", onset_frame=2790, offset_frame=2850)
        say(store, first, "kim", "reject", "m2")
        say(store, first, "kim", "undo")
        say(
            store,
            first,
            "kim",
            "add",
            label="surprise",
            onset_frame=9200,
            apex_frame=9220,
            offset_frame=9260,
        )
        for name in ("006 control", "006 stress", "P2 control", "empty"):
            finish(store, ids[name], "kim")
        say(store, first, "lee", "accept", "m0", note="for lee alone")
        finish(store, first, "lee")
        say(store, ids["006 stress"], "lee", "relabel", "m0", label="surprise", note="lee's secret")
        yield SimpleNamespace(
            store=store, ids=ids, files=study_files(store, LEAD), data=folder / "data"
        )


def table(files, name, **how):
    return pd.read_csv(io.StringIO(files[name]), dtype={"subject": str}, **how)


def test_every_column_is_in_the_codebook_and_every_file_reads_in_one_line(study):
    book = table(study.files, "codebook.csv")
    assert list(book.columns) == ["file", "column", "type", "unit", "meaning"]
    for name in FILES:
        found = table(study.files, name)
        assert list(found.columns) == book.column[book.file == name].tolist()
        assert len(found.columns) == len(set(found.columns)) and len(found)
        for column in book[book.file == name].itertuples():
            values = found[column.column].dropna()
            if column.type in ("whole", "number", "flag") and len(values):
                assert pd.api.types.is_numeric_dtype(values), (name, column.column)
            if column.type == "flag":
                assert set(values) <= {0, 1}
    assert set(book.file) == {*FILES, FRAMES}
    assert set(book.type) == {"text", "whole", "number", "flag", "date", "moment"}
    assert (
        f"{STATED_UNITS:g} canonical units" in book.set_index("column").meaning["findable_eyes_s"]
    )


def test_an_event_has_a_row_for_each_coder_and_for_the_machine(study):
    events = table(study.files, "events.csv")
    mine = events[events.recording_id == study.ids["006 control"]].set_index(["coder", "event"])
    assert events.groupby("coder").size().to_dict() == {"kim": 19, "lee": 12, "machine": 24}
    kim = mine.loc["kim"]
    assert kim.status.to_dict() == {
        "m0": "accepted", "m1": "accepted", "m2": "rejected", "m3": "rejected", "m4": "rejected",
        "c5": "accepted", "m5": "rejected",
    }  # fmt: skip
    first = kim.loc["m0"]
    assert (first.subject, first.session, first.condition, first.session_date) == (
        "006", "week 0", "control", "2026-03-01",
    )  # fmt: skip
    assert (first.label, first.machine_label, first.machine_probability) == (
        "pain",
        "positive",
        0.9,
    )
    assert (first.units, first.machine_units) == ("L12C+4", "L12+6")
    assert (first.certainty, first.tags) == ("guess", "posed;masked smile")
    assert first.note == "eyes too, perhaps"  # no line breaks: SPSS reads line by line
    assert (first["mode"], first.changed, first.review_done) == ("open", 1, 1)
    moved = kim.loc["m1"]
    assert (moved.onset_frame, moved.onset_s, moved.machine_onset_frame) == (2790, 13.95, 2780)
    assert moved.duration_s == pytest.approx(0.3)
    added = kim.loc["c5"]
    assert pd.isna(added.machine_label) and pd.isna(added.machine_onset_s)
    assert mine.loc["machine"].status.unique().tolist() == ["found"]


def test_time_runs_since_the_last_marker(study):
    events = table(study.files, "events.csv")
    mine = events[(events.recording_id == study.ids["006 control"]) & (events.coder == "machine")]
    rows = mine.set_index("event")
    assert rows.marker.tolist()[:3] == ["film", "2", "2"]
    assert rows.time_since_marker_s.tolist()[:3] == pytest.approx([0.21, 0.9, 8.005])
    assert rows.markers_here.tolist()[:4] == ["stimulus=film"] * 3 + [
        pytest.approx(float("nan"), nan_ok=True)
    ]
    others = events[events.recording_id == study.ids["P2 stress"]]
    assert others.marker.isna().all() and others.time_since_marker_s.isna().all()
    found = table(study.files, "markers.csv")
    assert found[["tier", "label", "onset_s", "offset_s"]].values.tolist() == [
        ["stimulus", "film", 4.0, 30.0], ["trial", "2", 13.0, 13.0],
    ]  # fmt: skip


def test_a_recording_has_a_row_also_where_nothing_was_found_or_nobody_began(study):
    rows = table(study.files, "recordings.csv").set_index(["recording_id", "coder"])
    assert len(rows) == 6 * 3
    kim = rows.loc[(study.ids["006 control"], "kim")]
    assert (kim.events, kim.added, kim.rejected, kim.pending) == (3, 1, 4, 0)
    assert (kim.events_pain, kim.events_surprise, kim.events_positive) == (1, 1, 0)
    assert kim.events_per_minute == pytest.approx(60 * 3 / kim.observed_s, abs=1e-6)
    assert kim["mode"] == "open" and kim.blinks == 8 and kim.held_back == 13
    assert pd.isna(kim.person) and kim.other_people == 1
    empty = rows.loc[(study.ids["empty"], "kim")]
    assert (empty.done, empty.events, empty.events_per_minute, empty.blinks) == (1, 0, 0, 0)
    assert empty.recording == "'=1+1, nobody.mp4"  # no formula
    # begun is not done, and not begun is not none found
    begun = rows.loc[(study.ids["006 stress"], "lee")]
    assert (begun.begun, begun.done, begun.pending) == (1, 0, 5) and pd.isna(begun.events)
    unseen = rows.loc[(study.ids["P2 stress"], "kim")]
    assert (unseen.begun, unseen.done) == (0, 0)
    assert pd.isna(unseen.events) and pd.isna(unseen.events_per_minute) and unseen.observed_s > 0
    waiting = rows.loc[study.ids["waiting"]]
    assert waiting.done.eq(0).all() and waiting.analysis.eq("queued").all()
    assert waiting.duration_s.isna().all()


def test_seconds_add_up_and_say_what_could_be_found(study):
    rows = table(study.files, "recordings.csv")
    one = rows[(rows.recording_id == study.ids["P2 control"]) & (rows.coder == "machine")].iloc[0]
    closed = sum(
        one[name] for name in rows if name.startswith("not_judged_") and pd.notna(one[name])
    )
    assert closed + one.observed_s == pytest.approx(one.duration_s, abs=0.01)
    limits = sample()[1]["limits"]
    for region, limit in limits.items():
        assert one[f"findable_{region}_s"] == pytest.approx(limit["seconds"])


def test_the_trail_is_whole_and_says_what_counts(study):
    trail = table(study.files, "decisions.csv")
    kim = trail[(trail.recording_id == study.ids["006 control"]) & (trail.coder == "kim")]
    assert kim.action.tolist()[:5] == ["accept", "move", "reject", "undo", "add"]
    assert kim.number.tolist() == list(range(1, len(kim) + 1))
    assert kim.in_force.tolist()[:5] == [1, 1, 0, 0, 1]
    assert kim.target.tolist()[3] == 3
    assert kim.units.iloc[0] == "L12C+4" and kim.onset_frame.iloc[1] == 2790
    made = reviews.history(study.store, study.ids["006 control"], "kim")
    times = pd.to_datetime(kim.decided_at)
    assert [t.timestamp() for t in times] == [int(d.decided_at.timestamp()) for d in made]


def test_agreement_and_conditions_are_written_as_they_are_computed(study):
    rows = table(study.files, "agreement.csv")
    coded, overlap = coded_study(study.store, LEAD)
    assert overlap == 0.5
    found = compare(coded, "kim", "lee", overlap=overlap)
    pooled = rows[
        (rows["first"] == "kim") & (rows.second == "lee") & (rows.group == "pooled")
    ].iloc[0]
    assert found.recordings == 1 and pooled.candidates == found.rows[0].candidates == 6
    assert pooled.observed == pytest.approx(found.rows[0].observed.value, abs=1e-6)
    assert pooled.anchored == 6
    assert set(zip(rows["first"], rows.second, strict=True)) == {
        ("kim", "lee"),
        ("kim", "machine"),
        ("lee", "machine"),
    }
    rates = table(study.files, "conditions.csv")
    assert set(rates.by) == {"session"}
    kim = rates[(rates.coder == "kim") & (rates.measure == "micro-expressions")]
    assert kim.condition[kim.compared_with.isna()].tolist() == ["control", "stress"]
    control = kim.iloc[0]
    assert (control.subjects, control.recordings, control["count"]) == (2, 2, 3)
    seconds = sample()[1]["indicators"]["observed_s"]["value"]
    assert control.value == pytest.approx((60 * 3 / seconds + 0) / 2, abs=1e-6)
    assert set(rates.coder[rates.measure == "blinks"]) == {"machine"}


def test_agreement_says_which_of_the_machines_classes_the_scheme_lacks():
    def found(label):
        return [CodedEvent("m0", Interval(1.0, 1.1, 1.2), label=label, status="accepted")]

    events = {"kim": found("happiness"), "lee": found("happiness"), MACHINE: found("positive")}
    coded = Coded([CodedOne("1", "a.mp4", "P1", {}, None, events)], ["happiness", "surprise"])
    assert compare(coded, "kim", MACHINE, overlap=0.5).notes[-1].startswith("positive: classes of")
    assert not any("lacks" in note for note in compare(coded, "kim", "lee", overlap=0.5).notes)


def test_rates_can_be_compared_by_stretches_that_markers_name(tmp_path):
    """Six people with a film and a rest in one recording, of which ten seconds are not judged."""
    analysis, payload, review = sample()
    names = ["time", "segment"]
    times, found = np.asarray(analysis.track.times), np.asarray(analysis.track.found)
    curve = np.stack([times, np.where(found, 0, -1)]).astype("<f4")
    shown = {**review, "frames_bin": {"rows": len(times), "columns": names}}
    shown["gated"] = [{"start": 0.0, "end": 9.995, "cause": "head"}]
    with open_store(tmp_path / "data") as store:
        for k in range(6):
            session = people.add_session(
                store, people.add_subject(store, f"P{k}").id, title="", held_on=date(2026, 3, 1),
                consent=YES,
            )  # fmt: skip
            made = put(store, payload, shown, session_id=session.id)
            (store.folder(made) / "frames.bin").write_bytes(curve.tobytes())
            markers.add_markers(
                store,
                made,
                [
                    {"tier": "block", "label": "film", "onset_s": 0.0, "offset_s": 30.0},
                    {"tier": "block", "label": "rest", "onset_s": 30.0, "offset_s": 60.0},
                    {"tier": "cue", "label": "go", "onset_s": 5.0},
                ],
            )
        assert marker_tiers(store) == ["block"]  # a moment is no stretch
        coded, _ = coded_study(store, LEAD)
        film, rest = conditions_of(coded, "micro-expressions", MACHINE, "block").conditions
        own = 0.005 * (found & (times >= 9.9976) & (times < 30)).sum()  # 200 frames a second
        assert film.minutes == pytest.approx(6 * own / 60, rel=1e-3)
        face = 0.005 * (found & (times >= 30)).sum()
        assert rest.minutes == pytest.approx(6 * face / 60, rel=1e-3)
        assert (film.condition, film.count, rest.count) == ("film", 6 * 3, 6 * 3)
        assert film.rate == pytest.approx(60 * 3 / own, rel=1e-3)
        blinks = conditions_of(coded, "blinks", MACHINE, "block").conditions
        assert [row.count for row in blinks] == [6 * 4, 6 * 4]
        rows = table(study_files(store, LEAD), "conditions.csv")
        assert set(rows.by) == {"block"}  # no session has a condition
        assert rows[rows.compared_with.notna()].iloc[0].design == "within"


def test_a_coder_is_not_shown_what_others_decided_before_the_own_review_is_done(study):
    files = study_files(study.store, Reader("lee"))
    events = table(files, "events.csv")
    half, done = study.ids["006 stress"], study.ids["006 control"]
    assert set(events.coder[events.recording_id == half]) == {"machine", "lee"}
    assert set(events.coder[events.recording_id == done]) == {"machine", "lee", "kim"}
    trail = table(files, "decisions.csv")
    assert set(trail.coder[trail.recording_id == half]) == {"lee"}
    assert not (trail.recording_id == study.ids["P2 control"]).any()
    rows = table(files, "recordings.csv")
    hidden = rows[(rows.coder == "kim") & (rows.recording_id != done)]
    assert (hidden.begun == 0).all() and hidden.events.isna().all() and hidden.rejected.isna().all()
    assert "Left out: 3 reviews by others" in files["README.txt"]
    stranger = table(study_files(study.store, Reader("ann")), "events.csv")
    assert set(stranger.coder) == {"machine"}
    nobody = table(study_files(study.store, Reader()), "events.csv")
    assert set(nobody.coder[nobody.recording_id == half]) == {"machine"}
    assert set(nobody.coder[nobody.recording_id == done]) == {"machine", "kim", "lee"}


def test_a_blind_study_hides_the_machine_until_the_own_review_is_done(tmp_path):
    _, payload, review = sample()
    with open_store(tmp_path / "data") as store:
        change_study(store, mode="blind")
        made = put(store, payload, review)
        say(
            store,
            made,
            "kim",
            "accept",
            "m1",
            label="surprise",
            onset_frame=2780,
            apex_frame=2804,
            offset_frame=2838,
        )
        with pytest.raises(ConflictError, match="name a reader"):
            study_files(store, Reader())
        files = study_files(store, Reader("kim"))
        events = table(files, "events.csv").set_index("event")
        assert set(events.coder) == {"kim"}
        assert events["mode"].dropna().to_dict() == {"m1": "blind"}
        for key in ("m0", "m2", "m3", "m4", "m5"):  # not even where its window lies
            shown = events.loc[key].dropna()
            assert set(shown.index) == {
                "recording_id",
                "recording",
                "coder",
                "status",
                "review_done",
            }
        assert events.loc["m1"].machine_label == "negative"
        rows = table(files, "recordings.csv").set_index("coder")
        assert pd.isna(rows.events["machine"]) and rows.done["machine"] == 0
        assert rows.held_back.isna().all()
        for name in ("agreement.csv", "conditions.csv"):
            assert table(files, name).empty
        other = study_files(store, Reader("lee"))
        assert table(other, "events.csv").empty
        finish(store, made, "kim")
        after = table(study_files(store, Reader("kim")), "events.csv")
        assert set(after.coder) == {"kim", "machine"} and after.machine_label.notna().all()
        assert table(study_files(store, LEAD), "events.csv").equals(after)


def test_spss_is_told_of_every_column_and_a_width_that_holds_it(study):
    syntax = study.files["read_spss.sps"]
    blocks = re.findall(r"GET DATA .*?DATASET NAME (\w+)\.", syntax, re.S)
    assert [f"{name}.csv" for name in blocks] == list(FILES)
    for name in FILES:
        block = syntax.split(f"/FILE='{name}'")[1].split("DATASET NAME")[0]
        variables = re.findall(r"^  (\S+) (\w+?)(\d+)(?:\.\d)?\.?$", block, re.M)
        rows = list(csv.reader(io.StringIO(study.files[name])))
        assert len(variables) == len(rows[0]) == len({name for name, _, _ in variables})
        for k, (column, kind, width) in enumerate(variables):
            assert re.fullmatch(r"[A-Za-z]\w{0,63}", column)
            if kind == "A":
                assert max(len(row[k].encode()) for row in rows[1:]) <= int(width)


def test_spss_has_a_variable_for_each_of_two_classes_that_its_letters_cannot_tell_apart():
    columns = columns_of("recordings.csv", ["so so", "so_so", "lächeln", "l_cheln", "x" * 64])
    syntax = _spss({"recordings.csv": columns}, {"recordings.csv": []})
    names = [name.casefold() for name in re.findall(r"^  (\S+) ", syntax, re.M)]
    assert len(names) == len(set(names)) == len(columns)
    assert all(len(name) <= 64 for name in names)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r_reads_them_in_one_line(study, tmp_path):
    for name in FILES:
        (tmp_path / name).write_text(study.files[name], encoding="utf-8")
        lines = (
            f'd <- read.csv("{name}", colClasses = c(subject = "character")); cat(nrow(d), ncol(d))'
        )
        done = subprocess.run(
            ["Rscript", "-e", lines], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [str(n) for n in table(study.files, name).shape]


def test_cells_are_plain():
    values = (None, True, 0.1 + 0.2, 3.0, -0.0000001, float("nan"), "a\n b", "=x", 5)
    assert [cell(v) for v in values] == ["", 1, "0.3", "3", "0", "", "a b", "'=x", 5]


def test_nothing_is_a_study_too(tmp_path):
    with open_store(tmp_path / "data") as store:
        files = study_files(store, LEAD)
        for name in FILES:
            assert table(files, name).empty
        assert len(table(files, "recordings.csv").columns) == len(columns_of("recordings.csv"))


# ---- frames, the command and the routes -----------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server with one recording and its files; the second has no track, as older ones."""
    from ..web_site import running_site

    with running_site(tmp_path_factory.mktemp("site") / "data") as site:
        person = site.subject("P01")["id"]
        session = site.session(person, condition="stress")["id"]
        made = [site.analysed(session_id=session), site.analysed()]
        analysis = sample()[0]
        track(analysis).write(site.store.folder(made[0]))
        say(site.store, made[0], "kim", "accept", "m0")
        yield SimpleNamespace(site=site, ids=made, analysis=analysis)


def track(analysis):
    """What tracking might have measured of the sample."""
    face, n = analysis.track, len(analysis.track.times)
    rng = np.random.default_rng(0)
    shapes = rng.uniform(0, 28, (1, 68, 2)).astype(np.float32)
    moments = np.arange(0, n, 8, dtype=np.int32)
    return TrackTable(
        times=np.asarray(face.times, np.float64),
        segments=np.asarray(face.segments, np.int32),
        transforms=np.asarray(face.transforms, np.float32),
        shapes=shapes,
        shape_segments=np.array([0], np.int32),
        lids=rng.random(n).astype(np.float16),
        brightness=np.full(n, 120, np.float16),
        similarity=np.ones(n, np.float16),
        moments=moments,
        units=rng.random((len(moments), len(UNITS_SEEN))).astype(np.float16),
    )


def fetched(site, path, **query):
    answer = site.client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer


def test_every_frame_has_a_row_with_what_was_measured_of_it(site):
    answer = fetched(site.site, f"/recordings/{site.ids[0]}/export/frames.csv")
    assert 'filename="a.frames.csv"' in answer.headers["content-disposition"]
    found = pd.read_csv(io.BytesIO(answer.content))
    analysis, face = site.analysis, site.analysis.track
    assert list(found.columns) == [column.name for column in columns_of(FRAMES)]
    assert found.frame.tolist() == list(range(len(face.times)))
    assert_allclose(found.time_s, face.times, atol=1e-5)
    assert found.found.to_numpy().astype(bool).tolist() == face.found.tolist()
    close = {"rtol": 1e-4, "atol": 1e-6}
    assert_allclose(found.score, analysis.curve.score, **close)
    assert_allclose(found.move_chin, analysis.curve.cells[:, 2], **close)
    kept = track(analysis)
    points = kept.landmarks(0, len(face.times))
    assert_allclose(found[["x_30", "y_30"]], points[:, 30], **close)
    assert found.au_12.notna().sum() == (~np.isnan(kept.units_by_frame()[:, 8])).sum() > 0
    scale = float(np.nanmedian(scale_of(face.transforms)))
    assert found.eyes_px.median() == pytest.approx(15 * scale, rel=1e-3)
    lost = found[found.found == 0]
    assert len(lost) and lost[["score", "head_roll_deg", "head_x_px", "x_0"]].isna().all().all()


def test_the_heads_tilt_and_place_are_those_of_the_picture(tmp_path):
    angle, scale = np.radians(20), 4.0
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    place = np.column_stack([turn, [100.0, 50.0]])
    names = ["time", "score", "segment", *(f"t{k}" for k in range(6)), *CELLS]
    table = np.zeros((len(names), 1), "<f4")
    table[3:9, 0] = place.ravel()
    (tmp_path / "frames.bin").write_bytes(table.tobytes())
    found = frame_columns(tmp_path, {"frames_bin": {"rows": 1, "columns": names}})
    assert found["head_roll_deg"][0] == pytest.approx(20.0, abs=1e-4)
    middle = turn @ [13.4, 6.6] + [100.0, 50.0]
    assert [found["head_x_px"][0], found["head_y_px"][0]] == pytest.approx(middle, rel=1e-5)
    assert found["eyes_px"][0] == pytest.approx(60.0)
    assert np.isnan(found["limit_chin"][0]) and np.isnan(found["lids"][0])  # an older version's


@pytest.mark.needs("parquet")
def test_parquet_is_the_same_table_and_a_folder_of_them_reads_as_one(site, tmp_path):
    text = fetched(site.site, f"/recordings/{site.ids[0]}/export/frames.csv")
    binary = fetched(site.site, f"/recordings/{site.ids[0]}/export/frames.parquet")
    found = pd.read_parquet(io.BytesIO(binary.content))
    wanted = pd.read_csv(io.BytesIO(text.content))
    assert list(found.columns) == list(wanted.columns)
    assert found.recording_id.astype(str).unique().tolist() == [site.ids[0]]
    numbers = [t.drop(columns="recording_id").to_numpy(np.float64) for t in (found, wanted)]
    assert_allclose(*numbers, rtol=1e-4, atol=1e-5)
    assert len(binary.content) < len(text.content) / 2
    out = tmp_path / "out"
    words = ["export", "study", "--out", str(out), "--data", str(site.site.data)]
    assert main([*words, "--frames", "parquet"]) == 0
    every = pd.read_parquet(out / "frames")
    assert every.recording_id.value_counts().to_dict() == {one: len(found) for one in site.ids}


def test_the_command_writes_what_the_lead_may_see(site, tmp_path, capsys, monkeypatch):
    out = tmp_path / "study"
    assert main(["export", "study", "--out", str(out), "--data", str(site.site.data)]) == 0
    said = capsys.readouterr().out
    assert f"9 files in {out}" in said and "pandas.read_csv" in said
    assert sorted(p.name for p in out.iterdir()) == sorted(
        [*FILES, "README.txt", "codebook.csv", "read_spss.sps"]
    )
    files = study_files(site.site.store, LEAD)
    for name in (*FILES, "codebook.csv"):
        assert (out / name).read_text(encoding="utf-8") == files[name]
    line = re.search(r"^pandas +events = (.*)$", files["README.txt"], re.M)[1]
    monkeypatch.chdir(out)
    events = eval(line, {"pandas": pd})  # the very line that the README gives
    assert set(events.coder) == {"machine", "kim"} and events.subject.dropna().unique() == ["P01"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["studies", "--out", "x"], "expected study, project or nothing, got studies"),
        (["study", "--out", "x", "--coder", "kim"], "expected no --coder for study"),
        (["--out", "x", "--coder", "kim", "--frames", "csv"], "no --frames for training data"),
        (["--out", "x"], "expected study, project or --coder NAME, got neither"),
    ],
)
def test_the_command_refuses_what_does_not_go_together(words, said, capsys):
    assert main(["export", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_frames_in_an_unknown_format_are_refused(site, tmp_path, capsys):
    words = ["export", "study", "--out", str(tmp_path / "x"), "--data", str(site.site.data)]
    assert main([*words, "--frames", "xlsx"]) == 1
    assert "expected frames as parquet or csv, got 'xlsx'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_zip_is_the_study_as_its_reader_may_see_it(site):
    answer = fetched(site.site, "/export/study.zip", reader="lee", frames="csv")
    assert 'filename="study.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        files = study_files(site.site.store, Reader("lee"))
        for name in FILES:
            assert archive.read(name).decode() == files[name]
        alone = fetched(site.site, f"/recordings/{site.ids[1]}/export/frames.csv").content
        assert archive.read(f"frames/{site.ids[1]}.csv") == alone
    assert {f"frames/{one}.csv" for one in site.ids} <= set(names)
    assert "kim" not in files["events.csv"] + files["recordings.csv"] + files["decisions.csv"]


def test_a_recording_whose_files_are_gone_keeps_the_others_frames(tmp_path):
    _, payload, review = sample()
    with open_store(tmp_path / "data") as store:
        made = put(store, payload, review)
        entries = dict(study_entries(store, LEAD, frames="csv"))
        assert entries["frames_left_out.txt"].startswith(f"{made}: expected the curve")


def test_agreement_and_conditions_have_routes(site, study):
    store = site.site.store
    query = {"coder": "kim", "other": "machine", "reader": "kim"}
    assert fetched(site.site, "/agreement", **query).json()["recordings"] == 0  # none is done
    finish(store, site.ids[0], "kim")
    found = fetched(site.site, "/agreement", **query, overlap=0.3, tier="all").json()
    coded, _ = coded_study(store, LEAD)
    wanted = compare(coded, "kim", "machine", overlap=0.3, tier="all")
    assert (found["recordings"], found["overlap"], found["tier"]) == (1, 0.3, "all")
    assert found["rows"][0]["kappa"] == vars(wanted.rows[0].kappa)
    assert found["rows"][0]["timing"]["onset"]["icc"] == vars(wanted.rows[0].timing["onset"].icc)
    text = fetched(site.site, "/agreement.csv", **query).text
    rows = pd.read_csv(io.StringIO(text))
    assert list(rows.columns) == [column.name for column in columns_of("agreement.csv")]
    assert rows.group.tolist()[0] == "pooled" and rows.title.tolist()[-1] == "a.mp4"
    assert (
        site.site.client.get("/api/v1/agreement", params={**query, "other": "kim"}).status_code
        == 422
    )
    rates = fetched(site.site, "/conditions", coder="kim").json()["rates"]
    assert [(c["condition"], c["subjects"], c["count"]) for c in rates["conditions"]] == [
        ("stress", 1, 1)
    ]


def test_the_figure_has_a_dot_for_each_value_and_a_bar_for_each_interval(study):
    coded, overlap = coded_study(study.store, LEAD)
    found = compare(coded, "kim", "machine", overlap=overlap)
    root = ElementTree.fromstring(agreement_svg(found))
    shapes = [child.tag.rsplit("}")[-1] for child in root]
    values = [
        estimate
        for row in found.rows
        if row.group != "recording"
        for estimate in (
            *(row.kappa, row.ac1, row.f1),
            *((t.icc for t in row.timing.values()) if row.group == "pooled" else ()),
        )
    ]
    assert shapes.count("circle") == sum(e.value is not None for e in values) > 4
    words = [child.text for child in root if child.tag.endswith("text")]
    assert "Agreement of kim and machine" in words and "not defined" in words
    assert f">1 recording, overlap {overlap:g} or more<" in agreement_svg(
        replace(found, recordings=1)
    )
    hostile = agreement_svg(compare(coded, "kim", "<script>&", overlap=overlap))
    assert "<script>" not in hostile and ElementTree.fromstring(hostile) is not None
