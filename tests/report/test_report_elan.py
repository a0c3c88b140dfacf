from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from micromimic.core.results import Blink, Rejected
from micromimic.core.types import Interval
from micromimic.report.elan import eaf_bytes, eaf_document, lanes, rejected_spans, write_eaf

from ..sample_analysis import (
    NASTY,
    empty_analysis,
)

# ---- ELAN -------------------------------------------------------------------------------------

REQUIRED = {  # element: attributes that EAF 3.0 requires
    "ANNOTATION_DOCUMENT": {"AUTHOR", "DATE", "VERSION"},
    "MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE"},
    "TIME_SLOT": {"TIME_SLOT_ID"},
    "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF"},
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"},
    "LINGUISTIC_TYPE": {"LINGUISTIC_TYPE_ID"},
    "CONSTRAINT": {"STEREOTYPE"},
    "PROPERTY": {"NAME"},
}
ORDER = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"]
STEREOTYPES = {"Time_Subdivision", "Symbolic_Subdivision", "Symbolic_Association", "Included_In"}


def check_eaf(path):
    """What EAF 3.0 demands, checked from its published structure; tiers as {name: spans}."""
    root = ET.parse(path).getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert root.get("FORMAT") == root.get("VERSION") == "3.0"
    assert datetime.fromisoformat(root.get("DATE")).tzinfo is not None
    places = [ORDER.index(child.tag) for child in root]
    assert places == sorted(places)
    for element in root.iter():
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib), element.tag
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    slots = root.findall("TIME_ORDER/TIME_SLOT")
    times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in slots}
    assert len(times) == len(slots)
    assert list(times.values()) == sorted(times.values())
    assert min(times.values(), default=0) >= 0
    types = {t.get("LINGUISTIC_TYPE_ID"): t for t in root.findall("LINGUISTIC_TYPE")}
    constraints = {c.get("STEREOTYPE") for c in root.findall("CONSTRAINT")}
    assert constraints == STEREOTYPES
    tiers, used, ids = {}, set(), set()
    for tier in root.findall("TIER"):
        kind = types[tier.get("LINGUISTIC_TYPE_REF")]
        assert kind.get("TIME_ALIGNABLE") == "true"
        assert kind.get("CONSTRAINTS") in (
            {None} if tier.get("PARENT_REF") is None else STEREOTYPES
        )
        spans = []
        for item in tier.iter("ALIGNABLE_ANNOTATION"):
            ids.add(item.get("ANNOTATION_ID"))
            first, last = item.get("TIME_SLOT_REF1"), item.get("TIME_SLOT_REF2")
            used |= {first, last}
            assert times[first] < times[last]
            spans.append((times[first], times[last], item.findtext("ANNOTATION_VALUE")))
        assert all(a[1] <= b[0] for a, b in pairwise(spans)), tier.get("TIER_ID")
        assert tier.get("TIER_ID") not in tiers
        tiers[tier.get("TIER_ID")] = spans
    total = sum(len(spans) for spans in tiers.values())
    assert len(ids) == total
    assert used == set(times)
    assert root.findtext("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']") == str(total)
    for tier in root.findall("TIER[@PARENT_REF]"):
        parents = tiers[tier.get("PARENT_REF")]
        spans = tiers[tier.get("TIER_ID")]
        for start, end, _ in parents:  # time subdivision: the parts fill the parent without gaps
            parts = [s for s in spans if start <= s[0] < end]
            assert [parts[0][0], parts[-1][1]] == [start, end]
            assert all(a[1] == b[0] for a, b in pairwise(parts))
    return root, tiers


def test_eaf_of_the_sample(folder):
    _, tiers = check_eaf(folder / "events.eaf")
    assert list(tiers) == [
        "micro-expression", "phase", "macro-expression", "macro-phase", "action units", "blink",
        "rejected",
    ]  # fmt: skip
    assert tiers["micro-expression"][0] == (4210, 4600, "positive 0.90")
    assert tiers["micro-expression"][3] == (33400, 33655, "negative 0.44 uncertain")
    assert tiers["phase"][:2] == [(4210, 4365, "onset-apex"), (4365, 4600, "apex-offset")]
    assert len(tiers["blink"]) == 8
    assert {text for _, _, text in tiers["rejected"]} == {
        "blink", "head", "light", "macro", "short",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "mime"),
    [("a b ü.MP4", "video/mp4"), ("x.mov", "video/quicktime"), ("x.avi", "video/*")],
)
def test_eaf_is_linked_to_the_video(analysis, tmp_path, name, mime):
    video = tmp_path / "videos" / name
    video.parent.mkdir()
    video.write_bytes(b"")
    linked = replace(analysis, source=replace(analysis.source, path=str(video)))
    out = tmp_path / "results" / "x"
    out.mkdir(parents=True)
    write_eaf(linked, out / "events.eaf")
    root, _ = check_eaf(out / "events.eaf")
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media.get("MIME_TYPE") == mime
    assert media.get("MEDIA_URL") == f"file://{video.as_posix()}"
    assert (out / media.get("RELATIVE_MEDIA_URL")).resolve() == video.resolve()


