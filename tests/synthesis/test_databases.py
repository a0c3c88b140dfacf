"""Synthetic databases: laid out and annotated as the real ones, and true to their truth."""

import hashlib
import importlib.util
import json
import re
import sys
from collections import Counter
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from micromimic.analysis.recognize import flow_between
from micromimic.core.canonical import anchor_points, apply_affine, invert_affine
from micromimic.core.errors import InputError, MissingExtraError, OutputError
from micromimic.core.labels import THREE
from micromimic.core.types import FlowMap
from micromimic.datasets.megc2019 import composite
from micromimic.face.landmarks import DlibLandmarks
from micromimic.models.onnx import load_model
from micromimic.synthesis.actors.base import ANCHORS
from micromimic.synthesis.actors.head import data
from micromimic.synthesis.actors.people import make_actor
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.clips import planted_field, render
from micromimic.synthesis.databases import write as databases
from micromimic.synthesis.databases.designs import DESIGNS
from micromimic.synthesis.databases.plans import DatabaseClip, plan_databases
from micromimic.synthesis.databases.tables import objective_class
from micromimic.synthesis.databases.write import synth_databases

openpyxl = pytest.importorskip("openpyxl", reason="needs the train extra")
mesh = pytest.mark.skipif(
    importlib.util.find_spec("anny") is None, reason="needs the faces3d extra"
)

