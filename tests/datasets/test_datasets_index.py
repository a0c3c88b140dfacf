"""Corrections, the composite, table 1, and the command that writes the manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from micromimic.cli.datasets import datasets_index
from micromimic.cli.synth import say_next
from micromimic.core.errors import InputError, OutputError
from micromimic.core.labels import THREE
from micromimic.datasets.base import Found, LeftOut
from micromimic.datasets.corrections import builtin_corrections, corrections_with, read_corrections
from micromimic.datasets.databases import databases
from micromimic.datasets.events import events_path, read_events, read_videos
from micromimic.datasets.manifest import Clip, read_manifest
from micromimic.datasets.megc2019 import ARTICLE, composite, table1
from micromimic.datasets.read import Indexed, index

from ..fake_databases import (
    casme2_row,
    casme2_table,
    frames,
    read_casme2,
    read_smic,
    sheet,
    small_casme2,
    small_samm,
    small_smic,
    smic_e_row,
    smic_e_table,
)

HEADER = ["dataset", "subject", "clip", "field", "value", "reason"]


def fixes(folder: Path, *rows: list[str]) -> Path:
    return sheet(folder / "corrections.csv", [HEADER, *rows])


# ------------------------------------------------------------------ corrections


def test_the_packages_own_corrections() -> None:
    said = {
        (c.dataset, c.subject, c.clip, c.field, c.value) for c in builtin_corrections() if c.subject
    }
    assert said == {
        ("smic", "s18", "s18_sur_03", "label", "surprise"),
        ("smic-vis", "s18", "s18_sur_03", "label", "surprise"),
        ("casme2", "sub04", "EP12_01f", "exclude", "three"),
        ("casme2", "sub05", "EP09_05f", "exclude", "three"),
    }
    assert all(c.reason for c in builtin_corrections())


def test_the_label_of_s18_sur_03(tmp_path: Path) -> None:
    frames(tmp_path / "s18/s18_sur_03", range(887, 1095))
    smic_e_table(tmp_path, smic_e_row(18, "s18_sur_03", emotion="negative"))
    found = read_smic(tmp_path)
    assert found.clips[0].label == "surprise"
    assert found.clips[0].extra["emotion"] == "negative"
    (note,) = found.notes
    assert note.text.startswith("label corrected from negative to surprise: surprise by its name")
    assert read_smic(tmp_path, corrections=()).clips[0].label == "negative"


def test_the_two_clips_of_casme2_that_are_not_in_the_composite(tmp_path: Path) -> None:
    frames(tmp_path / "sub04/EP12_01f", range(46, 87))
    frames(tmp_path / "sub05/EP09_05f", range(46, 87))
    casme2_table(
        tmp_path,
        casme2_row("04", "EP12_01f", apex="/", emotion="disgust"),
        casme2_row("05", "EP09_05f", apex=46, emotion="disgust"),
    )
    found = read_casme2(tmp_path)
    assert not found.clips
    assert [str(left) for left in found.left_out] == [
        'casme2/sub04/EP12_01f: excluded by correction: its apex in the table is "/": not in the '
        "composite",
        "casme2/sub05/EP09_05f: excluded by correction: its apex in the table is its onset: not "
        "in the composite",
    ]


def test_every_field_can_be_corrected(tmp_path: Path) -> None:
    home = tmp_path / "casme2"
    frames(home / "sub01/EP02_01f", range(1, 200))
    frames(home / "sub01/EP02_02", range(1, 200))
    frames(home / "sub04/EP12_01f", range(1, 200))
    casme2_table(
        home,
        casme2_row(emotion="others"),
        casme2_row(clip="EP02_02"),
        casme2_row("04", "EP12_01f", apex="/", emotion="disgust"),
    )
    path = fixes(
        tmp_path,
        ["casme2", "sub01", "EP02_01f", "label", "surprise", "seen again"],
        ["casme2", "1", "ep2_1f", "onset", "50", "counted"],
        ["casme2", "sub01", "EP02_01f", "apex", "70", "counted"],
        ["casme2", "sub01", "EP02_01f", "offset", "90", "counted"],
        ["casme2", "sub01", "EP02_02", "apex", "", "not visible"],
        ["casme2", "sub04", "EP12_01f", "exclude", "no", "we want it"],
        ["casme2", "sub04", "EP12_01f", "apex", "280", "by eye"],
        ["samm", "006", "006_9_9", "exclude", "yes", "of a database that is not read"],
        ["", "", "", "", "", ""],
    )
    found = read_casme2(home, corrections=corrections_with(path))
    one, two, three = found.clips
    assert (one.label, one.onset, one.apex, one.offset) == ("surprise", 50, 70, 90)
    assert two.apex is None
    assert (three.clip, three.apex) == ("EP12_01f", None)
    assert [note.text for note in found.notes] == [
        "label corrected from none to surprise: seen again",
        "onset corrected from 46 to 50: counted",
        "apex corrected from 59 to 70: counted",
        "offset corrected from 86 to 90: counted",
        "apex corrected from 59 to none: not visible",
        "apex corrected from / to 280: by eye",
        "the apex 280 lies outside of 46 to 86: left empty, to be spotted",
    ]


def test_a_corrected_label_settles_an_unknown_emotion(tmp_path: Path) -> None:
    frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    casme2_table(tmp_path, casme2_row(emotion="joy"))
    path = fixes(tmp_path, ["casme2", "sub01", "EP02_01f", "label", "positive", "joy is happy"])
    (clip,) = read_casme2(tmp_path, corrections=corrections_with(path)).clips
    assert clip.label == "positive"


def test_an_emotion_can_be_corrected_for_every_scheme(tmp_path: Path) -> None:
    frames(tmp_path / "sub01/EP02_01f", range(46, 87))
    casme2_table(tmp_path, casme2_row(emotion="joy"))
    path = fixes(tmp_path, ["casme2", "sub01", "EP02_01f", "emotion", "Disgust", "seen again"])
    fixed = corrections_with(path)
    (clip,) = read_casme2(tmp_path, corrections=fixed, labels=["three", "five"]).clips
    assert (clip.label, clip.extra["label5"]) == ("negative", "disgust")
    assert clip.extra["note"] == "emotion corrected from joy to disgust: seen again"
    path = fixes(tmp_path, ["casme2", "", "row 0", "label", "surprise", "a row of the table"])
    found = read_casme2(tmp_path, corrections=corrections_with(path))
    assert not found.clips  # the table has not as many rows as the official one, and that is said
    assert "known errors in its rows are not corrected" in found.notes[0].text
    path = fixes(tmp_path, ["casme2", "", "row 9", "label", "surprise", "a row of the table"])
    with pytest.raises(InputError, match="got /row 9, which is neither in its table nor in its"):
        read_casme2(tmp_path, corrections=corrections_with(path))


def test_a_correction_of_no_clip(tmp_path: Path) -> None:
    folder = small_casme2(tmp_path / "casme2")
    path = fixes(tmp_path, ["casme2", "sub09", "EP02_01f", "label", "positive", "typing error"])
    with pytest.raises(InputError) as error:
        composite(casme2=folder, corrections=path)
    assert str(error.value) == (
        "expected a clip of casme2, got sub09/EP02_01f, which is neither in its table nor in its "
        f"folders, in line 2 of {path}; correct the name"
    )


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (["mine", "sub01", "a", "label", "positive", "x"], "expected dataset to be one of smic"),
        (["samm", "006", "006_1_2", "labels", "x", "x"], "expected field to be one of label, "),
        (["samm", "006", "006_1_2", "label", "happy", "x"], "expected label to be one of negative"),
        (["samm", "006", "006_1_2", "exclude", "1", "x"], "expected exclude to be one of yes, no"),
        (["samm", "006", "006_1_2", "onset", "", "x"], "expected onset to be a frame number, got"),
        (["samm", "006", "006_1_2", "apex", "/", "x"], "expected apex to be a frame number, got"),
        (["samm", "006", "006_1_2", "apex", "7", ""], "expected a reason, got none in line 2"),
        (["samm", "x", "006_1_2", "apex", "7", "x"], "expected a subject and a clip, got 'x' and"),
        (["samm", "006", "", "apex", "7", "x"], "expected a subject and a clip, got '006' and ''"),
    ],
)  # fmt: skip
def test_corrections_that_make_no_sense(tmp_path: Path, row: list[str], text: str) -> None:
    path = fixes(tmp_path, row)
    with pytest.raises(InputError, match=text) as error:
        read_corrections(path)
    assert f"line 2 of {path}" in str(error.value)


def test_a_file_of_corrections_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected corrections at .*, found no file"):
        read_corrections(tmp_path / "gone.csv")
    with pytest.raises(InputError, match="got none named field, value; add them"):
        read_corrections(sheet(tmp_path / "a.csv", [["dataset", "subject", "clip", "reason"]]))
    (tmp_path / "b.csv").write_bytes(b"\x81\x00")
    with pytest.raises(InputError, match="expected corrections as text, got"):
        read_corrections(tmp_path / "b.csv")
    row = ["samm", "006", "006_1_2", "apex", "7", "x"]
    with pytest.raises(InputError, match="expected one apex for each clip, got a second"):
        read_corrections(fixes(tmp_path, row, row))


# ------------------------------------------------------------------ composite and table 1


def clips_of(dataset: str, counts: tuple[int, ...]) -> tuple[Clip, ...]:
    """Clips with the given numbers of subjects, clips and labels."""
    subjects, _, *labels = counts
    words = [word for word, count in zip(THREE, labels, strict=True) for _ in range(count)]
    return tuple(
        Clip(dataset, f"{n % subjects:03d}", f"c{n}", word, "frames", Path("x"))
        for n, word in enumerate(words)
    )


def test_the_composite_is_ordered_by_database_subject_and_clip(tmp_path: Path) -> None:
    whole = composite(
        samm=small_samm(tmp_path / "c"),
        smic=small_smic(tmp_path / "a"),
        casme2=small_casme2(tmp_path / "b"),
    )
    assert [clip.key for clip in whole.clips] == [
        "smic/s01/s01_ne_01",
        "smic/s01/s01_po_02",
        "smic/s18/s18_sur_03",
        "casme2/sub01/EP02_01f",
        "casme2/sub02/EP11_01",
        "samm/006/006_1_2",
        "samm/011/011_6_1",
    ]
    assert whole.dropped == {"casme2": {"others": 1}}
    assert {left.dataset for left in whole.left_out} == {"smic"}
    assert not whole.notes


def test_a_composite_of_nothing() -> None:
    with pytest.raises(InputError, match="expected the folder of at least one database, got none"):
        composite()


def test_table_1_of_the_whole_composite() -> None:
    clips = [clip for name, counts in ARTICLE.items() for clip in clips_of(name, counts)]
    assert table1(clips).splitlines() == [
        "Table 1: clips by database (in brackets: the article)",
        "               subjects      clips   negative   positive   surprise",
        "SMIC            16 (16)  164 (164)    70 (70)    51 (51)    43 (43)",
        "CASME II        24 (24)  145 (145)    88 (88)    32 (32)    25 (25)",
        "SAMM            28 (28)  133 (133)    92 (92)    26 (26)    15 (15)",
        "sum             68 (68)  442 (442)  250 (250)  109 (109)    83 (83)",
    ]


def test_table_1_says_where_and_why_it_differs() -> None:
    clips = [
        *clips_of("smic", (16, 163, 70, 51, 42)),
        *clips_of("casme2", (24, 145, 87, 33, 25)),
        *clips_of("samm", (28, 134, 93, 26, 15)),
    ]
    unused = [LeftOut("smic", "s01", "s01_ne_01", "no folder of frames")]
    assert table1(clips, unused).splitlines()[-3:] == [
        "SMIC: 1 clip fewer than the article's 164; 1 left out, each for a reason that is listed",
        "CASME II: as many clips as in the article, with other subjects or labels",
        "SAMM: 1 clip more than the article's 133",
    ]


def test_table_1_of_one_database_has_no_sum() -> None:
    lines = table1(clips_of("samm", ARTICLE["samm"])).splitlines()
    assert [line.split()[0] for line in lines] == ["Table", "subjects", "SAMM"]


# ------------------------------------------------------------------ the command


def run_index(folders: dict[str, Path], out: Path, **options: Any) -> None:
    datasets_index(out, [f"{name}={folder}" for name, folder in folders.items()], **options)


def test_index_writes_the_manifest_and_says_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "manifest.csv"
    casme2 = small_casme2(tmp_path / "casme2")
    for frame in (50, 59):
        (casme2 / f"CASME2_RAW_selected/sub01/EP02_01f/img{frame}.jpg").unlink()
    smic, samm = small_smic(tmp_path / "smic"), small_samm(tmp_path / "samm")
    run_index({"smic": smic, "casme2": casme2, "samm": samm}, out)
    said = capsys.readouterr().out
    assert "sum              6 (68)    7 (442)" in said
    assert "casme2: 1 clip of classes not used: others 1" in said
    assert "Left out: 161 clips\n  smic: no folder of frames (161): s01/s01_ne_02, " in said
    assert ", s20/s20_sur_05\n" in said
    assert "Notes on what is in the manifest\n  casme2/sub01/EP02_01f: frames missing: 50" in said
    assert "casme2/sub01/EP02_01f: the apex 59 has no picture: left empty, to be spotted" in said
    assert said.endswith(f"\n7 clips of 6 subjects in {out}\n")
    clips = read_manifest(out)  # checks that each folder is where the manifest says
    assert clips[0].key == "smic/s01/s01_ne_01"
    assert clips[-2].subject == "006"
    assert (clips[3].onset, clips[3].apex, clips[3].offset) == (46, None, 86)
    assert clips[3].extra["note"].startswith("frames missing: 50, 59 (2 of 41); the apex 59")
    assert {clip.fps for clip in clips} == {100.0, 200.0}


def test_index_says_nothing_where_all_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_index({"samm": small_samm(tmp_path / "samm")}, tmp_path / "m.csv")
    said = capsys.readouterr()
    assert "Left out" not in said.out
    assert "Notes" not in said.out
    assert not said.err


def test_index_takes_corrections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fixes(tmp_path, ["samm", "011", "011_6_1", "exclude", "yes", "laughs"])
    out = tmp_path / "m.csv"
    run_index({"samm": small_samm(tmp_path / "samm")}, out, corrections=path)
    assert "samm/011/011_6_1: excluded by correction: laughs" in capsys.readouterr().out
    assert [clip.clip for clip in read_manifest(out)] == ["006_1_2"]


def test_index_of_nothing_usable(tmp_path: Path) -> None:
    samm = small_samm(tmp_path / "samm")
    for picture in samm.rglob("*.jpg"):
        picture.write_bytes(b"")
    with pytest.raises(InputError) as error:
        run_index({"samm": samm}, tmp_path / "m.csv")
    assert str(error.value) == (
        "expected clips to list, got none that can be used (2 left out, first samm/006/006_1_2: "
        "none of its frames 5562 to 5632 is there; its folder holds 5562 to 5632); check the "
        "folders and their annotation"
    )
    assert not (tmp_path / "m.csv").exists()


def test_index_of_no_folder() -> None:
    with pytest.raises(InputError, match="got none; pass it as NAME=DIR"):
        index({})


def test_index_where_it_cannot_write(tmp_path: Path) -> None:
    samm = small_samm(tmp_path / "samm")
    with pytest.raises(OutputError, match="expected a file to write to, got the folder"):
        run_index({"samm": samm}, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="expected to write"):
        run_index({"samm": samm}, tmp_path / "file" / "m.csv")


def test_an_empty_composite_has_nothing() -> None:
    nothing = Indexed({"samm": Found(())})
    assert (nothing.clips, nothing.left_out, nothing.notes, nothing.dropped) == ((), (), (), {})


def test_index_of_other_databases_and_schemes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.csv"
    run_index({"casme2": small_casme2(tmp_path / "a")}, out, labels=["three", "five"])
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["CASME", "II", "2", "(24)", "2", "(145)", "0", "(88)", "1", "(32)", "1", "(25)"] in said
    assert [
        *["subjects", "clips", "disgust", "happiness", "others", "repression", "surprise"]
    ] in said
    assert ["casme2", "2", "3", "0", "1", "1", "0", "1"] in said
    assert [(clip.clip, clip.label) for clip in read_manifest(out, "five")] == [
        ("EP02_01f", "happiness"), ("EP03_02", "others"), ("EP11_01", "surprise"),
    ]  # fmt: skip
    assert [clip.clip for clip in read_manifest(out)] == ["EP02_01f", "EP11_01"]


def test_index_of_long_videos_writes_their_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for video in ("006_1", "006_2"):
        frames(tmp_path / "samm/SAMM_longvideos" / video, range(1, 100), "{:04d}.jpg")
    header = ["Subject", "Filename", "Onset", "Apex", "Offset", "Type"]
    rows = [["006", "006_1_2", 10, 20, 30, "Micro - 1/2"], ["006", "006_1_3", 1, 2, 300, "Macro"]]
    sheet(tmp_path / "samm/SAMM_LongVideos_V3_Release.csv", [header, *rows])
    out = tmp_path / "long.csv"
    run_index({"samm-long": tmp_path / "samm"}, out)
    said = capsys.readouterr().out
    assert ["samm-long", "1", "2", "1", "0", "1"] in [line.split() for line in said.splitlines()]
    assert "samm-long/006/006_1_3 (row 1): its frames 1 to 300 lie outside of 1 to 99" in said
    assert said.endswith(f"2 videos of 1 subject in {out}, 1 event in {events_path(out)}\n")
    (event,) = read_events(events_path(out), read_videos(out))
    assert (event.video, event.onset, event.apex, event.offset) == ("006_1", 10, 20, 30)
    with pytest.raises(InputError, match="got 2 without a label in its column label"):
        read_manifest(out)


def test_what_is_to_be_indexed_next_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    """Clips and long videos apart, and nobody in two databases of a manifest."""
    say_next(Path("out"), list(databases()))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == [
        f"out{os.sep}composite.csv",
        f"out{os.sep}long.csv",
    ]
    told = [[word.split("=")[0] for word in line.split() if "=" in word] for line in lines]
    assert set(told[0]) == {n for n, each in databases().items() if not each.long} - {
        "smic-vis", "smic-nir"
    }  # fmt: skip
    assert set(told[1]) == {n for n, each in databases().items() if each.long}