def test_eaf_of_a_folder_of_frames_has_no_video(analysis, tmp_path):
    frames = replace(analysis, source=replace(analysis.source, path=str(tmp_path)))
    write_eaf(frames, tmp_path / "events.eaf")
    root, _ = check_eaf(tmp_path / "events.eaf")
    assert root.find("HEADER/MEDIA_DESCRIPTOR") is None


def test_eaf_keeps_colliding_and_empty_intervals(analysis, tmp_path):
    first = analysis.events[0]
    events = (
        first,
        replace(first, interval=Interval(4.5, 4.6, 4.8)),
        replace(first, interval=Interval(9.0, 9.0, 9.0)),
        replace(first, interval=Interval(10.0, 10.0, 10.2)),
        replace(first, interval=Interval(11.0, 11.2, 11.2)),
    )
    rejected = tuple(Rejected(t, "head") for t in (0.0, 1.0, 1.0001, 1.001, 1.05))
    spotting = replace(
        analysis.spotting, rejected=rejected, blinks=(Blink(2, 2.1, 2.3), Blink(2.2, 2.3, 2.5))
    )
    write_eaf(replace(analysis, events=events, spotting=spotting), tmp_path / "events.eaf")
    _, tiers = check_eaf(tmp_path / "events.eaf")
    assert len(tiers["micro-expression"]) + len(tiers["micro-expression-2"]) == 5
    assert len(tiers["blink"]) == len(tiers["blink-2"]) == 1
    assert [e - s for s, e, _ in tiers["micro-expression"] if s == 9000] == [1]
    assert len(tiers["rejected"]) == 4


def test_eaf_with_a_nasty_name_and_without_events(tmp_path):
    empty = empty_analysis(NASTY)
    write_eaf(empty, tmp_path / "events.eaf")
    root, tiers = check_eaf(tmp_path / "events.eaf")
    assert all(not spans for spans in tiers.values())
    link = root.find("HEADER/MEDIA_DESCRIPTOR").get("MEDIA_URL")
    assert link.isascii()  # XML could not hold what is in this name
    assert unquote_to_bytes(link.removeprefix("file://")) == os.fsencode(Path(NASTY).absolute())


def test_the_date_is_the_video_s_so_that_equal_input_gives_equal_bytes(analysis, tmp_path):
    def date(path, **when):
        source = replace(analysis.source, path=str(path))
        content = eaf_bytes(eaf_document(replace(analysis, source=source), tmp_path, **when))
        return ET.fromstring(content).get("DATE")

    video = tmp_path / "x.mp4"
    video.write_bytes(b"")
    os.utime(video, (1_577_923_200.7, 1_577_923_200.7))
    assert date(video) == "2020-01-02T00:00:00+00:00"
    assert date(tmp_path / "gone.mp4") == "1970-01-01T00:00:00+00:00"
    assert date(video, written=datetime(2021, 3, 4, tzinfo=UTC)) == "2021-03-04T00:00:00+00:00"
    for name in ("a.eaf", "b.eaf"):
        write_eaf(analysis, tmp_path / name)
    assert (tmp_path / "a.eaf").read_bytes() == (tmp_path / "b.eaf").read_bytes()
    assert (tmp_path / "a.eaf").read_bytes().startswith(b"<?xml version='1.0' encoding='UTF-8'?>")


def test_rejections_in_any_order_never_overlap():
    rng = np.random.default_rng(5)
    spans = rejected_spans([Rejected(float(t), "head") for t in rng.uniform(0, 2, 60)])
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(s.end > s.start for s in spans)
    assert len(lanes(spans)) == 1
