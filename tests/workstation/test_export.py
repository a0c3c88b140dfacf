from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from datetime import date
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from micromimic.analysis.trends import movement_levels
from micromimic.cli.main import main
from micromimic.core.errors import ConflictError, NotFoundError, OutputError, RefusedError
from micromimic.core.labels import THREE
from micromimic.core.results import table_columns
from micromimic.core.strict_json import tidy
from micromimic.datasets.manifest import read_manifest
from micromimic.evaluation.predictions import Predictions
from micromimic.media.video import open_source
from micromimic.preparation.clip import prepare_clip
from micromimic.report.tables import write_events_csv, write_events_json
from micromimic.synthesis.clips import plan_clip, planted_field, write_clip
from micromimic.synthesis.schedule import ClipConfig
from micromimic.workstation.export.manifest import gather, write_gathered
from micromimic.workstation.export.recording import REVIEW_COLUMNS, export_events
from micromimic.workstation.export.zip import zip_pieces
from micromimic.workstation.records import jobs, people, recordings, reviews
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.models import Consent
from micromimic.workstation.records.values import new_id
from micromimic.workstation.subject_trends import subject_trends

from ..report.test_report_elan import check_eaf
from ..rows import rows_in
from ..sample_analysis import sample_analysis

pytestmark = pytest.mark.needs("web")

YES = Consent(given=True, noted_by="lee", note="form 3")


def review_of(analysis):
    """What export and trends read of ``review.json``."""
    spotting, source = analysis.spotting, analysis.source
    return {
        "fps": source.fps,
        "frames": source.frames,
        "start_s": 0.0,
        "frame_times": None,
        "threshold": spotting.threshold,
        "blinks": [{"start": b.start, "peak": b.peak, "end": b.end} for b in spotting.blinks],
        "rejected": [{"peak": r.peak, "reason": r.reason} for r in spotting.rejected],
        "movement_levels": movement_levels(analysis.curve, analysis.track.found, spotting.blinks),
    }


@cache
def sample():
    """The sample's contents of ``events.json`` and ``review.json``."""
    analysis = sample_analysis(evidence=False)
    return analysis, tidy(analysis.to_dict()), tidy(review_of(analysis))


def put(store, payload, review, video=b"film", session_id=None, name="interview 07.mp4"):
    """A recording with its answer; its id."""
    recording_id = new_id()
    folder = store.folder(recording_id)
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(video)
    recordings.add_recording(
        store,
        id=recording_id,
        name=name,
        extension=".mp4",
        size_bytes=len(video),
        sha256=hashlib.sha256(video).hexdigest(),
        session_id=session_id,
        consent=None if session_id else YES,
        expires_at=None,
    )
    job = jobs.claim_job(store, "test")
    assert job.recording_id == recording_id
    jobs.finish_job(store, job.id, payload=payload, review=review)
    return recording_id


def export_manifest(store, folder, **which):
    found = gather(store, **which)
    write_gathered(found, folder)
    return len(found.clips)


def say(store, recording_id, coder, action, event="", **payload):
    number = reviews.get_review(store, recording_id, coder).number
    reviews.decide(
        store, recording_id, coder=coder, expected=number, action=action, event=event, **payload
    )


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def coded(store):
    """The sample of six events, decided by kim and in part by lee."""
    _, payload, review = sample()
    recording_id = put(store, payload, review)
    say(store, recording_id, "kim", "accept", "m0")
    say(store, recording_id, "kim", "relabel", "m1", label="surprise", note="brows, not nose")
    say(store, recording_id, "kim", "move", "m2", onset_frame=4190)
    say(store, recording_id, "kim", "reject", "m3", note='speech; "hm"')
    say(store, recording_id, "kim", "add", label="positive", onset_frame=2000, apex_frame=2020,
        offset_frame=2050)  # fmt: skip
    say(store, recording_id, "lee", "reject", "m0")
    return recording_id


# ---- one recording: JSON, CSV, ELAN ---------------------------------------------------------


def test_the_machines_own_files_are_those_of_analyze(store, coded, tmp_path):
    analysis = sample()[0]
    write_events_json(analysis, tmp_path / "events.json")
    write_events_csv(analysis, tmp_path / "events.csv")
    for name in ("json", "csv"):
        wanted = (tmp_path / f"events.{name}").read_bytes()
        assert export_events(store, coded, format=name) == wanted
        assert export_events(store, coded, coder="Machine", format=name) == wanted


