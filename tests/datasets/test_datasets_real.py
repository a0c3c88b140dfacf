"""The official tables: the composite's 442 clips come out. Frames are files of one byte.

Skips where the tables are not there, see ``conftest.shared``.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from micromimic.datasets.databases import database
from micromimic.datasets.megc2019 import ARTICLE, composite, table1
from micromimic.datasets.read import index, read_database

from ..fake_databases import frames, read_smic

pytest.importorskip("openpyxl")

WORDS = {"ne": "negative", "po": "positive", "sur": "surprise"}
SHORT = {"013_1_12", "013_1_8", "017_3_2", "026_1_1", "026_1_2", "035_7_2"}
SMIC_E_LACKS = (
    "s01_ne_02", "s02_sur_05", "s03_ne_03", "s03_ne_20", "s04_ne_05", "s04_ne_06", "s09_sur_02",
)  # fmt: skip


@pytest.fixture(scope="module")
def tables(shared: Path) -> Path:
    folder = shared / "data" / "annotations"
    if not folder.is_dir():
        pytest.skip(f"no official tables: {folder} is not there")
    return folder


def rows_of(path: Path, sheet: str, header: int, classes: set[str], emotion: str) -> Iterator[dict]:
    """Rows of the classes that are used, read another way than the reader does."""
    import openpyxl

    rows = openpyxl.load_workbook(path, data_only=True)[sheet].iter_rows(
        min_row=header, values_only=True
    )
    names = [str(name) for name in next(rows)]
    for row in rows:
        values = dict(zip(names, row, strict=True))
        if str(values[emotion]).lower() in classes:
            yield values


@pytest.fixture(scope="module")
def databases(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three databases as their tables have them, without pictures."""
    root = tmp_path_factory.mktemp("databases")
    used = set(database("casme2").words)
    name = "CASME2-coding-20140508.xlsx"
    for row in rows_of(tables / name, "Sheet1", 1, used, "Estimated Emotion"):
        folder = root / "casme2/CASME2_RAW_selected" / f"sub{row['Subject']}" / row["Filename"]
        frames(folder, range(row["OnsetFrame"], row["OffsetFrame"] + 1), "img{}.jpg")
    (root / "casme2" / name).symlink_to(tables / name)
    used = set(database("samm").words)
    name = "SAMM_Micro_FACS_Codes_v2.xlsx"
    for row in rows_of(tables / name, "MICRO_ONLY", 14, used, "Estimated Emotion"):
        short = row["Filename"] in SHORT
        picture = row["Subject"] + ("_{:04d}.jpg" if short else "_{:05d}.jpg")
        folder = root / "samm/SAMM" / row["Subject"] / row["Filename"]
        frames(folder, range(row["Onset Frame"], row["Offset Frame"] + 1), picture)
    (root / "samm" / name).symlink_to(tables / name)
    smic_e = rows_of(tables / "SMIC-HS-E_annotation.xlsx", "HS", 1, set(WORDS.values()), "Emotion")
    names = [(f"s{row['Subject']}", row["Filename"]) for row in smic_e]
    lacking = [name.replace("s0", "s") for name in SMIC_E_LACKS]
    for subject, clip in names + [(name.split("_")[0], name) for name in lacking]:
        folder = root / "smic/HS" / subject / "micro" / WORDS[clip.split("_")[1]] / clip
        frames(folder, range(1000, 1010), "image{}.jpg")
    return root


def test_the_composite_is_the_articles(databases: Path) -> None:
    whole = composite(databases / "smic", databases / "casme2", databases / "samm")
    assert len(whole.clips) == 442
    assert len({clip.who for clip in whole.clips}) == 68
    for name, (subjects, count, *labels) in ARTICLE.items():
        clips = whole.found[name].clips
        assert len(clips) == count
        assert len({clip.subject for clip in clips}) == subjects
        assert [sum(c.label == word for c in clips) for word in WORDS.values()] == labels
        assert all((clip.apex is None) == (name == "smic") for clip in clips)
    left_out = [f"{left.dataset}/{left.subject}/{left.clip}" for left in whole.left_out]
    assert left_out == ["casme2/sub04/EP12_01f", "casme2/sub05/EP09_05f"]
    assert not whole.notes
    assert whole.dropped == {
        "casme2": {"others": 99, "sadness": 7, "fear": 2},
        "samm": {"other": 26},
    }
    assert len(table1(whole.clips, whole.left_out).splitlines()) == 6


