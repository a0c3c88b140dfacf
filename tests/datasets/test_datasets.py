"""Readers of the three databases: layouts, spellings, copies, frames."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from micromimic.core.errors import InputError
from micromimic.datasets.base import Found
from micromimic.datasets.databases.smic import COUNTS
from micromimic.datasets.manifest import Clip

from ..fake_databases import (
    casme2_row,
    casme2_table,
    frames,
    read_casme2,
    read_samm,
    read_smic,
    samm_row,
    samm_table,
    small_casme2,
    small_samm,
    small_smic,
    smic_e_row,
    smic_e_table,
)


def only(found: Found) -> Clip:
    (clip,) = found.clips
    return clip


def reasons(found: Found) -> list[str]:
    return [str(left) for left in found.left_out]


def notes(found: Found) -> list[str]:
    return [str(note) for note in found.notes]


# ------------------------------------------------------------------ layouts and spellings


@pytest.mark.parametrize(
    ("clip", "picture", "given"),
    [
        ("CASME2_RAW_selected/sub01/EP02_01f", "img{}.jpg", "."),
        ("CASME2_RAW_selected/sub01/EP02_01f", "img{}.jpg", "CASME2_RAW_selected"),
        ("CASME2_RAW_selected/sub01/EP02_01f", "img{}.jpg", "CASME2_RAW_selected/sub01"),
        ("Cropped/sub01/EP02_01f", "reg_img{}.jpg", "Cropped"),
        ("CASME2/Cropped/Cropped/sub01/EP02_01f", "reg_img{}.bmp", "."),
        ("CASME2_RAW_selected/sub1/ep2_1F", "img{:04d}.PNG", "."),
        ("CASME2_RAW_selected/01/EP02_01f", "{}.png", "."),
        ("CASME2_RAW_selected/SUB01/EP02_01f/EP02_01f", "img{}.jpeg", "."),
        ("sub01/EP02_01f", "img{}.jpg", "."),
    ],
)
def test_casme2_is_found_wherever_it_lies(
    tmp_path: Path, clip: str, picture: str, given: str
) -> None:
    home = frames(tmp_path / clip, range(40, 90), picture)
    casme2_table(tmp_path, casme2_row())
    found = read_casme2(tmp_path / given)
    assert only(found) == Clip(
        "casme2", "sub01", "EP02_01f", "positive", "frames", home, 46, 59, 86, 200.0,
        {"emotion": "happiness", "action_units": "12"},
    )  # fmt: skip
    assert not found.left_out
    assert not found.notes
    assert found.table == tmp_path / "CASME2-coding-20140508.csv"


@pytest.mark.parametrize(
    ("clip", "picture", "given"),
    [
        ("SAMM/006/006_1_2", "006_{:05d}.jpg", "."),
        ("SAMM/006/006_1_2", "006_{:04d}.jpg", "SAMM"),
        ("SAMM/6/6_1_2", "006_{}.bmp", "SAMM/6"),
        ("006_1_2", "{:05d}.png", "."),
        ("SAMM/006/006_1_2/006_1_2", "006_{:05d}.jpg", "."),
    ],
)
def test_samm_is_found_wherever_it_lies(
    tmp_path: Path, clip: str, picture: str, given: str
) -> None:
    home = frames(tmp_path / clip, range(5562, 5633), picture)
    samm_table(tmp_path, samm_row(subject="6"))
    found = read_samm(tmp_path / given)
    assert only(found) == Clip(
        "samm", "006", "006_1_2", "negative", "frames", home, 5562, 5588, 5632, 200.0,
        {"emotion": "anger", "action_units": "4+7"},
    )  # fmt: skip
    assert not found.left_out
    assert not found.notes


@pytest.mark.parametrize(
    ("clip", "picture", "given"),
    [
        ("HS/s01/micro/negative/s1_ne_01", "image{}.jpg", "."),
        ("HS/s01/micro/negative/s1_ne_01", "image{}.jpg", "HS"),
        ("SMIC_all_cropped/HS/s1/micro/Negative/s1_ne_01", "reg_image{}.bmp", "."),
        ("SMIC_all_cropped/HS/s1/micro/negative/s01_ne_1", "image{}.png", "SMIC_all_cropped"),
        ("negative/s1_ne_01", "image{}.jpg", "."),
        ("HS/s01/micro/negative/s1_ne_01/s1_ne_01", "image{}.jpg", "."),
    ],
)
def test_smic_is_found_wherever_it_lies(
    tmp_path: Path, clip: str, picture: str, given: str
) -> None:
    home = frames(tmp_path / clip, range(17581039, 17581056), picture)
    found = read_smic(tmp_path / given)
    assert only(found) == Clip(
        "smic", "s01", "s01_ne_01", "negative", "frames", home, 17581039, None, 17581055, 100.0,
        {"emotion": "negative"},
    )  # fmt: skip
    assert found.table is None
    assert not found.notes


@pytest.mark.parametrize("given", [".", "HS_long", "HS_long/SMIC_HS_E"])
def test_smic_e_takes_the_first_movement_and_names_the_others(tmp_path: Path, given: str) -> None:
    home = tmp_path / "HS_long/SMIC_HS_E/s20"
    for clip in ("s20_ne_01", "s20_ne_06", "s20_po_01"):
        frames(home / clip, range(887, 1095), "image{}.jpg")
    smic_e_table(
        tmp_path,
        smic_e_row(),
        # The official table's formulas leave numbers in the third pair where there is no movement.
        smic_e_row(clip="s20_ne_06", further=(1060, 1080, 500, 887)),
        smic_e_row(clip="s20_po_01", emotion="positive", further=(1060, 1080, 1060, 1080)),
    )
    found = read_smic(tmp_path / given)
    assert [clip.clip for clip in found.clips] == ["s20_ne_01", "s20_ne_06", "s20_po_01"]
    assert {(clip.onset, clip.apex, clip.offset) for clip in found.clips} == {(1039, None, 1055)}
    assert [clip.extra.get("further_pairs") for clip in found.clips] == [
        None,
        "1060-1080",
        "1060-1080",
    ]


def test_smic_e_keeps_three_movements(tmp_path: Path) -> None:
    frames(tmp_path / "s4/s4_ne_04", range(900, 1095), "image{}.jpg")
    row = smic_e_row(4, "s4_ne_04", 900, 930, further=(950, 960, 1000, 1020))
    smic_e_table(tmp_path, row)
    assert only(read_smic(tmp_path)).extra["further_pairs"] == "950-960; 1000-1020"


def test_smic_hs_goes_before_smic_e(tmp_path: Path) -> None:
    small_smic(tmp_path)
    frames(tmp_path / "HS_long/SMIC_HS_E/s1/s1_ne_01", range(900, 1095), "image{}.jpg")
    smic_e_table(tmp_path, smic_e_row(1, "s1_ne_01"))
    found = read_smic(tmp_path)
    assert [clip.clip for clip in found.clips] == ["s01_ne_01", "s01_po_02", "s18_sur_03"]
    assert "HS" in found.clips[0].path.parts
    assert notes(found) == ["smic: SMIC-HS is read; not read: 1 folder outside of it (SMIC-E)"]


def test_other_cameras_and_clips_without_movement_are_not_taken(tmp_path: Path) -> None:
    small_smic(tmp_path)
    for part in ("VIS/s01/micro", "SMIC_NIR_E/s01", "HS/s01/non_micro", "HS/s01/nonmicro"):
        frames(tmp_path / part / "negative/s1_ne_07", range(5))
    assert len(read_smic(tmp_path).clips) == 3
    with pytest.raises(InputError, match="expected SMIC-HS in .*VIS, got a folder of its other"):
        read_smic(tmp_path / "VIS")


def test_what_smic_hs_should_hold_and_does_not_is_listed(tmp_path: Path) -> None:
    found = read_smic(small_smic(tmp_path))
    missing = {left.clip for left in found.left_out}
    assert len(missing) == 161
    assert {left.text for left in found.left_out} == {"no folder of frames"}
    assert "s03_ne_22" in missing
    assert "s01_ne_01" not in missing
    counts = [sum(row[place] for row in COUNTS.values()) for place in range(3)]
    assert counts == [70, 51, 43]


def test_a_made_up_smic_is_not_compared_with_smic_hs(tmp_path: Path) -> None:
    small_smic(tmp_path)
    frames(tmp_path / "HS/s05/micro/positive/s5_po_09", range(20))
    found = read_smic(tmp_path)
    assert len(found.clips) == 4
    assert not found.left_out
    assert notes(found) == ["smic: not in SMIC-HS: 1 of 4 clips: s05_po_09"]


def test_one_strange_clip_does_not_hide_what_is_missing(tmp_path: Path) -> None:
    for number in range(1, 23):
        frames(tmp_path / f"HS/s03/micro/negative/s3_ne_{number:02d}", range(20))
    frames(tmp_path / "HS/s03/micro/negative/s3_ne_99", range(20))
    found = read_smic(tmp_path)
    assert len(found.left_out) == 164 - 22
    assert notes(found) == ["smic: not in SMIC-HS: 1 of 23 clips: s03_ne_99"]


def test_a_label_that_its_name_denies_is_said(tmp_path: Path) -> None:
    frames(tmp_path / "HS/s1/micro/positive/s1_ne_01", range(20))
    found = read_smic(tmp_path)
    assert only(found).label == "positive"
    assert notes(found) == [
        "smic/s01/s01_ne_01: the clip's name says negative, its annotation positive"
    ]


@pytest.mark.parametrize(
    ("emotion", "label"),
    [
        ("happiness", "positive"),
        ("Surprise ", "surprise"),
        ("disgust", "negative"),
        ("repression", "negative"),
    ],
)
def test_casme2_classes(tmp_path: Path, emotion: str, label: str) -> None:
    frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    casme2_table(tmp_path, casme2_row(emotion=emotion))
    assert only(read_casme2(tmp_path)).label == label


@pytest.mark.parametrize(
    ("emotion", "label"),
    [("Happiness", "positive"), ("Surprise", "surprise")]
    + [(name, "negative") for name in ("Anger", "Contempt", "Disgust", "Fear", "Sadness")],
)
def test_samm_classes(tmp_path: Path, emotion: str, label: str) -> None:
    frames(tmp_path / "006/006_1_2", range(5562, 5633))
    samm_table(tmp_path, samm_row(emotion=emotion))
    assert only(read_samm(tmp_path)).label == label


def test_classes_not_used_are_counted_and_unknown_ones_listed(tmp_path: Path) -> None:
    frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    rows = [("EP03_02", "others"), ("EP03_03", "others"), ("EP03_04", "fear"), ("EP03_05", "joy")]
    more = [casme2_row(clip=clip, emotion=emotion) for clip, emotion in rows]
    casme2_table(tmp_path, casme2_row(), *more)
    found = read_casme2(tmp_path)
    assert found.dropped == {"others": 2, "fear": 1}
    assert len(found.clips) == 1
    assert reasons(found) == [
        "casme2/sub01/EP03_05: emotion 'joy' is none of happiness, surprise, disgust, repression, "
        "others, fear, sadness"
    ]


def test_databases_beside_each_other_are_told_apart(tmp_path: Path) -> None:
    small_casme2(tmp_path)
    small_samm(tmp_path)
    small_smic(tmp_path)
    for reader, names in (
        (read_casme2, ["EP02_01f", "EP11_01"]),
        (read_samm, ["006_1_2", "011_6_1"]),
        (read_smic, ["s01_ne_01", "s01_po_02", "s18_sur_03"]),
    ):
        found = reader(tmp_path)
        assert [clip.clip for clip in found.clips] == names
        assert not found.notes


def test_clips_are_ordered_by_number(tmp_path: Path) -> None:
    for clip in ("006_1_12", "006_1_2", "006_1_3"):
        frames(tmp_path / "006" / clip, range(5562, 5633))
    samm_table(tmp_path, *(samm_row(clip=f"006_1_{n}") for n in (12, 3, 2)))
    assert [clip.clip for clip in read_samm(tmp_path).clips] == ["006_1_2", "006_1_3", "006_1_12"]


# ------------------------------------------------------------------ what is not the database


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda p: None, "got nothing; pass the folder that holds CASME2_RAW_selected/sub01"),
        (lambda p: p.write_text("x"), "got a file; pass the folder"),
        (lambda p: p.mkdir(), "got an empty folder; check the path"),
        (
            lambda p: frames(p / "pictures", range(3)),
            "as CASME2_RAW_selected/sub01/EP02_01f/img46.jpg, got pictures/; pass the folder that",
        ),
        (
            lambda p: [(p / f"f{n}").mkdir(parents=True) for n in range(7)],
            "got f0/, f1/, f2/, f3/, f4/ and 2 more; pass",
        ),
        (
            lambda p: [p.mkdir(), (p / "CASME2_RAW_selected.rar").write_text("x")],
            "got CASME2_RAW_selected.rar; unpack the archives first",
        ),
        (lambda p: (p / "sub01/EP02_01f").mkdir(parents=True), "got sub01/; pass"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_the_database(tmp_path: Path, make, got: str) -> None:
    folder = tmp_path / "given"
    make(folder)
    with pytest.raises(InputError) as error:
        read_casme2(folder)
    assert f"CASME II {'at' if not folder.is_dir() else 'in'} {folder}" in str(error.value)
    assert got in str(error.value)
    assert "\n" not in str(error.value)


def test_folders_without_row_and_rows_without_folder_are_listed(tmp_path: Path) -> None:
    frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    frames(tmp_path / "sub01/EP09_09", range(46, 87))
    (tmp_path / "sub02/EP01_01").mkdir(parents=True)
    frames(tmp_path / "sub01/best of", range(3))
    casme2_table(
        tmp_path, casme2_row(), casme2_row(clip="EP03_02"), casme2_row("02", clip="EP01_01")
    )
    found = read_casme2(tmp_path)
    assert reasons(found) == [
        "casme2/sub01/EP03_02: no folder of frames",
        "casme2/sub01/EP09_09: no row in CASME2-coding-20140508.csv",
        "casme2/sub02/EP01_01: its folder holds no picture",
    ]
    where = Path("sub01/best of")
    assert notes(found) == [f"casme2: pictures in folders that are not named as clips: {where}"]


def test_hidden_files_and_links_in_circles_do_not_disturb(tmp_path: Path) -> None:
    home = frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    frames(home, [50], "._img{}.jpg")
    frames(tmp_path / "__MACOSX/sub01/EP02_01f", range(46, 87))
    frames(tmp_path / ".trash/sub01/EP02_01f", range(46, 87))
    (home / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "sub01/again").symlink_to(tmp_path, target_is_directory=True)
    casme2_table(tmp_path, casme2_row())
    found = read_casme2(tmp_path)
    assert only(found).path == home
    assert not found.notes


# ------------------------------------------------------------------ copies


def test_of_two_equal_copies_the_raw_one_is_read(tmp_path: Path) -> None:
    small_casme2(tmp_path)
    for clip in ("sub01/EP02_01f", "sub01/EP03_02", "sub02/EP11_01"):
        frames(tmp_path / "A_Cropped" / clip, range(1, 120), "reg_img{}.jpg")
    found = read_casme2(tmp_path)
    assert [clip.path.parts[-3] for clip in found.clips] == ["CASME2_RAW_selected"] * 2
    raw, cropped = tmp_path / "CASME2_RAW_selected", tmp_path / "A_Cropped"
    assert notes(found) == [f"casme2: {raw} is read; another copy is not: {cropped} (3 clips)"]


def test_the_fuller_copy_is_read(tmp_path: Path) -> None:
    small_casme2(tmp_path)
    for clip in ("sub01/EP02_01f", "sub01/EP03_02", "sub02/EP11_01", "sub03/EP01_2"):
        frames(tmp_path / "Cropped" / clip, range(1, 120), "reg_img{}.jpg")
    found = read_casme2(tmp_path)
    assert {clip.path.parts[-3] for clip in found.clips} == {"Cropped"}


def test_parts_of_one_database_are_read_together(tmp_path: Path) -> None:
    frames(tmp_path / "part1/006/006_1_2", range(5562, 5633))
    frames(tmp_path / "part2/011/011_6_1", range(20, 61))
    samm_table(tmp_path, samm_row(), samm_row("011", "011_6_1", 20, 40, 60))
    found = read_samm(tmp_path)
    assert [clip.clip for clip in found.clips] == ["006_1_2", "011_6_1"]
    assert not found.notes


def test_a_clip_in_two_folders_of_one_copy_is_left_out(tmp_path: Path) -> None:
    one = frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    two = frames(tmp_path / "sub1/EP2_1f", range(46, 87))
    frames(tmp_path / "sub01/EP03_02", range(46, 87))
    casme2_table(tmp_path, casme2_row(), casme2_row(clip="EP03_02"))
    found = read_casme2(tmp_path)
    assert only(found).clip == "EP03_02"
    assert reasons(found) == [
        f"casme2/sub01/EP02_01f: 2 folders hold it: {one} and {two}; keep one"
    ]


def test_a_clip_under_another_subject_is_said(tmp_path: Path) -> None:
    frames(tmp_path / "007/006_1_2", range(5562, 5633))
    samm_table(tmp_path, samm_row())
    assert notes(read_samm(tmp_path)) == ["samm/006/006_1_2: its folder lies in that of 007"]


# ------------------------------------------------------------------ frames

EMPTY = "left empty, to be spotted"


@pytest.mark.parametrize(
    ("there", "apex", "ends", "said"),
    [
        ([*range(46, 87)], 59, (46, 59, 86), []),
        ([*range(1, 300)], 59, (46, 59, 86), []),
        ([*range(46, 50), *range(53, 60), *range(61, 87)], 59, (46, 59, 86),
         ["frames missing: 50-52, 60 (4 of 41)"]),
        ([*range(48, 87)], 59, (48, 59, 86), ["the onset 46 has no picture: 48 is used"]),
        ([*range(46, 80)], 59, (46, 59, 79), ["the offset 86 has no picture: 79 is used"]),
        ([*range(46, 59), *range(60, 87)], 59, (46, None, 86),
         ["frames missing: 59 (1 of 41)", f"the apex 59 has no picture: {EMPTY}"]),
        ([*range(51, 87)], 50, (51, None, 86),
         ["the onset 46 has no picture: 51 is used", f"the apex 50 has no picture: {EMPTY}"]),
        ([*range(46, 87)], 90, (46, None, 86), [f"the apex 90 lies outside of 46 to 86: {EMPTY}"]),
        ([*range(46, 87)], 40, (46, None, 86), [f"the apex 40 lies outside of 46 to 86: {EMPTY}"]),
        ([*range(46, 87)], 46, (46, None, 86), [f"the apex 46 is the onset: {EMPTY}"]),
        ([*range(46, 87)], 86, (46, 86, 86), []),
        ([*range(46, 87)], "/", (46, None, 86), [f"the apex is '/': {EMPTY}"]),
        ([*range(46, 87)], "", (46, None, 86), [f"the apex is 'empty': {EMPTY}"]),
        ([*range(46, 87)], "59.0", (46, 59, 86), []),
    ],
)  # fmt: skip
def test_frames_and_apexes_that_are_missing_are_said(
    tmp_path: Path, there: list[int], apex: object, ends: tuple[int | None, ...], said: list[str]
) -> None:
    frames(tmp_path / "sub01/EP02_01f", there)
    casme2_table(tmp_path, casme2_row(apex=apex))
    found = read_casme2(tmp_path)
    clip = only(found)
    assert (clip.onset, clip.apex, clip.offset) == ends
    assert notes(found) == [f"casme2/sub01/EP02_01f: {text}" for text in said]
    assert clip.extra.get("note", "") == "; ".join(said)


@pytest.mark.parametrize(
    ("there", "row", "reason"),
    [
        ([*range(100, 120)], {},
         "none of its frames 46 to 86 is there; its folder holds 100 to 119"),
        ([*range(46, 60)], {}, "only 14 of its 41 frames 46 to 86 are there: 46-59"),
        ([*range(52, 87)], {}, "the onset 46 has no picture, nor any frame before 52"),
        ([*range(46, 87)], {"onset": "x"}, "its onset is 'x', expected a frame number"),
        ([*range(46, 87)], {"offset": ""}, "its offset is '', expected a frame number"),
        ([*range(46, 87)], {"onset": 90}, "its onset 90 is not before its offset 86"),
        ([*range(46, 87)], {"offset": 46}, "its onset 46 is not before its offset 46"),
    ],
)  # fmt: skip
def test_clips_that_cannot_be_used_are_left_out(
    tmp_path: Path, there: list[int], row: dict[str, object], reason: str
) -> None:
    frames(tmp_path / "sub01/EP02_01f", there)
    casme2_table(tmp_path, casme2_row(**row))
    found = read_casme2(tmp_path)
    assert not found.clips
    assert reasons(found) == [f"casme2/sub01/EP02_01f: {reason}"]


def test_an_empty_picture_counts_as_missing(tmp_path: Path) -> None:
    home = frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    (home / "img50.jpg").write_bytes(b"")
    casme2_table(tmp_path, casme2_row())
    assert only(read_casme2(tmp_path)).extra["note"] == "frames missing: 50 (1 of 41)"


def test_a_link_to_nowhere_counts_as_missing(tmp_path: Path) -> None:
    home = frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    (home / "img50.jpg").unlink()
    (home / "img50.jpg").symlink_to(tmp_path / "gone.jpg")
    casme2_table(tmp_path, casme2_row())
    assert only(read_casme2(tmp_path)).extra["note"] == "frames missing: 50 (1 of 41)"


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_casme2(tmp_path)
    scan = os.scandir

    def refuse(path: Path):
        if Path(path).name == "sub02":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InputError, match="expected to read .*sub02, got: Permission denied; check"):
        read_casme2(tmp_path)


def test_two_pictures_of_one_number(tmp_path: Path) -> None:
    home = frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    frames(home, [50], "reg_img{}.jpg")
    casme2_table(tmp_path, casme2_row())
    assert reasons(read_casme2(tmp_path)) == [
        "casme2/sub01/EP02_01f: two pictures have number 50: img50.jpg and reg_img50.jpg"
    ]


def test_pictures_without_numbers(tmp_path: Path) -> None:
    home = tmp_path / "sub01/EP02_01f"
    home.mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (home / name).write_bytes(b"x")
    casme2_table(tmp_path, casme2_row())
    assert reasons(read_casme2(tmp_path)) == [
        "casme2/sub01/EP02_01f: its pictures have no numbers: a.jpg, b.jpg and 1 more"
    ]


def test_a_gap_in_smic_hs_is_said(tmp_path: Path) -> None:
    frames(tmp_path / "HS/s1/micro/negative/s1_ne_01", [*range(100, 110), *range(112, 130)])
    assert notes(read_smic(tmp_path)) == ["smic/s01/s01_ne_01: frames missing: 110-111 (2 of 30)"]