def test_a_coders_json_keeps_the_contract_and_says_who(store, coded):
    payload = sample()[1]
    found = json.loads(export_events(store, coded, coder="kim", format="json"))
    assert found["schema"] == "micromimic.events/1"
    assert set(payload) | {"review"} == set(found)
    assert (found["review"]["coder"], found["review"]["complete"]) == ("kim", False)
    events = {event["review"]["key"]: event for event in found["events"]}
    assert list(events) == ["m0", "c5", "m1", "m2", "m3", "m4", "m5"]  # by onset
    assert {key: event["review"]["status"] for key, event in events.items()} == {
        "m0": "accepted", "c5": "accepted", "m1": "accepted", "m2": "accepted",
        "m3": "rejected", "m4": "pending", "m5": "pending",
    }  # fmt: skip
    for event in events.values():
        assert set(event) == {*payload["events"][0], "review"}
    assert events["m1"]["label"] == "surprise" and events["m1"]["review"]["changed"]
    assert events["m1"]["probabilities"] == payload["events"][1]["probabilities"]
    assert (events["m2"]["onset_frame"], events["m2"]["onset_s"]) == (4190, 20.95)
    assert events["c5"]["probabilities"] is None and events["c5"]["strength"] is None
    untouched = {k: v for k, v in events["m4"].items() if k != "review"}
    assert untouched == payload["events"][4]
    assert reviews.get_analysis(store, coded).payload == payload