def test_five_classes_of_each(databases: Path) -> None:
    """CASME II's table has 25 surprises: the composite's too, and 246 clips in all."""
    for name, counts in (
        (
            "casme2",
            {"disgust": 63, "happiness": 32, "others": 99, "repression": 27, "surprise": 25},
        ),
        ("samm", {"anger": 57, "contempt": 12, "happiness": 26, "other": 26, "surprise": 15}),
    ):
        found = read_database(name, databases / name, labels=["five"])
        assert Counter(clip.extra["label5"] for clip in found.clips) == counts
        assert len(found.clips) == sum(counts.values())
        assert not found.left_out
    both = index({name: databases / name for name in ("casme2", "samm")}, labels=["three"])
    assert Counter(clip.label for clip in both.clips) == {
        "negative": 180, "positive": 58, "surprise": 40,
    }  # fmt: skip


def test_clips_join_with_the_published_flow_maps(databases: Path, shared: Path) -> None:
    maps = shared / "data" / "flow_maps" / "manifest.csv"
    if not maps.is_file():
        pytest.skip(f"no flow maps: {maps} is not there")
    whole = composite(databases / "smic", databases / "casme2", databases / "samm")
    ours = {(clip.dataset, clip.subject, clip.clip): clip.label for clip in whole.clips}
    with maps.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 312
    for row in rows:
        assert ours[row["dataset"], row["subject"], row["clip"]] == row["label"]


def test_annotated_frames_are_the_tables(databases: Path) -> None:
    whole = composite(casme2=databases / "casme2", samm=databases / "samm")
    by_key = {clip.key: (clip.onset, clip.apex, clip.offset) for clip in whole.clips}
    assert by_key["casme2/sub01/EP02_01f"] == (46, 59, 86)
    assert by_key["casme2/sub12/EP09_06"] == (66, 111, 111)
    assert by_key["samm/006/006_1_2"] == (5562, 5588, 5632)
    assert by_key["samm/013/013_1_12"] == (706, 739, 802)
    assert by_key["samm/035/035_7_2"] == (823, 855, 918)


def test_smic_e_as_its_table_has_it(tables: Path, tmp_path: Path) -> None:
    table = tables / "SMIC-HS-E_annotation.xlsx"
    for row in rows_of(table, "HS", 1, set(WORDS.values()), "Emotion"):
        folder = tmp_path / "HS_long/SMIC_HS_E" / f"s{row['Subject']}" / row["Filename"]
        frames(folder, range(int(row["OnsetF"]) - 3, int(row["OffsetF"]) + 4), "image{}.jpg")
    found = read_smic(tmp_path, table)
    assert len(found.clips) == 157
    assert [left.clip for left in found.left_out] == list(SMIC_E_LACKS)
    labels = [sum(clip.label == word for clip in found.clips) for word in WORDS.values()]
    assert labels == [65, 51, 41]
    (note,) = found.notes
    assert (note.clip, note.text.split(":")[0]) == (
        "s18_sur_03",
        "label corrected from negative to surprise",
    )
    further = {
        clip.clip: clip.extra["further_pairs"]
        for clip in found.clips
        if clip.extra.get("further_pairs")
    }
    assert further == {
        "s03_ne_02": "302370-302380",
        "s04_ne_04": "219343-219361; 219413-219435",
        "s09_sur_01": "61250-61291",
        "s18_ne_01": "1644441-1644477",
        "s18_sur_03": "1695422-1695446",
        "s20_ne_06": "17668855-17668883",
        "s20_ne_09": "17678581-17678613",
        "s20_sur_02": "17693037-17693057",
    }


def test_smic_vis_as_its_sheet_has_it(tables: Path, tmp_path: Path) -> None:
    """The high-speed camera's workbook has a sheet of the visible-light camera."""
    table = tables / "SMIC-HS-E_annotation.xlsx"
    for row in rows_of(table, "VIS", 1, set(WORDS.values()), "Emotion"):
        folder = tmp_path / "VIS_long/SMIC-VIS-E/VIS" / f"s{row['Subject']:02d}" / row["Filename"]
        frames(folder, range(row["TotalVL"]), "image{}.jpg")  # numbered from the clip's beginning
    found = read_database("smic-vis", tmp_path, table)
    assert len(found.clips) == 71
    assert len({clip.subject for clip in found.clips}) == 8
    assert not found.left_out
    assert Counter(clip.label for clip in found.clips) == {
        "negative": 23, "positive": 28, "surprise": 20,
    }  # fmt: skip
    (clip,) = (clip for clip in found.clips if clip.clip == "s20_ne_01")
    assert (clip.onset, clip.offset) == (7750 - 7712, 7754 - 7712)