COMPOSITE = {"smic": (70, 51, 43), "casme2": (88, 32, 25), "samm": (92, 26, 15)}
SUBJECTS = {"smic": 16, "casme2": 24, "samm": 28}
TABLES = {
    "smic": "SMIC-HS-E_annotation.xlsx",
    "casme2": "CASME2-coding-20140508.xlsx",
    "samm": "SAMM_Micro_FACS_Codes_v2.xlsx",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One clip a class in each database, and the clips of dropped emotions."""
    out = tmp_path_factory.mktemp("databases") / "all"
    seen = []
    truth = synth_databases(
        out, clips_per_class=1, faces="warped", progress=lambda *a: seen.append(a)
    )
    total = sum(clip.frames for clip in truth.clips)
    assert seen[0] == (0, total, "render") and seen[-1] == (total, total, "render")
    return out, truth


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).digest() for p in files}


def rows_of(path, sheet=0):
    book = openpyxl.load_workbook(path)
    return [list(row) for row in book.worksheets[sheet].iter_rows(values_only=True)]


# --- what is planned -----------------------------------------------------------------------------


def test_the_full_plan_is_the_composite():
    clips = plan_databases(full=True, seed=3)
    for design in DESIGNS:
        mine = [c for c in clips if c.dataset == design.name and c.label]
        assert tuple(Counter(c.label for c in mine)[e] for e in THREE) == COMPOSITE[design.name]
        assert len({c.subject for c in mine}) == SUBJECTS[design.name]
    assert len({(c.dataset, c.subject, c.clip) for c in clips}) == len(clips)
    assert len({c.folder for c in clips}) == len(clips)


@pytest.mark.parametrize("count", [1, 5, 10, 100])
def test_subjects_appear_as_far_as_clips_go(count):
    clips = plan_databases(count)
    counts = Counter((c.dataset, c.label) for c in clips if c.label)
    assert counts == {(name, label): count for name in SUBJECTS for label in THREE}
    for name, most in SUBJECTS.items():
        assert len({c.subject for c in clips if c.dataset == name}) == min(3 * count, most)
    assert len({c.folder for c in clips}) == len(clips)


def test_one_person_a_subject():
    clips = plan_databases(full=True)
    people = {(c.dataset, c.subject, c.identity) for c in clips}
    assert len(people) == 68 == len({identity for *_, identity in people})


def test_lengths_and_rises_are_those_of_the_databases():
    clips = plan_databases(full=True, seed=1)
    for design, length, rise in zip(DESIGNS, (34, 71, 73), (17, 36, 33), strict=True):
        mine = [c for c in clips if c.dataset == design.name]
        assert np.mean([c.offset - c.onset for c in mine]) == pytest.approx(length, abs=5)
        assert np.mean([c.apex - c.onset for c in mine]) == pytest.approx(rise, abs=4)
        assert all(c.first <= c.onset < c.apex < c.offset <= c.last for c in mine)
        assert max(c.offset - c.onset for c in mine) / design.fps <= 0.6
        units = [c.peak_px / design.portrait.unit_px for c in mine]
        assert min(units) > 0.169 and max(units) < 0.501
    assert all(c.first == c.onset and c.last == c.offset for c in clips if c.dataset == "smic")


def test_seeds_make_different_databases():
    first, again, other = (plan_databases(2, seed=s) for s in (5, 5, 6))
    assert first == again
    assert {c.seed for c in first}.isdisjoint(c.seed for c in other)


def test_emotions_fit_their_classes():
    merge = {
        "happiness": "positive",
        "surprise": "surprise",
        **dict.fromkeys(
            ("disgust", "repression", "anger", "contempt", "fear", "sadness"), "negative"
        ),
    }
    clips = [c for c in plan_databases(full=True) if c.dataset != "smic"]
    kept = [c for c in clips if c.label]
    assert all(merge[c.emotion.lower()] == c.label for c in kept)
    assert {c.emotion for c in kept if c.dataset == "casme2"} == {
        "happiness",
        "surprise",
        "disgust",
        "repression",
    }
    dropped = Counter((c.dataset, c.emotion) for c in clips if not c.label)
    assert dropped == {("casme2", "others"): 2, ("casme2", "sadness"): 1, ("samm", "Other"): 2}


# --- what is written -----------------------------------------------------------------------------


def test_every_picture_lies_where_the_database_has_it(small):
    out, truth = small
    shapes = {"smic": (240, 320, 3), "casme2": (240, 320, 3), "samm": (240, 320)}
    patterns = {
        "smic": r"smic/HS/s\d\d/micro/(negative|positive|surprise)/s\d+_(ne|po|sur)_\d\d",
        "casme2": r"casme2/CASME2_RAW_selected/sub\d\d/EP\d\d_\d\df?",
        "samm": r"samm/SAMM/\d{3}/\d{3}_\d_\d+",
    }
    for clip in truth.clips:
        assert re.fullmatch(patterns[clip.dataset], clip.folder)
        names = sorted(p.name for p in (out / clip.folder).iterdir())
        assert names == sorted(clip.file(n) for n in range(clip.first, clip.last + 1))
        picture = cv2.imread(str(out / clip.folder / clip.file(clip.apex)), cv2.IMREAD_UNCHANGED)
        assert picture.shape == shapes[clip.dataset]
    assert {p.name for p in out.iterdir()} == {"smic", "casme2", "samm", "truth.json"}
    pictures = sum(1 for p in out.rglob("*.jpg"))
    assert pictures == sum(clip.frames for clip in truth.clips)


def test_truth_is_written(small):
    out, truth = small
    document = json.loads((out / "truth.json").read_text())
    assert (document["schema"], document["faces"]) == ("micromimic.databases/1", "warped")
    rows = [DatabaseClip(**{**row, "action_units": tuple(row["action_units"])})
            for row in document["clips"]]  # fmt: skip
    assert tuple(rows) == truth.clips


def test_same_seed_same_bytes_whatever_the_jobs(small, tmp_path):
    out, truth = small
    again = synth_databases(tmp_path, clips_per_class=1, faces="warped", jobs=2)
    assert again == truth
    assert digest(tmp_path) == digest(out)  # tables and truth among them


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_the_official_columns(small, shared, name):
    out, _ = small
    ours = openpyxl.load_workbook(out / name / TABLES[name])
    real = openpyxl.load_workbook(shared / "data" / "annotations" / TABLES[name])
    assert ours.sheetnames == real.sheetnames
    row = 14 if name == "samm" else 1
    for mine, theirs in zip(ours.worksheets, real.worksheets, strict=True):
        header, official = ([c.value for c in sheet[row]] for sheet in (mine, theirs))
        assert [v for v in header if v] == [v for v in official if v]
        assert [i for i, v in enumerate(header) if v] == [i for i, v in enumerate(official) if v]
    types = [type(c.value) for c in real.worksheets[0][row + 1]]
    for made in ours.worksheets[0].iter_rows(min_row=row + 1, values_only=True):
        for column, value in enumerate(made):
            head = ours.worksheets[0].cell(row, column + 1).value
            if head in (
                "Subject",
                "Filename",
                "OnsetFrame",
                "OffsetFrame",
                "Onset Frame",
                "OnsetF",
            ):
                assert type(value) is types[column], head


def test_tables_say_what_the_truth_says(small):
    out, truth = small
    casme2 = rows_of(out / "casme2" / TABLES["casme2"])[1:]
    samm = rows_of(out / "samm" / TABLES["samm"])[14:]
    smic = rows_of(out / "smic" / TABLES["smic"])[1:]
    told = {("casme2", f"sub{r[0]}", r[1]): (r[3], r[5], str(r[7]), r[8]) for r in casme2}
    told |= {("samm", r[0], r[1]): (r[3], r[5], str(r[8]), r[9]) for r in samm}
    planned = {
        (c.dataset, c.subject, c.clip): (c.onset, c.offset, "+".join(c.action_units), c.emotion)
        for c in truth.clips
        if c.dataset != "smic"
    }
    assert told == planned
    assert [r[4] for r in casme2].count("/") == 1  # of a clip that is dropped anyway
    mine = [c for c in truth.clips if c.dataset == "smic"]
    assert [(r[3], r[4], r[16]) for r in smic] == [(c.onset, c.offset, c.label) for c in mine]
    for row in smic:
        first, last, length, total = row[10], row[11], row[12], row[15]
        assert first < row[3] < row[4] < last
        assert (length, total) == (row[4] - row[3] + 1, last - first + 1)
    for row in samm:
        assert row[6] == row[5] - row[3] + 1 and row[2] == int(row[1].split("_")[1])


def test_objective_classes_do_not_depend_on_sides():
    assert [objective_class(units) for units in (("L12",), ("4", "7"), ("14",))] == [1, 3, 7]


def test_objective_classes_agree_with_the_official_table(shared):
    path = shared / "data" / "annotations" / TABLES["samm"]
    plain = [
        (str(row[8]).replace("A", ""), row[10])
        for row in rows_of(path)[14:]
        if set(str(row[8])) <= set("LRA+0123456789")
    ]
    assert len(plain) > 50
    assert [objective_class(units.split("+")) for units, _ in plain] == [n for _, n in plain]


def test_the_readers_find_every_clip(small):
    out, truth = small
    found = composite(smic=out / "smic", casme2=out / "casme2", samm=out / "samm")
    assert not found.left_out
    got = {(c.key, c.label, c.onset, c.apex, c.offset, c.fps) for c in found.clips}
    wanted = {
        (
            f"{c.dataset}/{c.subject}/{c.clip}",
            c.label,
            c.onset,
            None if c.dataset == "smic" else c.apex,
            c.offset,
            c.fps,
        )
        for c in truth.clips
        if c.label
    }
    assert got == wanted
    assert all((out / c.folder).samefile(clip.path) for c, clip in pairs(truth, found))


def pairs(truth, found):
    by_key = {clip.key: clip for clip in found.clips}
    return [(c, by_key[f"{c.dataset}/{c.subject}/{c.clip}"]) for c in truth.clips if c.label]


# --- when it cannot be written -------------------------------------------------------------------


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="new or empty folder"):
        synth_databases(tmp_path, clips_per_class=1, faces="warped")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    written = []

    def fails(path, frame):
        written.append(path)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(databases, "_write_picture", fails)
    with pytest.raises(OutputError, match="No space left"):
        synth_databases(out, clips_per_class=1, faces="warped")
    assert len(written) == 4
    assert out.exists() is there
    assert not [p for p in tmp_path.rglob("*") if p != out]


@pytest.mark.parametrize("bad", [{"clips_per_class": 0}, {"clips_per_class": 101}, {"jobs": 0}])
def test_numbers_out_of_range(tmp_path, bad):
    with pytest.raises(InputError, match="expected 1 to 100 clips"):
        synth_databases(tmp_path / "out", faces="warped", **bad)


def test_missing_extras_are_named_before_anything_is_written(tmp_path, monkeypatch):
    out = tmp_path / "out"
    for module in (databases, data):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="faces3d"):
        synth_databases(out, faces="mesh")
    assert databases.choose_faces("auto") == "warped"
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"micromimic\[train\]"):
        synth_databases(out, faces="warped")
    assert not out.exists()


# --- faces ---------------------------------------------------------------------------------------

KINDS = ["warped", pytest.param("mesh", marks=mesh)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_is_the_same_each_time_and_unlike_others(kind):
    portrait = Portrait(unit_px=4.0)
    first, again, other = (make_actor(kind, seed, portrait) for seed in (1, 1, 2))
    assert np.array_equal(first.face.picture, again.face.picture)
    assert np.array_equal(first.units, again.units)
    assert np.abs(first.face.picture - other.face.picture).mean() > 10
    assert np.allclose(apply_affine(first.face.to_image, ANCHORS), first.face.anchors)
    assert first.face.picture.dtype == np.float32
    assert first.face.picture.min() > 0 and first.face.picture.max() < 255


@pytest.mark.parametrize("kind", KINDS)
def test_landmarks_land_on_the_anchors(kind):
    backend = DlibLandmarks()
    errors = []
    for seed in range(9):
        portrait = DESIGNS[seed % 3].portrait
        face = make_actor(kind, 500 + seed, portrait).face
        size = (portrait.width, portrait.height)
        picture = cv2.resize(face.picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        boxes = backend.detect(gray, 320)
        assert len(boxes) == 1
        found = anchor_points(backend.landmarks(gray, boxes[0]))
        errors.append(apply_affine(invert_affine(face.to_image), found) - ANCHORS)
    # canonical units: landmarks jitter by some tenths, the anchors must not be off on average
    assert np.abs(np.mean(errors, axis=0)).max() < 0.5
    assert np.linalg.norm(errors, axis=-1).max() < 1.6


def test_dlib_finds_the_face_at_every_onset(small):
    out, truth = small
    backend = DlibLandmarks()
    for clip in truth.clips:
        path = out / clip.folder / clip.file(clip.onset)
        assert len(backend.detect(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 320)) == 1


# --- motion --------------------------------------------------------------------------------------


def jpeg(frame):
    content = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)


@cache
def measured(kind):
    """(clip, planted (2, 28, 28), flow map) of nine clips that peak near 1.5 px."""
    clips = [c for c in plan_databases(full=True, faces=kind, seed=2) if 1.3 < c.peak_px < 1.7]
    calm = [c for c in clips if not c.plan().blinks]
    chosen = [c for e in THREE for c in [c for c in calm if c.label == e][::3][:3]]
    assert len(chosen) == 9
    return [(clip, *measure(clip)) for clip in chosen]


def measure(clip) -> tuple[np.ndarray, FlowMap]:
    actor, plan = clip.actor(), clip.plan()
    frames = [
        jpeg(next(iter(render(plan, actor=actor, frames=range(n, n + 1)))))
        for n in (clip.onset - clip.first, clip.apex - clip.first)
    ]
    field = planted_field(plan, 0, actor=actor)
    axis = np.arange(28) + 0.5
    cells = np.stack(np.meshgrid(axis, axis), axis=-1)
    places = (apply_affine(actor.face.to_image, cells) - 0.5) / 2.0
    pixels = cv2.remap(field, places.astype(np.float32), None, cv2.INTER_LINEAR)
    units = pixels @ np.linalg.inv(actor.face.to_image[:, :2]).T
    return np.moveaxis(units, -1, 0), flow_between(*frames)


@pytest.mark.parametrize("kind", KINDS)
def test_the_planted_field_is_recovered_from_the_pictures(kind):
    correlations = [
        np.corrcoef(planted.ravel(), flow.uv.ravel())[0, 1] for _, planted, flow in measured(kind)
    ]
    assert np.median(correlations) > 0.85
    assert min(correlations) > 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_model_names_most_of_them(kind):
    rows = measured(kind)
    maps = np.stack([flow.channels() for *_, flow in rows])
    named = [found.label for found in load_model(None).predict(maps)]
    right = sum(a == clip.label for a, (clip, *_) in zip(named, rows, strict=True))
    assert right >= 7


def test_nothing_moves_but_what_was_planted():
    """The apex differs from the onset by the planted movement, not by who is filmed."""
    clip = next(c for c in plan_databases(full=True) if c.peak_px > 1.5 and not c.plan().blinks)
    actor, plan = clip.actor(), clip.plan()
    still = replace(
        plan.config,
        noise_sd=0.0,
        drift_px=0.0,
        drift_deg=0.0,
        yaw_px=0.0,
        sway_px=(0.0, 0.0),
        light_drift=0.0,
        flicker=0.0,
    )
    quiet = replace(plan, config=still)
    onset, apex = clip.onset - clip.first, clip.apex - clip.first
    last = clip.offset - clip.first
    shown = list(render(quiet, actor=actor, frames=range(onset, last + 1)))
    assert np.array_equal(shown[0], shown[-1])
    changes = [np.abs(f.astype(int) - shown[0]).mean() for f in shown]
    assert int(np.argmax(changes)) == pytest.approx(apex - onset, abs=1)