def test_a_coders_table_has_further_columns(store, coded):
    text = export_events(store, coded, coder="kim", format="csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == (*table_columns(THREE), *REVIEW_COLUMNS)
    assert [row["key"] for row in rows] == ["m0", "c5", "m1", "m2", "m3", "m4", "m5"]
    added = rows[1]
    assert (added["label"], added["onset_s"], added["p_negative"]) == ("positive", "10.0", "")
    assert (added["uncertain"], added["strength"], added["top_region"]) == ("", "", "")
    assert (rows[2]["status"], rows[2]["changed"]) == ("accepted", "true")
    assert rows[4]["note"] == 'speech; "hm"'


def finish(store, recording_id, coder):
    """Reject what is left, and mark the review done."""
    for event in reviews.get_review(store, recording_id, coder).events:
        if event.status == "pending":
            say(store, recording_id, coder, "reject", event.key)
    say(store, recording_id, coder, "done")


def test_elan_has_tiers_for_the_machine_and_each_coder(store, coded, tmp_path):
    path = tmp_path / "x.eaf"
    finish(store, coded, "lee")
    path.write_bytes(export_events(store, coded, coder="kim", reader="lee", format="eaf"))
    root, tiers = check_eaf(path)  # what EAF 3.0 asks for, the order of slots included
    assert list(tiers) == [
        "micro-expression", "phase", "macro-expression", "macro-phase", "action units", "blink",
        "rejected",
        *("micro-expression kim", "phase kim", "macro-expression kim", "macro-phase kim"),
        *("rejected kim", "note kim"),
        *("micro-expression lee", "phase lee", "macro-expression lee", "macro-phase lee"),
        "rejected lee",
    ]  # fmt: skip
    assert len(tiers["micro-expression"]) == 6
    assert tiers["micro-expression kim"] == [
        (4210, 4600, "positive"),
        (10000, 10250, "positive"),
        (13900, 14190, "surprise"),
        (20950, 21300, "surprise"),
    ]
    assert tiers["phase kim"][:2] == [(4210, 4365, "onset-apex"), (4365, 4600, "apex-offset")]
    assert tiers["rejected kim"] == [(33400, 33655, "negative")]
    assert tiers["micro-expression lee"] == [] and len(tiers["rejected lee"]) == 6
    annotators = {tier.get("TIER_ID"): tier.get("ANNOTATOR") for tier in root.findall("TIER")}
    assert annotators["phase kim"] == "kim" and annotators["blink"] is None
    # comments are in it, and the video is looked for beside it, in no folder of this machine
    assert tiers["note kim"] == [
        (13900, 14190, "brows, not nose"), (33400, 33655, 'speech; "hm"'),
    ]  # fmt: skip
    media = root.find("HEADER/MEDIA_DESCRIPTOR").attrib
    assert media["RELATIVE_MEDIA_URL"] == media["MEDIA_URL"] == "./interview 07.mp4"
    assert str(store.data) not in path.read_text(encoding="utf-8")


def test_elan_takes_any_coders_name(store, coded, tmp_path):
    names = ['A "b" <c> & d', "kim-2", "Ольга"]
    for name in names:
        for key in ("m0", "m1"):
            say(store, coded, name, "move", key, onset_frame=900, apex_frame=950, offset_frame=1020)
    path = tmp_path / "x.eaf"
    path.write_bytes(export_events(store, coded, coder=names[0], format="eaf"))
    _, tiers = check_eaf(path)  # no two tiers of one name, none with overlapping spans
    assert [len(tiers[f"micro-expression{lane} {names[0]}"]) for lane in ("", "-2")] == [1, 1]


def test_elan_of_the_machine_is_as_analyze_writes_it(store, coded, tmp_path):
    path = tmp_path / "x.eaf"
    path.write_bytes(export_events(store, coded, format="eaf"))
    _, tiers = check_eaf(path)
    assert list(tiers) == [
        "micro-expression", "phase", "macro-expression", "macro-phase", "action units", "blink",
        "rejected",
    ]  # fmt: skip
    assert tiers["micro-expression"][3] == (33400, 33655, "negative 0.44 uncertain")
    assert (len(tiers["blink"]), len(tiers["rejected"])) == (8, 13)


def test_elan_has_the_own_tiers_first_and_the_date_of_the_analysis(store, coded, tmp_path):
    path = tmp_path / "x.eaf"
    finish(store, coded, "lee")
    content = export_events(store, coded, coder="lee", format="eaf")
    path.write_bytes(content)
    root, tiers = check_eaf(path)
    names = list(tiers)
    assert names.index("micro-expression lee") < names.index("micro-expression kim")
    assert sorted(tiers["micro-expression kim"])[1] == (10000, 10250, "positive")
    answered = reviews.get_analysis(store, coded).created_at
    assert root.get("DATE") == answered.isoformat(timespec="seconds")
    assert content == export_events(store, coded, coder="lee", format="eaf")


def test_what_cannot_be_exported_is_said(store, coded):
    with pytest.raises(NotFoundError):
        export_events(store, new_id())
    waiting = new_id()
    store.folder(waiting).mkdir(parents=True)
    recordings.add_recording(
        store,
        id=waiting,
        name="x.mp4",
        extension=".mp4",
        size_bytes=1,
        sha256="0" * 64,
        consent=YES,
        expires_at=None,
    )
    with pytest.raises(ConflictError, match="not done"):
        export_events(store, waiting)


# ---- a manifest for train and evaluate ------------------------------------------------------

CLIP = ClipConfig(seconds=5.0, fps=100.0, width=320, height=240, face_px=220.0, peak_px=2.0,
                  events_per_minute=36.0, macros_per_minute=0.0, blinks_per_minute=0.0,
                  head_moves_per_minute=0.0, noise_sd=1.0, drift_px=2.0)  # fmt: skip
SEEDS = (0, 1, 2)


def answer(truth):
    """What a machine might say of a clip: first event late and misnamed, last one missed."""
    _, payload, review = sample()
    first, second, _ = truth.events
    places = [
        ((5, 10, 20), "negative"),  # nothing is there
        ((first.onset_frame - 60, first.onset_frame - 50, first.onset_frame - 40), "surprise"),
        ((second.onset_frame, second.apex_frame, second.offset_frame), second.label),
    ]
    events = [
        {
            **payload["events"][0],
            **dict(zip(("onset_frame", "apex_frame", "offset_frame"), frames, strict=True)),
            **dict(zip(("onset_s", "apex_s", "offset_s"), [n / 100 for n in frames], strict=True)),
            "label": label,
        }
        for frames, label in places
    ]
    source = {**payload["source"], "fps": 100.0, "frames": truth.frames, "duration_s": 5.0}
    return (
        {**payload, "source": source, "events": events},
        {**review, "fps": 100.0, "frames": truth.frames},
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Three people, a video each; kim corrected what the machine said of them."""
    folder = tmp_path_factory.mktemp("desk")
    truths = {}
    with open_store(folder / "data") as store:
        for seed in SEEDS:
            video = folder / f"{seed}.mp4"
            truth = write_clip(video, CLIP, seed, crf=16, preset="superfast")
            code = f"P {seed:02}"
            person = people.add_subject(store, code)
            session = people.add_session(
                store, person.id, title="intake", held_on=date(2024, 3, 1 + seed), consent=YES
            )
            made = put(store, *answer(truth), video.read_bytes(), session.id, "Jane Doe.mp4")
            first, _, third = truth.events
            say(store, made, "kim", "reject", "m0")
            say(store, made, "kim", "relabel", "m1", label=first.label)
            say(store, made, "kim", "move", "m1", **frames_of(first))
            say(store, made, "kim", "accept", "m2")
            say(store, made, "kim", "add", label=third.label, **frames_of(third))
            truths[code] = SimpleNamespace(id=made, truth=truth, seed=seed, subject=person.id)
        yield SimpleNamespace(store=store, truths=truths, data=folder / "data")


def frames_of(event):
    return {name: getattr(event, name) for name in ("onset_frame", "apex_frame", "offset_frame")}


@pytest.fixture(scope="module")
def exported(desk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "new" / "set"
    assert export_manifest(desk.store, folder, coder="kim") == 9
    return folder


def test_the_manifest_holds_what_the_coder_decided(desk, exported):
    clips = read_manifest(exported / "manifest.csv")  # checks names, labels, files
    assert len(clips) == 9 and len({clip.key for clip in clips}) == 9
    for code, known in desk.truths.items():
        mine = [clip for clip in clips if clip.subject == code]
        assert [(c.onset, c.apex, c.offset, c.label) for c in mine] == [
            (*frames_of(event).values(), event.label) for event in known.truth.events
        ]
        assert [c.extra["source"] for c in mine] == ["corrected", "accepted", "added"]
        assert mine[0].extra["machine_label"] == "surprise" and mine[0].extra["coder"] == "kim"
    assert {(c.dataset, c.kind, c.fps) for c in clips} == {("records", "video", 100.0)}
    names = sorted(p.name for p in (exported / "videos").iterdir())
    assert names == sorted(f"{known.id}.mp4" for known in desk.truths.values())
    assert sorted(p.name for p in exported.iterdir()) == ["manifest.csv", "videos"]
    assert "Jane" not in (exported / "manifest.csv").read_text()


def test_the_corrected_frames_are_those_that_are_measured(desk, exported):
    clips = read_manifest(exported / "manifest.csv")
    known = desk.truths["P 00"]
    clip = next(c for c in clips if c.subject == "P 00" and c.extra["source"] == "corrected")
    # The very frames: picture by picture those of the source.
    with (
        open_source(clip.path) as copy,
        open_source(desk.store.folder(known.id) / "video.mp4") as original,
    ):
        for a, b in zip(copy.frames_at([clip.onset, clip.apex]),
                        original.frames_at([clip.onset, clip.apex]), strict=True):  # fmt: skip
            assert np.array_equal(a.gray, b.gray)
    # The motion found between them is the planted one; at the machine's frames there was none.
    flow = prepare_clip(clip, ["flow"]).flow[:2]
    planted = planted_field(plan_clip(CLIP, known.seed), 0)
    peak = float(np.hypot(planted[..., 0], planted[..., 1]).max())
    assert np.hypot(*flow).max() * 220 / 28 == pytest.approx(peak, rel=0.5)
    wrong = known.truth.events[0].onset_frame - 60
    rest = prepare_clip(
        type(clip)(**{**vars(clip), "onset": wrong, "apex": wrong + 10, "offset": wrong + 20}),
        ["flow"],
    ).flow[:2]
    assert np.hypot(*flow).max() > 3 * np.hypot(*rest).max()


@pytest.fixture(scope="module")
def cache_words(tmp_path_factory):
    return ["--cache", str(tmp_path_factory.mktemp("cache"))]


@pytest.mark.needs("train")
def test_evaluate_takes_the_manifest(exported, cache_words, tmp_path):
    manifest, out = exported / "manifest.csv", tmp_path / "run"
    words = ["evaluate", str(manifest), "--model", "flow-svm", *cache_words]
    assert main([*words, "--out", str(out)]) == 0
    rows = {row.key: row for row in rows_in(Predictions.read(out / "predictions.csv"))}
    assert len(rows) == 9
    for clip in read_manifest(manifest):
        row = rows[(clip.dataset, clip.subject, clip.clip)]
        assert row.y_true == clip.label  # the coder's, not the machine's
    assert {row.fold for row in rows.values()} == {0, 1, 2}  # each person left out once


@pytest.mark.needs("train")
def test_train_takes_the_manifest_and_apply_its_model(exported, cache_words, tmp_path):
    manifest, model = str(exported / "manifest.csv"), tmp_path / "mine.onnx"
    words = ["train", manifest, "--model", "flow-svm", "--out", str(model), *cache_words]
    assert main(words) == 0
    words = ["evaluate", manifest, "--model", "flow-svm", "--protocol", "apply", *cache_words]
    words += ["--init", str(model), "--out", str(tmp_path / "run")]
    assert main(words) == 1  # these clips it was fitted to
    assert main([*words, "--allow-overlap"]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["composite"]["n"] == 9


def test_the_zip_holds_the_same(desk, exported, tmp_path, monkeypatch):
    # Who was filmed is nothing for the system's temporary folder.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    pieces = list(zip_pieces(gather(desk.store, coder="kim").entries()))
    assert max(map(len, pieces)) < 2_000_000  # in pieces, however long a video is
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    for file in (p for p in exported.rglob("*") if p.is_file()):
        assert (tmp_path / file.relative_to(exported)).read_bytes() == file.read_bytes()
    assert len(read_manifest(tmp_path / "manifest.csv")) == 9


def test_one_person_or_session_only(desk, tmp_path):
    known = desk.truths["P 01"]
    assert export_manifest(desk.store, tmp_path / "a", coder="kim", subject_id=known.subject) == 3
    assert {c.subject for c in read_manifest(tmp_path / "a" / "manifest.csv")} == {"P 01"}
    session = recordings.get_recording(desk.store, known.id).session_id
    assert export_manifest(desk.store, tmp_path / "b", coder="kim", session_id=session) == 3
    with pytest.raises(NotFoundError):
        export_manifest(desk.store, tmp_path / "c", coder="kim", subject_id=new_id())
    assert not (tmp_path / "c").exists()


def test_nothing_to_export_is_said_and_nothing_written(desk, tmp_path):
    for call in (export_manifest, lambda store, _, **more: gather(store, **more)):
        with pytest.raises(RefusedError, match="accepted or added, got none"):
            call(desk.store, tmp_path / "x", coder="lee")
        with pytest.raises(RefusedError, match="person's name"):
            call(desk.store, tmp_path / "x", coder="machine")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(desk, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="something in it"):
        export_manifest(desk.store, tmp_path, coder="kim")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="got a file"):
        export_manifest(desk.store, tmp_path / "file", coder="kim")
    with pytest.raises(OutputError, match="expected to write"):
        export_manifest(desk.store, tmp_path / "file" / "under", coder="kim")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "thesis.txt"]
    (tmp_path / "empty").mkdir()
    assert export_manifest(desk.store, tmp_path / "empty", coder="kim") == 9


def test_a_full_disk_leaves_nothing(desk, tmp_path, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("micromimic.workstation.export.manifest.shutil.copyfile", full)
    with pytest.raises(OutputError, match="No space left"):
        export_manifest(desk.store, tmp_path / "out", coder="kim")
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_out_is_listed_with_its_reason(store, tmp_path):
    _, payload, review = sample()
    person = people.add_subject(store, "P1")
    session = people.add_session(store, person.id, title="", held_on=date(2024, 1, 1), consent=YES)
    good = put(store, payload, review, session_id=session.id)
    gone = put(store, payload, review, session_id=session.id)
    nobody = put(store, payload, review)
    for made in (good, gone, nobody):
        say(store, made, "kim", "accept", "m0")
    say(store, good, "kim", "move", "m1", apex_frame=2780)  # the apex at the onset
    say(store, good, "kim", "move", "m2", onset_frame=4201, apex_frame=4201, offset_frame=4202)
    say(store, good, "kim", "move", "m5", onset_frame=9000)  # more frames than any such event
    (store.folder(gone) / "video.mp4").unlink()
    assert export_manifest(store, tmp_path / "out", coder=" kim ") == 3
    rows = {clip.clip: clip for clip in read_manifest(tmp_path / "out" / "manifest.csv")}
    assert set(rows) == {f"{good}_m0", f"{good}_m1", f"{nobody}_m0"}
    assert (rows[f"{good}_m1"].onset, rows[f"{good}_m1"].apex) == (2780, None)  # to be spotted
    assert rows[f"{nobody}_m0"].subject == "unassigned"
    lines = (tmp_path / "out" / "left_out.txt").read_text().splitlines()
    assert sorted(line.removeprefix("recording ").split(":")[0] for line in lines) == sorted(
        [gone, good, f"{good}, event m2", f"{good}, event m5", nobody]
    )
    said = "\n".join(lines)
    assert "no longer kept" in said and "not decided yet" in said and "more than 1000" in said


def test_no_consent_no_export(store, tmp_path):
    _, payload, review = sample()
    person = people.add_subject(store, "P1")
    session = people.add_session(store, person.id, title="a", held_on=date(2024, 1, 1), consent=YES)
    made = put(store, payload, review, session_id=session.id)
    say(store, made, "kim", "accept", "m0")
    people.change_session(store, session.id, consent=Consent(given=False, noted_by="lee"))
    with pytest.raises(RefusedError, match="no consent is noted"):
        export_manifest(store, tmp_path / "out", coder="kim")


# ---- trends from the records ----------------------------------------------------------------


def test_trends_of_a_person(store):
    _, payload, review = sample()
    person = people.add_subject(store, "P1")
    made = {}
    for day, title in ((9, "week 2"), (2, "intake")):
        held = date(2024, 1, day)
        session = people.add_session(store, person.id, title=title, held_on=held, consent=YES)
        made[title] = put(store, payload, review, session_id=session.id)
    for key in ("m0", "m1", "m2"):
        say(store, made["week 2"], "kim", "accept", key)
    for key in ("m3", "m4", "m5"):
        say(store, made["week 2"], "kim", "reject", key)
    say(store, made["week 2"], "kim", "done")
    say(store, made["intake"], "kim", "accept", "m0")  # not finished
    say(store, made["intake"], "lee", "accept", "m0")
    found = subject_trends(store, person.id)
    rows = {row["name"]: row for row in found["indicators"]}
    sessions = rows["candidates_per_minute"]["sessions"]
    assert [s["title"] for s in sessions] == ["intake", "week 2"]
    assert [s["n"] for s in sessions] == [6, 6]
    change = rows["candidates_per_minute"]["change"][0]
    assert (change["value"], change["clear"]) == (1.0, False)
    assert found["coder"] == "kim"  # has finished one, lee none
    reviewed = rows["reviewed_per_minute"]["sessions"]
    assert [s["value"] for s in reviewed] == [None, pytest.approx(3 / (51.3 / 60), abs=1e-6)]
    assert rows["movement"]["sessions"][0]["n"] > 20
    lee = subject_trends(store, person.id, coder="lee")
    assert "reviewed_per_minute" not in {row["name"] for row in lee["indicators"]}
    with pytest.raises(NotFoundError):
        subject_trends(store, new_id())


def test_a_recording_counts_as_reviewed_once_it_was_marked_done(store):
    """One in which nothing was found, and that nobody opened, is no review without events."""
    _, payload, review = sample()
    person = people.add_subject(store, "P1")
    session = people.add_session(store, person.id, title="a", held_on=date(2024, 1, 2), consent=YES)
    none = put(store, {**payload, "events": []}, review, session_id=session.id)
    one = put(store, {**payload, "events": payload["events"][:1]}, review, session_id=session.id)

    def rates():
        rows = subject_trends(store, person.id)["indicators"]
        return [r["sessions"][0]["value"] for r in rows if r["name"] == "reviewed_per_minute"]

    say(store, one, "kim", "accept", "m0")
    assert rates() == []
    say(store, one, "kim", "done")
    assert rates() == [pytest.approx(1 / (51.3 / 60), abs=1e-6)]
    say(store, none, "kim", "done")
    assert rates() == [pytest.approx(1 / (2 * 51.3 / 60), abs=1e-6)]
    assert {recording.id for recording in recordings.list_recordings(store)} == {none, one}


# ---- the commands ---------------------------------------------------------------------------


@pytest.fixture
def command(capsys):
    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_export_command(desk, command, tmp_path):
    out = tmp_path / "set"
    code, said, _ = command("export", "--out", out, "--coder", "kim", "--data", desk.data)
    assert code == 0
    assert f"9 events of 3 subjects in {out / 'manifest.csv'}" in said
    assert f"micromimic train {out / 'manifest.csv'}" in said
    code, said, err = command("export", "--out", out, "--coder", "kim", "--data", desk.data)
    assert code == 1 and said == "" and err.count("\n") == 1 and "something in it" in err
    words = ("export", "--coder", "kim", "--data", desk.data, "--subject", "P 02")
    code, said, _ = command(*words, "--out", tmp_path / "one")
    assert code == 0 and "3 events of 1 subject in" in said
    code, _, err = command(*words[:-1], "P 77", "--out", tmp_path / "no")
    assert code == 1 and err.startswith("micromimic: error: expected") and "P 77" in err
    assert not (tmp_path / "no").exists()


def test_commands_make_no_records_where_there_are_none(command, tmp_path):
    for words in (("forget", "P1", "--yes"), ("export", "--out", tmp_path / "o", "--coder", "k")):
        code, _, err = command(*words, "--data", tmp_path / "typo")
        assert code == 1 and "expected records in" in err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def person(tmp_path):
    data = tmp_path / "data"
    with open_store(data) as store:
        _, payload, review = sample()
        subject = people.add_subject(store, "P1")
        session = people.add_session(
            store, subject.id, title="a", held_on=date(2024, 1, 2), consent=YES
        )
        put(store, payload, review, session_id=session.id)
    return data


def known(data):
    with open_store(data) as store:
        return [subject.code for subject in people.list_subjects(store)], len(
            recordings.list_recordings(store)
        )


def test_forget_with_yes(person, command):
    code, said, err = command("forget", "P1", "--data", person, "--yes")
    assert code == 0
    assert "removed every trace of P1 here (" in said and "recordings 1" in said
    assert "exports and backups" in err
    assert known(person) == ([], 0)
    assert not [p for p in (person / "recordings").rglob("*") if p.is_file()]
    code, _, err = command("forget", "P1", "--data", person, "--yes")
    assert code == 1 and "P1" in err


def test_forget_asks_only_on_a_terminal(person, command):
    code, _, err = command("forget", "P1", "--data", person)
    assert code == 2 and "expected --yes" in err
    assert known(person) == (["P1"], 1)


@pytest.mark.parametrize(("reply", "code"), [("n", 1), ("", 1), ("y", 0)])
def test_forget_asks(person, command, monkeypatch, reply, code):
    monkeypatch.setattr("sys.stdin", terminal(f"{reply}\n"))
    found, said, _ = command("forget", "P1", "--data", person)
    assert found == code
    assert "Remove P1, 1 session and 1 recording? It cannot be undone." in said
    assert known(person) == (([], 0) if code == 0 else (["P1"], 1))


def test_forget_survives_a_closed_terminal(person, command, monkeypatch):
    monkeypatch.setattr("sys.stdin", terminal(""))
    code, _, err = command("forget", "P1", "--data", person)
    assert code == 130 and "nothing was removed" in err
    assert known(person) == (["P1"], 1)


def terminal(text):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    return Terminal(text)


def test_the_commands_load_nothing_heavy():
    check = "import sys, micromimic.cli.app; print('sqlalchemy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_exports_that_link_to_the_video_play_on_its_timeline(store, tmp_path):
    """Stored at a quarter of its speed, half a second after a sound."""
    _, payload, review = sample()
    media = {"start_s": 0.5, "fps": review["fps"] / 4, "frame_times": None}
    recording_id = put(store, payload, review | {"media": media})
    plain_id = put(store, payload, review)
    tiers = {}
    for key in (recording_id, plain_id):
        say(store, key, "kim", "add", label="positive", onset_frame=2000, apex_frame=2020,
            offset_frame=2050)  # fmt: skip
        path = tmp_path / f"{key}.eaf"
        path.write_bytes(export_events(store, key, coder="kim", format="eaf"))
        tiers[key] = check_eaf(path)[1]
    for name, spans in tiers[plain_id].items():
        for (start, end, _), found in zip(spans, tiers[recording_id][name], strict=True):
            middle, width = (start + end) / 2, abs(found[1] - found[0])
            assert (found[0] + found[1]) / 2 == pytest.approx(500 + 4 * middle, abs=5), name
            assert name == "rejected" or width == pytest.approx(4 * (end - start), abs=5)
    events = json.loads(export_events(store, recording_id, coder="kim", format="json"))["events"]
    added = next(e for e in events if e["review"]["key"].startswith("c"))
    for name in ("onset", "apex", "offset"):
        assert added[f"media_{name}_s"] == pytest.approx(0.5 + 4 * added[f"{name}_s"])
    plain = json.loads(export_events(store, plain_id, coder="kim", format="json"))["events"]
    assert not any(key.startswith("media_") for event in plain for key in event)
