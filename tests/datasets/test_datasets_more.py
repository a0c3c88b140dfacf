"""The databases beside the composite's: each in its layout, with its quirks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from micromimic.cli.main import main
from micromimic.core.errors import InputError, LabelError
from micromimic.datasets.base import Found
from micromimic.datasets.clip import Event
from micromimic.datasets.corrections import builtin_corrections
from micromimic.datasets.databases import database, databases
from micromimic.datasets.manifest import Clip, read_manifest, write_manifest
from micromimic.datasets.read import index, read_database
from micromimic.datasets.schemes import scheme
from micromimic.datasets.table import read_table
from micromimic.synthesis.databases.plans import plan_databases, plan_videos
from micromimic.synthesis.databases.tables import annotation_tables
from micromimic.synthesis.databases.write import synth_databases

from ..fake_databases import excel, frames, sheet, small_casme2, small_samm, small_smic

pytest.importorskip("openpyxl")

VIS = [
    "Subject",
    "Filename",
    "",
    "OnsetF",
    "OffsetF",
    "Onset2F",
    "Offset2F",
    "",
    "FirstF",
    "Emotion",
]
CASME = ["Subject", "Filename", "", "OnsetF", "ApexF1", "ApexF2", "OffsetF", "", "AU", "Emotion"]
CASME3 = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
FRAMES = ["OnsetFrame", "ApexFrame", "OffsetFrame"]
MMEW = ["Subject", "Filename", *FRAMES, "Action Units", "Estimated Emotion", "remarks"]
FLAGS = ["Positive", "Negative", "Surprise", "Repression", "Others", "Total"]
FOURDME = [
    "sub_ID",
    "fold_name",
    "fold",
    "Emotion",
    "Onset",
    "Apex",
    "Offset",
    "AUs",
    "eye blink",
    *FLAGS,
]
DFME = ["Subject", "Filename", "Onset", "Apex", "Offset", "Emotion", "AUs"]
SAMM_LONG = [
    *("Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type"),
    *("Action Units", "Notes"),
]


def told(found: Found, column: str = "label") -> list[tuple[object, ...]]:
    """Of each clip: subject, name, label, onset, apex, offset."""
    return [
        (clip.subject, clip.clip, clip.label if column == "label" else clip.extra[column],
         clip.onset, clip.apex, clip.offset)
        for clip in found.clips
    ]  # fmt: skip


def said(items: Sequence[object]) -> list[str]:
    return [str(item) for item in items]


# ------------------------------------------------------------------ clips


@pytest.mark.parametrize("camera", ["VIS", "NIR"])
@pytest.mark.parametrize("begins", [7712, 0])
def test_smics_other_cameras_count_from_the_first_picture(
    tmp_path: Path, camera: str, begins: int
) -> None:
    home = tmp_path / f"SMIC-E_raw image/{camera}_long/SMIC-{camera}-E/{camera}/s20/s20_ne_01"
    frames(home, range(begins, begins + 52), "image{}.jpg")
    frames(tmp_path / "SMIC-E_raw image/HS_long/SMIC_HS_E/s20/s20_ne_01", range(5))
    rows = [VIS, [20, "s20_ne_01", "", 7750, 7754, "", "", "", 7712, "negative"]]
    excel(tmp_path / f"SMIC-{camera}-E_annotation.xlsx", {camera: rows, "HS": [["x"]]})
    found = read_database(f"smic-{camera.lower()}", tmp_path)
    assert told(found) == [("s20", "s20_ne_01", "negative", begins + 38, None, begins + 42)]
    assert found.clips[0].fps == 25.0
    assert not found.left_out


def test_casme_has_two_apexes_and_other_people_than_casme2(tmp_path: Path) -> None:
    frames(tmp_path / "sub01/EP01_5", range(90, 130), "EP01_5-{}.jpg")
    frames(tmp_path / "sub02/EP02_1", range(1, 30), "EP02_1-{}.jpg")
    rows = [[1, "EP01_5", "", 100, 110, 112, 120, "", "1+2", "surprise"],
            [2, "EP02_1", "", 1, 10, "", 20, "", "4", "tense"]]  # fmt: skip
    sheet(tmp_path / "CASME.csv", [CASME, *rows])
    found = read_database("casme", tmp_path)
    assert told(found) == [("casme01", "EP01_5", "surprise", 100, 110, 120)]
    assert found.clips[0].extra["second_apex"] == "112"
    assert found.dropped == {"tense": 1}


def test_casme3_names_clips_by_their_onset(tmp_path: Path) -> None:
    for part in ("part_A/spNO.1/a", "part_C/spNO.1/a"):
        frames(tmp_path / part / "color", range(170, 260), "{}.jpg")
        frames(tmp_path / part / "depth", range(170, 260), "{}.png")
    rows = [["spNO.1", "a", 175, 180, 190, "4", "I", "disgust"],
            ["spNO.1", "a", 200, 210, 220, "12", "I", "Happy"],
            ["spNO.1", "a", 230, 235, 240, "0", "I", "others"]]  # fmt: skip
    excel(tmp_path / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", {"Sheet1": [CASME3, *rows]})
    found = read_database("casme3", tmp_path)
    assert told(found) == [
        ("spNO.1", "a_175", "negative", 175, 180, 190),
        ("spNO.1", "a_200", "positive", 200, 210, 220),
    ]
    assert found.clips[0].path == tmp_path / "part_A/spNO.1/a/color"
    assert found.dropped == {"others": 1}
    four = read_database("casme3", tmp_path, labels=["four", "seven"])
    assert [c.extra["label4"] for c in four.clips] == ["negative", "positive", "others"]
    assert [c.extra["label7"] for c in four.clips] == ["disgust", "happy", "others"]
    assert [c.label for c in four.clips] == ["negative", "positive", ""]
    (note,) = said(four.notes)
    assert "has 3 rows, not the official table's 860: known errors in its rows are not" in note


def test_rows_of_the_official_table_are_corrected(tmp_path: Path) -> None:
    rows = [[3, f"S03-01-{n:03d}", 1, 0, 20, "4", "anger", ""] for n in range(300)]
    for n in (33, 34):
        frames(tmp_path / f"Micro_Expression/anger/S03-01-{n:03d}", range(1, 100), "{}.jpg")
    sheet(tmp_path / "MMEW_Micro_Exp.csv", [MMEW, *rows])
    found = read_database("mmew", tmp_path)
    assert [row[3:] for row in told(found)] == [(1, 40, 75), (1, None, 20)]
    assert "apex corrected from 0 to 40: missing, estimated by flow: MEB" in said(found.notes)[0]
    assert len(found.left_out) == 298


def test_corrections_by_row_are_those_that_their_source_gives() -> None:
    by_row: dict[str, set[str]] = {}
    for fix in builtin_corrections():
        if not fix.subject:
            by_row.setdefault(fix.dataset, set()).add(fix.clip.removeprefix("row "))
            assert "MEB" in fix.reason
    assert by_row["casme"] == {"40", "42", "43", "54", "140"}
    assert by_row["casme3"] == {"128", "708", "749", "796", "798"}
    assert len(by_row["mmew"]) == 16


def test_mmew_lies_by_emotion(tmp_path: Path) -> None:
    for emotion, clip in (("happiness", "S03-01-002"), ("sadness", "S11-05-001")):
        frames(tmp_path / "Micro_Expression" / emotion / clip, range(1, 40), "{}.jpg")
    frames(tmp_path / "Macro_Expression/S03/anger", range(1, 4), "S03-01-00{}.jpg")
    rows = [["S03", "S03-01-002", 1, 12, 30, "12", "happiness", ""],
            [11, "S11-05-001", 2, 10, 39, "15", "sadness", "weak"]]  # fmt: skip
    sheet(tmp_path / "MMEW_Micro_Exp.csv", [MMEW, *rows])
    found = read_database("mmew", tmp_path, labels=["three", "seven"])
    assert told(found) == [
        ("S03", "S03-01-002", "positive", 1, 12, 30), ("S11", "S11-05-001", "negative", 2, 10, 39),
    ]  # fmt: skip
    assert [clip.extra["label7"] for clip in found.clips] == ["happiness", "sadness"]
    assert not found.left_out


def test_4dme_may_show_several_emotions(tmp_path: Path) -> None:
    flags = {"a": (0, 1, 1, 0, 0), "b": (0, 1, 0, 1, 0), "c": (1, 0, 0, 0, 1), "d": (0, 0, 0, 0, 1)}
    rows = []
    for name, shown in flags.items():
        frames(tmp_path / "gray_micro/1" / f"clip {name}", range(100, 140), "{}.jpg")
        rows.append([1, f"clip {name}", 1, "x", 101, 110, 130, "4", 0, *shown, sum(shown)])
    excel(tmp_path / "4DME_Labelling_Micro_release v1.xlsx", {"Sheet1": [FOURDME, *rows]})
    found = read_database("4dme", tmp_path, labels=["several"])
    assert [clip.extra["label5"] for clip in found.clips] == [
        "negative+surprise", "negative+repression", "others+positive", "others",
    ]  # fmt: skip
    assert [clip.label for clip in found.clips] == ["", "negative", "positive", ""]
    assert [clip.clip for clip in read_database("4dme", tmp_path).clips] == ["clip b", "clip c"]


def test_4dmes_swapped_rows_are_swapped_back(tmp_path: Path) -> None:
    rows = []
    for n in range(267):
        shown = (1, 0, 0, 0, 0) if n == 144 else (0, 1, 0, 0, 0)
        rows.append([1, f"c{n}", 1, "x", 1, 2, 3, f"AU{n}", 0, *shown, 1])
    frames(tmp_path / "gray_micro/1/c144", range(1, 4), "{}.jpg")
    frames(tmp_path / "gray_micro/1/c145", range(1, 4), "{}.jpg")
    sheet(tmp_path / "4DME_Labelling_Micro_release v1.csv", [FOURDME, *rows])
    found = read_database("4dme", tmp_path)
    assert [(c.clip, c.label, c.extra["action_units"]) for c in found.clips] == [
        ("c144", "negative", "AU145"), ("c145", "positive", "AU144"),
    ]  # fmt: skip


def test_dfme_is_read_from_all_its_tables(tmp_path: Path) -> None:
    for place, clip in (("DFME_train", "sub0003_01"), ("DFME_testa", "sub0104_02")):
        frames(tmp_path / place / clip, range(10, 60), "{:05d}.png")
    for name, subject, clip in (("training", 3, "sub0003_01"), ("testA", 104, "sub0104_02")):
        rows = [DFME, [subject, clip, 12, 30, 50, "Contempt", "14"]]
        excel(tmp_path / f"{name}_full_with_AU.xlsx", {"Sheet1": rows, "Sheet2": []})
    found = read_database("dfme", tmp_path, labels=["three", "seven"])
    assert told(found) == [
        ("sub0003", "sub0003_01", "negative", 12, 30, 50),
        ("sub0104", "sub0104_02", "negative", 12, 30, 50),
    ]
    assert {clip.extra["label7"] for clip in found.clips} == {"contempt"}
    assert not (found.left_out or found.notes)


# ------------------------------------------------------------------ long videos


def casme_squared(folder: Path) -> Path:
    frames(folder / "rawpic/s15/15_0101disgustingteeth", range(1, 200), "img{:03d}.jpg")
    frames(folder / "rawpic/s15/15_0401girlcrash", range(1, 100), "img{:03d}.jpg")
    frames(folder / "rawpic/s19/23_0502funnyerrors", range(1, 150), "img{:03d}.jpg")
    events = [
        [1, "disgust1_1", 10, 15, 22, "4", "disgust", "micro-expression", "x"],
        [1, "disgust1_2", 50, 0, 90, "4", "negative", "macro-expression", "x"],
        [2, "happy2_1", 100, 110, 0, "12", "happiness", "macro-expression", "x"],
        [2, "happy2_2", 100, 110, 400, "12", "happiness", "macro-expression", "x"],
        [2, "nothing9_1", 1, 2, 3, "12", "smug", "macro-expression", "x"],
    ]
    return excel(
        folder / "CAS(ME)^2code_final(Updated).xlsx",
        {
            "CASFEcode_final": events,
            "naming rule1": [["x", "s15", 1], ["x", "s23", 2]],
            "naming rule2": [["0101", "disgust1"], [401, "anger1"], ["0502", "happy2"]],
        },
    )


def test_casme_squared_names_its_videos_in_two_ways(tmp_path: Path) -> None:
    casme_squared(tmp_path)
    found = read_database("casme-squared", tmp_path)
    assert [(v.subject, v.clip, v.onset, v.offset, v.fps) for v in found.clips] == [
        ("s15", "15_0101disgustingteeth", 1, 199, 30.0),
        ("s15", "15_0401girlcrash", 1, 99, 30.0),
        ("s23", "23_0502funnyerrors", 1, 149, 30.0),
    ]
    name = "casme-squared"
    assert found.events == (
        Event(name, "s15", "15_0101disgustingteeth", 10, 15, 22, "micro", "negative"),
        Event(name, "s15", "15_0101disgustingteeth", 50, 70, 90, "macro", "negative"),
        Event(name, "s23", "23_0502funnyerrors", 100, 110, 110, "macro", "positive"),
    )
    assert said(found.left_out) == [
        "casme-squared/s23/happy2_2 (row 3): its frames 100 to 400 lie outside of 1 to 149",
        "casme-squared/s23/nothing9_1 (row 4): no folder of frames",
    ]
    assert said(found.notes) == [
        "casme-squared/s23/23_0502funnyerrors: its folder lies in that of s19",
        "casme-squared: emotions without a class, left empty: smug",
    ]


def test_casme_squared_without_its_naming_rules(tmp_path: Path) -> None:
    path = casme_squared(tmp_path)
    excel(path, {"CASFEcode_final": [[1, "disgust1_1", 10, 15, 22, "4", "disgust", "micro", "x"]]})
    with pytest.raises(InputError, match="sheets naming rule1 and naming rule2 in .*; pass the"):
        read_database("casme-squared", tmp_path)


def test_samms_long_videos_take_emotions_from_samms_clips(tmp_path: Path) -> None:
    frames(tmp_path / "SAMM_longvideos/006_1", range(1, 500), "006_1_{:04d}.jpg")
    rows: list[list[object]] = [["SAMM Long Videos"], *([[""]] * 8), SAMM_LONG]
    rows.append(["006", "006_1_2", 1, 50, 60, 90, 41, "Micro - 1/2", "4+7", ""])
    rows.append([6, "006_1_9", 1, 200, -1, 400, 201, "Macro", "12", ""])
    excel(tmp_path / "SAMM_LongVideos_V3_Release.xlsx", {"Sheet1": rows})
    assert [event.label for event in read_database("samm-long", tmp_path).events] == ["", ""]
    small_samm(tmp_path / "clips")
    (tmp_path / "clips/SAMM_Micro_FACS_Codes_v2.csv").rename(tmp_path / "SAMM_Micro.csv")
    found = read_database("samm-long", tmp_path)
    assert [(v.subject, v.clip, v.offset) for v in found.clips] == [("006", "006_1", 499)]
    assert found.events == (
        Event("samm-long", "006", "006_1", 50, 60, 90, "micro", "negative"),
        Event("samm-long", "006", "006_1", 200, None, 400, "macro", ""),
    )
    five = read_database("samm-long", tmp_path, labels=["five"])
    assert [event.label for event in five.events] == ["anger", ""]


def test_casme3s_long_videos_and_part_c(tmp_path: Path) -> None:
    frames(tmp_path / "part_A/spNO.1/a/color", range(1, 300), "{}.jpg")
    frames(tmp_path / "part_C/01/a/color", range(1, 300), "{}.jpg")
    head = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "what it is", "emotion"]
    rows = [["spNO.1", "a", 10, 15, 20, "4", "Micro-expression", "anger"],
            ["spNO.1", "a", 50, 60, 90, "12", "Macro-expression", "happy"]]  # fmt: skip
    excel(tmp_path / "CAS(ME)3_part_A_v1.xlsx", {"Sheet1": [head, *rows]})
    excel(
        tmp_path / "CAS(ME)3_part_C_ME.xlsx",
        {"Sheet1": [["sub", "count", "onset", "offset", "au"], [1, 1, 30, 44, "4，7"]]},
    )
    found = read_database("casme3-long", tmp_path, labels=["seven"])
    assert [(e.onset, e.apex, e.offset, e.kind, e.label) for e in found.events] == [
        (10, 15, 20, "micro", "anger"), (50, 60, 90, "macro", "happy"),
    ]  # fmt: skip
    part_c = read_database("casme3-c", tmp_path)
    assert part_c.events == (Event("casme3-c", "partC-01", "a", 30, None, 44, "micro", ""),)
    assert part_c.clips[0].path == tmp_path / "part_C/01/a/color"


def test_an_old_excel_file_says_what_to_do(tmp_path: Path) -> None:
    frames(tmp_path / "part_A/spNO.1/a/color", range(1, 300), "{}.jpg")
    (tmp_path / "CAS(ME)3_part_A_v1.xls").write_bytes(b"x")
    with pytest.raises(InputError, match=r"expected a table as \.xlsx or \.csv, got .*_v1\.xls"):
        read_database("casme3-long", tmp_path)


# ------------------------------------------------------------------ schemes, and what cannot be


def test_every_database_declares_what_a_reader_needs() -> None:
    for name, each in databases().items():
        assert each.name == name
        assert scheme("three", [name]) == each.schemes["three"]
        assert "doi 10." in each.reference and each.licence and each.title
        assert each.table is not None or each.reader is not None
    counts = {"casme3": (3, 4, 7), "mmew": (3, 7), "dfme": (3, 7), "casme2": (3, 5), "samm": (3, 5)}
    for name, sizes in counts.items():
        assert tuple(map(len, database(name).schemes.values())) == sizes
    assert database("4dme").schemes["several"].several


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["five"], "expected one set of labels named five, got disgust, .* .casme2. and anger"),
        (["seven"], "expected labels that casme2 has .three, five., got 'seven'; name one of them"),
        (["any"], "expected labels that casme2 has .three, five., got 'any'; name one of them"),
    ],
)
def test_schemes_that_do_not_fit(tmp_path: Path, labels: list[str], text: str) -> None:
    folders = {"casme2": small_casme2(tmp_path / "a"), "samm": small_samm(tmp_path / "b")}
    with pytest.raises(LabelError, match=text) as error:
        index(folders, labels=labels)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("casme7",), "expected a database among smic, .*, got 'casme7'"),
        (("samm", "samm-long"), "got clips of samm and long videos of samm-long; index them apart"),
        (("smic", "smic-vis"), "each person in one database, got smic beside another that films"),
    ],
)
def test_databases_that_do_not_go_together(
    tmp_path: Path, names: tuple[str, ...], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        index(dict.fromkeys(names, tmp_path))


def test_another_databases_folder_and_table_are_refused(tmp_path: Path) -> None:
    small_casme2(tmp_path / "two")
    with pytest.raises(
        InputError, match="expected CASME's annotation .* got no such table; not it"
    ):
        read_database("casme", tmp_path / "two")
    with pytest.raises(InputError, match=r"expected CAS\(ME\)\^3 part A in .*, as part_A/spNO"):
        read_database("casme3", small_smic(tmp_path / "smic"))


# ------------------------------------------------------------------ what we make up


def test_every_made_up_database_is_read_back(tmp_path: Path) -> None:
    """Its folders, names and tables; readers decode no picture, so those are of one byte."""
    names = [name for name in databases() if not databases()[name].long]
    clips = plan_databases(5, names=names)
    for clip in clips:
        numbers = range(clip.first, clip.last + 1)
        home = tmp_path / clip.folder
        home.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            (home / clip.file(number)).write_bytes(b"x")
    for path, content in annotation_tables(clips).items():
        (tmp_path / path).write_bytes(content)
    for name in names:
        found = read_database(name, tmp_path / name)
        apex = databases()[name].apex
        assert {(c.subject, c.clip, c.label, c.onset, c.apex, c.offset) for c in found.clips} == {
            (c.subject, c.clip, c.label, c.onset, c.apex if apex else None, c.offset)
            for c in clips
            if c.dataset == name and c.label
        }
        assert not found.left_out
        many = {labels.name: len(read_database(name, tmp_path / name, labels=[labels.name]).clips)
                for labels in databases()[name].schemes.values()}  # fmt: skip
        assert all(many.values()), many


def test_made_up_long_videos_are_read_back(tmp_path: Path) -> None:
    names = [name for name in databases() if databases()[name].long]
    videos = plan_videos(7, 8.0, seed=1, faces="warped", names=names)
    for video in videos:
        home = tmp_path / video.folder
        home.mkdir(parents=True)
        for number in range(1, video.frames + 1):
            (home / video.file(number)).write_bytes(b"x")
    for path, content in annotation_tables((), videos).items():
        (tmp_path / path).write_bytes(content)
    found = index({name: tmp_path / name for name in names})
    assert {v.key for v in found.clips} == {f"{v.dataset}/{v.subject}/{v.video}" for v in videos}
    assert len(found.clips) == 28
    planted = [(video, event) for video in videos for event in video.events]
    assert {(e.key, e.onset, e.offset, e.kind) for e in found.events} == {
        (f"{v.dataset}/{v.subject}/{v.video}", e.onset, e.offset, e.kind) for v, e in planted
    }
    labelled = {(e.key, e.onset): e.label for e in found.events if e.label}
    assert len(labelled) > len(planted) / 2
    assert all(
        labelled.get((f"{v.dataset}/{v.subject}/{v.video}", e.onset), e.label) == e.label
        for v, e in planted
    )
    assert not found.left_out
    assert sum(video.quiet for video in videos) == 4


def test_long_videos_are_rendered_and_said_in_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "all"
    made = ["casme-squared", "casme3"]
    truth = synth_databases(out, names=made, clips_per_class=1, seconds=6.0, faces="warped")
    (video,) = truth.videos
    (row,) = json.loads((out / "truth.json").read_text())["videos"]
    assert [event["apex"] for event in row["events"]] == [event.apex for event in video.events]
    pictures = sorted((out / video.folder).iterdir())
    assert len(pictures) == 180 == video.frames
    event = next(event for event in video.events if event.kind == "macro")
    still, moved = (
        cv2.imread(str(out / video.folder / video.file(frame)), cv2.IMREAD_GRAYSCALE).astype(float)
        for frame in (event.onset, event.apex)
    )
    quiet = cv2.imread(str(out / video.folder / video.file(event.onset - 4)), cv2.IMREAD_GRAYSCALE)
    assert np.abs(moved - still).mean() > 1.2 * np.abs(quiet.astype(float) - still).mean()
    found = index({"casme-squared": out / "casme-squared"})
    assert len(found.events) == len(video.events)
    assert all(clip.extra["synthetic"] == "yes" for clip in found.clips)


@pytest.mark.parametrize(
    "wrong", [{"names": ["casme9"]}, {"names": ["mmew"], "full": True}, {"seconds": 2.0}]
)
def test_databases_that_cannot_be_made(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected databases among smic, casme2, samm"):
        synth_databases(tmp_path / "out", **wrong)


def test_what_is_made_goes_through_to_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["smic-vis", "casme3"]
    synth_databases(tmp_path / "all", names=names, clips_per_class=1, faces="warped")
    places = [f"{name}={tmp_path / 'all' / name}" for name in names]
    manifest = tmp_path / "m.csv"
    words = ["--labels", "three", "--out", str(manifest)]
    assert main(["datasets", "index", *places, *words]) == 0
    assert main(["datasets", "prepare", str(manifest)]) == 0
    out = tmp_path / "runs"
    assert main(["evaluate", str(manifest), "--model", "flow-template", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "6 of 6 clips prepared, apex spotted in 3" in said
    (table,) = out.rglob("predictions.csv")
    assert set(read_table(table, ["dataset"])["dataset"]) == set(names)


def test_a_manifest_of_two_databases_is_not_read_by_sets_that_differ(tmp_path: Path) -> None:
    clips = [
        Clip(name, name, "c", label, "video", tmp_path / "v.mp4", extra={"label5": word})
        for name, label, word in (("casme2", "negative", "disgust"), ("samm", "", "other"))
    ]
    write_manifest(tmp_path / "m.csv", clips)
    with pytest.raises(LabelError, match="one set of labels named five, got disgust, .* .casme2."):
        read_manifest(tmp_path / "m.csv", "five", check_files=False)
    assert len(read_manifest(tmp_path / "m.csv", check_files=False)) == 1
    write_manifest(tmp_path / "one.csv", clips[:1])
    (clip,) = read_manifest(tmp_path / "one.csv", "five", check_files=False)
    assert clip.label == "disgust"
    with pytest.raises(LabelError, match="expected labels as three, five, any or names"):
        read_manifest(tmp_path / "one.csv", "four", check_files=False)


def test_the_databases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "list"]) == 0
    said = capsys.readouterr().out
    for each in databases().values():
        assert f"{each.name}: {each.title}, " in said
        assert each.reference in said
