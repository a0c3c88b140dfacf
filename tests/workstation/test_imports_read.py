"""Files of other tools as they are read: what they say, and a line where they cannot be read."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pympi.Elan import Eaf

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.core.errors import InputError
from micromimic.datasets import table
from micromimic.datasets.assignments import read_assignments
from micromimic.report.elan import CoderTiers, Span, eaf_bytes, eaf_document
from micromimic.workstation.imports.annotations import Annotated
from micromimic.workstation.imports.elan import foreign_tiers, replaced_tiers, with_tiers
from micromimic.workstation.imports.read import read_annotations

from .. import boris_files as boris
from ..report.test_report_elan import check_eaf
from ..sample_analysis import sample_analysis

pytestmark = pytest.mark.needs("web")

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def seen(part: Annotated) -> list[tuple[str, str, float, float, str, str]]:
    return [(a.tier, a.label, a.onset_s, a.offset_s, a.modifiers, a.note) for a in part.annotations]


def elan(path: Path, *, nested: bool = True, media: str = "interview.mp4") -> Path:
    """A file with a tier that another hangs on, and a vocabulary, written by pympi."""
    document = Eaf(author="somebody")
    document.remove_tier("default")
    document.add_linked_file(f"file:///C:/lab/{media}", f"./{media}", "video/mp4")
    document.add_linked_file("file:///C:/lab/voice.wav", "./voice.wav", "audio/x-wav")
    document.add_language("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")
    document.add_controlled_vocabulary("faces")
    document.add_cv_entry("faces", "smile", [("smile", "und", None)])
    kind = {"LINGUISTIC_TYPE_ID": "faces-lt", "TIME_ALIGNABLE": "true"}
    kind["CONTROLLED_VOCABULARY_REF"] = "faces"
    document.add_linguistic_type("faces-lt", param_dict=kind)
    document.add_tier("trial", "default-lt")
    document.add_annotation("trial", 500, 4000, "film 1")
    document.add_annotation("trial", 4000, 9000, "film 2")
    document.add_tier("blink", "faces-lt", ann="somebody")
    document.add_annotation("blink", 1000, 1250, "hard blink")
    if nested:
        document.add_linguistic_type("of-lt", "Symbolic_Association")
        document.add_tier("gaze", "of-lt", "trial")
        document.add_ref_annotation("gaze", "trial", 600, "at the screen")
    document.to_file(str(path))
    return path


# ---- ELAN --------------------------------------------------------------------------------------


def test_elan_is_read_with_its_media_and_nested_tiers_are_named(tmp_path: Path) -> None:
    (part,) = read_annotations(elan(tmp_path / "a.eaf"))
    assert seen(part) == [
        ("trial", "film 1", 0.5, 4.0, "", ""),
        ("trial", "film 2", 4.0, 9.0, "", ""),
        ("blink", "hard blink", 1.0, 1.25, "", ""),
    ]
    assert part.media == ("interview.mp4", "voice.wav")
    assert part.nested == ("gaze",)
    assert part.only(["trial"]).nested == ()
    with pytest.raises(InputError, match="'gaze', which hangs on another; name its parent"):
        part.only(["gaze"])
    with pytest.raises(InputError, match=r"expected a tier of a.eaf \(trial, blink\), got 'x'"):
        part.only(["x"])


def test_our_own_elan_file_gives_back_a_coder_s_events_with_their_apex(put: Put) -> None:
    spans = [Span(1000, 1400, "surprise", 1100), Span(2000, 2200, "positive", 2200)]
    document = eaf_document(sample_analysis(), Path("/"), coders=[CoderTiers("lee", spans)])
    (part,) = read_annotations(put("events.eaf", eaf_bytes(document)))
    own = part.only(["micro-expression lee"])
    assert [(a.label, a.onset_s, a.apex_s, a.offset_s) for a in own.annotations] == [
        ("surprise", 1.0, 1.1, 1.4),
        ("positive", 2.0, 2.2, 2.2),
    ]
    assert part.nested == ()


def test_times_count_from_the_origin_of_the_media_and_in_frames_where_the_file_says_so(
    tmp_path: Path, put: Put
) -> None:
    text = elan(tmp_path / "a.eaf", nested=False).read_text()
    shifted = text.replace('MIME_TYPE="video/mp4"', 'MIME_TYPE="video/mp4" TIME_ORIGIN="2000"')
    (part,) = read_annotations(put("b.eaf", shifted))
    assert (part.annotations[0].onset_s, part.fps) == (2.5, None)
    assert "<HEADER" in text
    frames = re.sub(r"<HEADER([^>]*)>", r'<HEADER\1 TIME_UNITS="PAL-frames">', text)
    (part,) = read_annotations(put("c.eaf", frames))
    assert (part.annotations[0].onset_s, part.fps) == (20.0, 25.0)


def test_tiers_that_are_not_ours_come_back_in_our_file(tmp_path: Path, put: Put) -> None:
    foreign = foreign_tiers(elan(tmp_path / "a.eaf"))
    assert foreign is not None
    own = eaf_bytes(eaf_document(sample_analysis(), Path("/")))
    whole = put("whole.eaf", with_tiers(own, foreign))
    before, after = Eaf(str(put("own.eaf", own))), Eaf(str(whole))
    tiers = before.get_tier_names()
    assert set(after.get_tier_names()) == {*tiers, "trial", "gaze", "blink (imported)"}
    for name in tiers:
        assert after.get_annotation_data_for_tier(name) == before.get_annotation_data_for_tier(name)
    assert after.get_annotation_data_for_tier("trial") == [
        (500, 4000, "film 1"), (4000, 9000, "film 2")]  # fmt: skip
    assert after.get_annotation_data_for_tier("blink (imported)") == [(1000, 1250, "hard blink")]
    assert after.get_ref_annotation_data_for_tier("gaze") == [
        (500, 4000, "at the screen", "film 1")]  # fmt: skip
    assert after.get_parameters_for_tier("blink (imported)")["ANNOTATOR"] == "somebody"
    kind = after.get_parameters_for_tier("blink (imported)")["LINGUISTIC_TYPE_REF"]
    assert after.linguistic_types[kind]["CONTROLLED_VOCABULARY_REF"] == "faces"
    assert "faces" in after.controlled_vocabularies
    assert [m["RELATIVE_MEDIA_URL"] for m in after.media_descriptors][1:] == ["./voice.wav"]
    times = [t for t in after.timeslots.values() if t is not None]
    assert times == sorted(times)


def test_a_tier_that_is_renamed_keeps_what_hangs_on_it(tmp_path: Path, put: Put) -> None:
    document = Eaf(author="somebody")
    document.remove_tier("default")
    document.add_linguistic_type("of-lt", "Symbolic_Association")
    for number, name in enumerate(("blink", "blink (imported)")):
        document.add_tier(name)
        document.add_annotation(name, 1000 * number, 1000 * number + 500, name)
        document.add_tier(f"of {name}", "of-lt", name)
        document.add_ref_annotation(f"of {name}", name, 1000 * number + 10, "note")
    document.to_file(str(tmp_path / "a.eaf"))
    foreign = foreign_tiers(tmp_path / "a.eaf")
    assert foreign is not None
    own = eaf_bytes(eaf_document(sample_analysis(), Path("/")))
    after = Eaf(str(put("whole.eaf", with_tiers(own, foreign))))
    parents = {name: after.get_parameters_for_tier(f"of {name}")["PARENT_REF"] for name in
               ("blink", "blink (imported)")}  # fmt: skip
    assert parents == {
        "blink": "blink (imported)", "blink (imported)": "blink (imported) (imported)"
    }  # fmt: skip


def test_our_own_file_has_no_tier_to_keep(put: Put) -> None:
    coders = [CoderTiers("lee", [Span(1, 9, "positive", 4)], [Span(20, 25, "negative", 21)])]
    own = eaf_bytes(eaf_document(sample_analysis(), Path("/"), coders=coders))
    assert foreign_tiers(put("own.eaf", own)) is None
    check_eaf(put("same.eaf", own))


def test_a_later_file_replaces_tiers_of_its_names_and_leaves_others(
    tmp_path: Path, put: Put
) -> None:
    first = foreign_tiers(elan(tmp_path / "a.eaf"))
    document = Eaf(author="somebody")
    document.remove_tier("default")
    document.add_tier("trial")
    document.add_annotation("trial", 1, 2, "film 3")
    document.to_file(str(tmp_path / "b.eaf"))
    second = foreign_tiers(tmp_path / "b.eaf")
    assert first is not None and second is not None
    found = Eaf(str(put("c.eaf", replaced_tiers(first, second))))
    assert set(found.get_tier_names()) == {"trial", "blink"}  # gaze hung on what was replaced
    assert found.get_annotation_data_for_tier("trial") == [(1, 2, "film 3")]


# ---- BORIS -------------------------------------------------------------------------------------


def test_boris_says_the_same_in_its_project_and_in_each_of_its_tables(put: Put) -> None:
    files = {
        "a.boris": boris.project({"o 1": boris.observation(boris.EVENTS)}),
        "single.csv": boris.single_events(),
        "single.tsv": boris.single_events().replace(",", "\t"),
        "aggregated.csv": boris.aggregated_events(),
        "old.csv": boris.old_events(),
    }
    for name, text in files.items():
        (part,) = read_annotations(put(name, text))
        assert seen(part) == boris.SEEN, name
        assert (part.media, part.fps) == (("interview.mp4",), 200.0), name
        assert part.where == f"observation o 1 of {name}"


def test_boris_counts_on_through_the_videos_of_one_observation(put: Put) -> None:
    events = [
        [1.0, "", "smile", "", ""],
        [2.0, "", "smile", "", ""],
        [21.5, "", "look away", "", ""],
    ]
    text = boris.project(
        {
            "two": boris.observation(events, ("/a/one.mp4", "C:\\b\\two.mp4")),
            "live": boris.observation([[3.0, "", "look away", "", ""]], ()),
        }
    )
    one, two, live = read_annotations(put("a.boris", text))
    assert (one.media, seen(one)) == (("one.mp4",), [("mouth", "smile", 1.0, 2.0, "", "")])
    assert (two.media, seen(two)) == (("two.mp4",), [("BORIS", "look away", 1.5, 1.5, "", "")])
    assert (live.media, live.annotations[0].onset_s) == ((), 3.0)


# ---- plain tables ------------------------------------------------------------------------------


def test_plain_tables_need_a_time_and_a_label_and_take_the_names_that_people_use(
    put: Put,
) -> None:
    rows = (
        "video;Onset (s);offset_s;Marker;tier\nP01/a.mp4;1,5;2;film 1;trial\nb.mp4;00:01:02;;x;\n"
    )
    one, two = read_annotations(put("a.csv", rows))
    assert (one.media, seen(one)) == (("a.mp4",), [("trial", "film 1", 1.5, 2.0, "", "")])
    assert (two.media, seen(two)) == (("b.mp4",), [("markers", "x", 62.0, 62.0, "", "")])


def test_events_that_a_coder_rejected_are_left_out(put: Put) -> None:
    text = (
        "recording,coder,onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,class,decision\n"
        "a.mp4,kim,1,1.1,1.2,200,220,240,positive,accepted\n"
        "a.mp4,kim,2,2.1,2.2,400,420,440,negative,rejected\n"
        "a.mp4,lee,3,3.1,3.2,600,620,640,negative,accepted\n"
    )
    kim, lee = read_annotations(put("events.csv", text))
    assert (kim.coder, [a.label for a in kim.annotations]) == ("kim", ["positive"])
    assert kim.annotations[0].frames == (200, 220, 240)
    assert lee.coder == "lee"


# ---- bad files: a line each --------------------------------------------------------------------


def eaf(value: object, *, origin: str = "", depth: int = 0) -> str:
    """A file with a tier ``t`` from .5 s to ``value`` ms, and one that refers to ``lost``."""
    deep = "<a>" * depth + "</a>" * depth
    return (
        f'<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR {origin}/>'
        '</HEADER><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="500"/>'
        f'<TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="{value}"/></TIME_ORDER><TIER TIER_ID="t">'
        '<ANNOTATION><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"/></ANNOTATION>'
        f'{deep}</TIER><TIER TIER_ID="n" PARENT_REF="t"><ANNOTATION><REF_ANNOTATION '
        'ANNOTATION_REF="lost"/></ANNOTATION></TIER></ANNOTATION_DOCUMENT>'
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_dtd_is_refused_in_whichever_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.eaf"
    kind = encoding[:6].rstrip("-")
    text = f'<?xml version="1.0" encoding="{kind}"?><!DOCTYPE a [<!ENTITY b "c">]>{eaf(900)}'
    path.write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match="got one with a DTD"):
        read_annotations(path)


def test_a_workbook_that_unpacks_to_more_than_a_table_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", " " * 5_000_000)
    monkeypatch.setattr(table, "_LARGEST_WORKBOOK", 4_000_000)
    with pytest.raises(InputError, match="got a workbook of 5 MB unpacked"):
        read_annotations(path)


def test_a_tier_that_could_not_be_written_again_is_not_taken(put: Put) -> None:
    with pytest.raises(InputError, match="got a reference to 'lost', which is not in a.eaf"):
        foreign_tiers(put("a.eaf", eaf(900)))


BEGUN = [[1.0, "", "smile", "", ""]]
UNFINISHED = boris.project({"o 1": boris.observation(BEGUN)})
STRANGE = boris.project({"o 1": boris.observation([[1.0, "", "frown", "", ""]])})
SHIFTED = boris.project({"o 1": boris.observation([], **{"time offset": 2.0})})
BEFORE = boris.project({"o 1": boris.observation([[-1.0, "", "smile", "", ""]])})
NEVER = boris.project({"o 1": boris.observation([[float("nan"), "", "smile", "", ""]])})
UNMEASURED = boris.project(
    {"o": boris.observation([], ("a.mp4", "b.mp4"), media_info={"length": {"b.mp4": 20.0}})}
)
OVER = boris.project(
    {"o": boris.observation([[19.0, "", "smile", "", ""], [21.0, "", "smile", "", ""]],
                            ("a.mp4", "b.mp4"))}
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.eaf", "<ANNOTATION_DOCUMENT>", "expected an ELAN file, got no XML in a.eaf"),
        ("a.eaf", "<html></html>", "expected an ELAN file, got <html> in a.eaf"),
        ("a.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><a/>', "expected an ELAN file, got one with"),
        ("a.eaf", eaf("soon"), "expected times in whole units in a.eaf, got 'soon'"),
        ("a.eaf", eaf("9" * 5000), "expected times in whole units in a.eaf, got '999"),
        ("a.eaf", eaf(900, origin='TIME_ORIGIN="nan"'), "expected times in whole units in a.eaf"),
        ("a.eaf", eaf(900, depth=9000), "expected an ELAN file, got <a> too deep in a.eaf"),
        ("a.eaf", '<?xml version="1.0" encoding="x-1"?><a/>', "expected an ELAN file, got no XML"),
        ("a.boris", '{"observations":' + "[" * 200_000, "expected a BORIS project in a.boris, got"),
        ("a.boris", BEFORE, "expected times from 0 in observation o 1 of a.boris, got -1.0 s"),
        ("a.boris", NEVER, "expected times from 0 in observation o 1 of a.boris, got nan s"),
        ("a.boris", UNMEASURED, "expected the length of each video of observation o"),
        ("a.boris", '{"observations": {}}', "expected a BORIS project in a.boris, got KeyError"),
        ("a.boris", '{"a":', "expected a BORIS project in a.boris, got JSONDecodeError"),
        ("a.boris", UNFINISHED, "expected an end of every state, got none of smile in observation"),
        ("a.boris", STRANGE, "expected a behaviour of the ethogram in observation o 1"),
        ("a.boris", SHIFTED, "expected no time offset in observation o 1 of a.boris, got 2.0 s"),
        ("a.boris", OVER, "expected a state that ends in the video where it begins, got smile"),
        ("a.csv", boris.single_events().replace("STOP", "HALT"),
         "expected START, STOP, STATE or POINT in line 4 of a.csv, got 'HALT'"),
        ("a.csv", boris.aggregated_events().replace("interview.mp4", "b.mp4", 1),
         "expected one video in observation o 1 of a.csv, got b.mp4, interview.mp4"),
        ("a.csv", "a,b\n1,2\n", "expected a table of events with columns onsets/"),
        ("a.csv", "onset_s,label\nx,a\n", "expected a time in seconds in line 2 of a.csv, got 'x'"),
        ("a.csv", "onset_s,label\n-1,a\n", "expected a time in seconds in line 2 of a.csv"),
        ("a.csv", "onset_s,label\n1,\n", "expected a label in line 2 of a.csv, got nothing"),
        ("a.csv", "onset_s,offset_s,label\n2,1,a\n",
         "expected onset, apex and offset in this order in line 2 of a.csv, got 2, none, 1"),
        ("a.csv", "onset_s,onset s,label\n1,2,a\n", "expected each column once in a.csv"),
        ("a.csv", "onset_frame,apex_frame,offset_frame,label\n5,4,6,a\n",
         "expected onset, apex and offset frames in this order in line 2 of a.csv, got 5, 4, 6"),
        ("a.csv", "onset_s,label,units\n1,a,L12C+x\n",
         "expected an action unit as 12 or L12C in line 2 of a.csv, got 'x'"),
        ("a.csv", "onset_s,label,fps\n1,a,25\n2,b,50\n", "expected one fps of a.csv, got"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(put: Put, name: str, content: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        read_annotations(put(name, content))
    assert str(caught.value).startswith(line), str(caught.value)
    assert "\n" not in str(caught.value)


HEAD = "video,subject,session,condition,date\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEAD, "expected a row a video in a.csv, got none"),
        (HEAD + "a.mp4,P1,s,,\na.MP4,P2,t,,\n",
         "expected one row for a.MP4 in a.csv, got lines 2 and 3; remove one"),
        (HEAD + "a.mp4,,s,,\n", "expected a subject in line 2 of a.csv, got nothing"),
        (HEAD + "a.mp4,P1,s,,20/11/2026\n",
         "expected a date as 2026-11-20 or 20.11.2026 in line 2 of a.csv, got '20/11/2026'"),
        (HEAD + "a.mp4,P1,s,stress,\nb.mp4,P1,s,control,\n",
         "expected one condition for session s of P1 in a.csv, got stress (line 2) and control"),
        (HEAD + "a.mp4,P1,s,,2026-11-20\nb.mp4,P1,s,,2026-11-21\n",
         "expected one date for session s of P1 in a.csv, got 2026-11-20 (line 2)"),
        ("video,person\na.mp4,P1\n", "expected a table of assignments with columns video, subject"),
        ("video,subject,group\na.mp4,P1,x\n", "expected columns video, subject, session, "),
    ],
)  # fmt: skip
def test_an_assignment_table_that_cannot_be_read_is_one_line(
    put: Put, text: str, line: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_assignments(put("a.csv", text))
    assert str(caught.value).startswith(line), str(caught.value)


def test_json_that_is_no_project_is_no_boris_file(put: Put) -> None:
    with pytest.raises(InputError, match="expected a BORIS project"):
        read_annotations(put("a.json", json.dumps({"schema": "micromimic.events/1"})))
