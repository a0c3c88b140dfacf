from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from micromimic.core.labels import CELLS, REGIONS
from micromimic.core.results import RegionLimit, Rejected
from micromimic.core.types import AnalysisWarning, DetectionLimits, FlowMap
from micromimic.report import overlays
from micromimic.report.curves import drawn_data, limits_data
from micromimic.report.page import report_html
from micromimic.report.pictures import (
    cell_moves,
    face_pair,
    picture_width,
    pictures,
    what_moved,
)
from micromimic.report.rendering import packed_json
from micromimic.report.words import REGION_WORDS, limit_sentence

from ..sample_analysis import (
    CELL_CENTRES,
    NASTY,
    empty_analysis,
    flow_map,
    sample_analysis,
    sample_curve,
    sample_track,
)

# ---- evidence ---------------------------------------------------------------------------------


def numbers_of(path):
    return [[int(n) for n in re.findall(r"-?\d+", part)] for part in path.split("M")[1:]]


def test_overlays_lie_where_the_geometry_says():
    """In steps of a twentieth of a unit, from a corner that is 7 units off."""
    assert overlays.cells_path(np.array([[5.0, 10.0, 12.0, 17.05]]), 7.0) == (
        "M240 340H380V481H240z"
    )
    flow = flow_map({"chin": 0.3})
    arrows = numbers_of(overlays.arrows_path(flow, 10.0, 7.0))
    starts = np.array([[x, y] for x, y, *_ in arrows]) / 20 - 7
    assert starts.mean(0) == pytest.approx([*CELL_CENTRES[CELLS.index("chin")]], abs=1.5)
    for x, y, right, down, *_ in arrows:
        moved = 10.0 * flow.uv[:, round(y / 20 - 7.5), round(x / 20 - 7.5)]
        assert [right, down] == pytest.approx(moved * 20, abs=1)
    uv = flow.uv.copy()
    uv[:, 1, 1] = 9.0  # one wild cell neither shrinks the others nor crosses the picture
    wild = FlowMap(uv, flow.strain)
    assert overlays.magnification(wild) == pytest.approx(overlays.magnification(flow))
    first, *others = numbers_of(overlays.arrows_path(wild, 10.0, 7.0))
    assert others == arrows and np.hypot(first[2], first[3]) < 20 * 10 * 1.5 * 0.31
    assert overlays.arrows_path(flow_map({}), 10.0, 7.0) == ""


def test_heat_is_warm_where_the_votes_are():
    votes = np.full((7, 7), 0.001)
    votes[5, 1] = 1 - votes.sum()
    heat = overlays.heat_layer(votes, 7.0)
    assert heat.shape == (42, 42, 4)
    row, column = np.unravel_index(heat[..., 3].argmax(), heat.shape[:2])
    assert (row + 0.5, column + 0.5) == pytest.approx((5.5 * 4 + 7, 1.5 * 4 + 7), abs=1)
    red, _, blue, _ = heat[row, column].astype(int)
    assert red - blue > 80
    assert overlays.heat_layer(np.full((7, 7), 1 / 49), 7.0)[..., 3].max() == 0


def test_difference_shows_change_and_not_light():
    rng = np.random.default_rng(0)
    onset = rng.integers(60, 190, (90, 90, 3)).astype(np.uint8)
    brighter = np.round(1.1 * onset + 12).astype(np.uint8)
    plain = overlays.draw_difference(onset, overlays.change(onset, brighter), 8.0).astype(int)
    assert np.ptp(plain, axis=2).max() < 12
    apex = onset.copy()
    apex[40:50, 40:50] += 30
    seen = overlays.draw_difference(onset, overlays.change(onset, apex), 8.0).astype(int)
    assert (seen[43:47, 43:47, 0] - seen[43:47, 43:47, 2]).min() > 100
    with pytest.raises(ValueError, match="one size"):
        overlays.change(onset, apex[:50])


def test_pictures_are_of_one_size(analysis):
    import cv2

    evidence = analysis.events[0].evidence
    shots = pictures(evidence, 300)
    for uri, side in (
        (shots.onset, 300),
        (shots.apex, 300),
        (shots.heat, 42),
        (shots.difference, 180),
    ):
        raw = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
        image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (side, side, 3)
    assert (shots.width, shots.height, shots.box) == (300, 300, (840, 840))
    assert pictures(replace(evidence, votes=None), 200).heat is None


def test_threads_that_make_pictures_mix_up_none(analysis):
    """Each card, each longer expression and each movement held back has its own, in order."""
    micro = analysis.events[:4]
    macro = tuple(replace(event, kind="macro") for event in analysis.events[4:])
    text = report_html(replace(analysis, events=(*micro, *macro)))
    shown = [pictures(e.evidence, 360) for e in micro]
    wanted = [uri for s in shown for uri in (s.onset, s.apex, s.heat, s.difference)]
    pairs = [face_pair(item.onset_face, item.apex_face) for item in analysis.held_back]
    pairs += [face_pair(e.evidence.onset_face, e.evidence.apex_face) for e in macro]
    wanted += [uri for pair in pairs if pair for uri in (pair.onset, pair.apex)]
    assert re.findall(r'(?:src|href)="(data:image/webp;base64,[^"]+)"', text) == wanted


def test_what_moved_names_cells_and_directions(analysis):
    said = [what_moved(e.evidence) for e in analysis.events]
    assert "both mouth corners up and outwards by" in said[0]
    assert "the centre of the brows up by" in said[1] and "both brows up" in said[1]
    assert "the left mouth corner up and outwards" in said[4]
    assert "the chin up by" in said[5]
    all_brows = {"brow_right": 0.3, "brow_centre": 0.3, "brow_left": 0.3}
    one = what_moved(replace(analysis.events[0].evidence, flow=flow_map(all_brows)))
    assert one.count("both brows") == 1 and one.count("centre of the brows") == 1
    still = replace(analysis.events[0].evidence, flow=flow_map({}))
    assert "No face region moved" in what_moved(still)
    moves = cell_moves(analysis.events[5].evidence)
    assert moves[0].cell == "chin"
    assert moves[0].down == pytest.approx(-0.18, abs=0.03)


# ---- the page ---------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags, attributes, ids and visible text."""

    def __init__(self):
        super().__init__()
        self.tags, self.words, self.hidden = [], [], 0
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, text):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(text)


def parse(html):
    page = Page()
    page.feed(html)
    assert page.open == []
    return page, " ".join(" ".join(page.words).split())


@pytest.fixture(scope="module")
def page(folder):
    return parse((folder / "report.html").read_text(encoding="utf-8"))


def test_page_asks_no_network(page):
    parsed, _ = page
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:", "#")), (tag, target[:80])
        assert tag not in ("link", "iframe", "object", "embed", "base")
    policies = [a["content"] for t, a in parsed.tags if a.get("http-equiv")]
    assert policies and "default-src 'none'" in policies[0]
    styles = "".join(re.findall(r"<style>(.*?)</style>", report_html(empty_analysis()), re.S))
    assert "url(" not in styles and "@import" not in styles


def test_page_says_what_it_must(page):
    _, words = page
    for phrase in (
        "interview 07.mp4", "6 candidate micro-expressions", "of 1 the model is unsure",
        "The face is seen in 96.0 % of the frames", "Candidates a minute", "95 %: 2.58 to 15.3",
        "Not a lie detector, no stress score", "Article 5(1)(f)", "Candidates, not verdicts",
        "flow-capsnet 1.0.0, trained on synthetic facial motion only", "Movements that were seen",
        "Head movement", "842 – 873 – 920", "0:04.210", "both mouth corners up and outwards",
        "× longer than the motion",
    ):  # fmt: skip
        assert phrase in words, phrase


def test_page_says_how_small_a_movement_would_have_been_found(page, analysis):
    _, words = page
    assert "here 3.0 px (a unit is 1/15 of the distance between the eyes)" in words
    found = analysis.region_limits()
    for name, word in REGION_WORDS.items():
        half, share = found[name].pixels[1], found[name].share
        percent = "over 99" if share > 0.99 else f"{100 * share:.0f}"
        assert (
            f"{word} movements of {half:.1f} px found half the time at a typical moment; of 3.0 "
            f"px, in {percent} % of the time." in words
        )
    shut = RegionLimit((0.2, np.inf, np.inf), (1.0, np.inf, np.inf), 0.5, 0.004)
    assert limit_sentence(shut, "1.5") == (
        "nothing found at a typical moment, whatever its size; of 1.5 px, in under 1 % of the time."
    )
    assert limit_sentence(replace(shut, share=0.0), "1.5").endswith("; of 1.5 px, never.")


def test_page_without_limits_says_nothing_of_them(analysis):
    without = [replace(e, amplitude=None, false_alarms_per_hour=None) for e in analysis.events]
    _, words = parse(report_html(replace(analysis, events=tuple(without), limits=None)))
    for phrase in ("would have been found", "Chance makes", "By chance", "Amplitude"):
        assert phrase not in words


def test_cards_and_table_say_amplitude_and_chance(page):
    _, words = page
    assert words.count("Chance makes") == 5  # of the third event nothing is known
    assert "Amplitude 0.19 ± 0.07 units (1.9 px)" in words
    assert "Chance makes 38 movements as strong in an hour of this recording." in words
    assert "Chance makes fewer than 0.1 movements" in words
    assert "By chance /h" in words and "0.41 ± 0.05 fewer than 0.1" in words
    assert "stay below their threshold" not in words


def test_an_event_that_the_cells_do_not_show_is_explained(analysis):
    flat = replace(analysis.curve, score=np.minimum(analysis.curve.score, 9.0))
    spotting = replace(analysis.spotting, threshold=9.5)
    _, words = parse(report_html(replace(analysis, curve=flat, spotting=spotting)))
    assert words.count("the ten face regions alone stay below their threshold") == 5


def test_page_has_a_card_and_pictures_for_every_event(page):
    parsed, _ = page
    ids = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert [i for i in ids if re.fullmatch(r"event-\d+", i)] == [f"event-{k}" for k in range(1, 7)]
    links = [a["href"][1:] for t, a in parsed.tags if t == "a"]
    assert links and set(links) <= set(ids)
    images = [a for t, a in parsed.tags if t == "img" and a.get("src")]
    assert len(images) == 6 * 2 + 2 and all(a["alt"] for a in images)
    overlaid = [a["href"] for t, a in parsed.tags if t == "image"]
    assert len(overlaid) == 6 * 2 + 2 and all(uri.startswith("data:") for uri in overlaid)
    again = [a["href"][1:] for t, a in parsed.tags if t == "use"]  # the apex, not sent twice
    assert len(again) == 6 * 2 and set(again) <= set(ids)


def test_a_frame_between_gaps_is_a_path_that_browsers_can_read(analysis):
    score, onset = analysis.curve.score.copy(), analysis.events[0].onset_frame
    score[[onset - 1, onset + 1]] = np.nan
    found = replace(
        analysis, curve=replace(analysis.curve, score=score), events=analysis.events[:1]
    )
    paths = re.findall(r' d="([^"]*)"', report_html(found))
    assert not [path for path in paths if re.search(r"l(?:M|$)", path)]


def test_warnings_come_after_the_name_and_without_their_codes(page):
    _, words = page
    assert words.index("interview 07.mp4 60.0 s") < words.index("2 limits of this recording")
    assert words.index("2 limits of this recording") < words.index("Candidates, not verdicts")
    assert "face_lost" not in words and "other_faces" not in words


def test_page_speaks_plainly(page):
    _, words = page
    for word in (
        "gated",
        "cells",
        "votes",
        "× noise",
        "crowded",
        "macro",
        "uncertain",
        "ten cells",
    ):
        assert not re.search(rf"\b{word}\b", words, re.I), word
    assert "AU 12 left lip corner puller" in words


def test_movements_held_back_are_shown_with_their_reason_and_face(page, analysis):
    _, words = page
    start = words.index("The strongest movements that were held back")
    part = words[start : words.index("All candidates")]
    assert "Head movement 0:18.800 to 0:18.950 to 0:19.100" in part
    assert "12.5 times this face’s own noise; 3.1 px; frames 3760 – 3790 – 3820" in part
    assert "Change of light 0:41.400" in part and "6.0 times this face’s own noise; frames" in part
    bare = replace(analysis, held_back=())
    assert "held back" not in parse(report_html(bare))[1].replace("not held back", "")


def test_user_text_is_escaped_everywhere():
    nasty = sample_analysis(NASTY, evidence=False)
    evil = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
    spotting = replace(nasty.spotting, rejected=(Rejected(1.0, evil),), gated_s={evil: 2.0})
    nasty = replace(
        nasty,
        warnings=(AnalysisWarning(evil, evil),),
        model=replace(nasty.model, name=evil, trained_on=evil),
        spotting=spotting,
        indicators={"candidates_per_minute": {"label": evil, "value": 1.0, "unit": evil}},
    )
    html = report_html(nasty)
    parsed, words = parse(html)
    html.encode("utf-8")
    scripts = [a for t, a in parsed.tags if t == "script"]
    assert len(scripts) == 2
    assert not any(t == "img" and a.get("src") == "x" for t, a in parsed.tags)
    assert not any(name.startswith("on") for _, a in parsed.tags for name in a)
    assert "<script>alert(1)</script>" in words


def test_page_without_events():
    _, words = parse(report_html(empty_analysis()))
    assert "Nothing of the 60 s could be judged: start or end of a stretch 58 s" in words
    assert "No candidate micro-expressions" in words
    assert "No micro-expressions" in words
    assert "What can be done with this file" in words


def test_page_of_an_event_without_evidence_and_regions(analysis):
    bare = replace(analysis.events[0], evidence=None, regions={})
    parsed, _ = parse(report_html(replace(analysis, events=(bare,), held_back=())))
    assert not any(
        t in ("img", "image") and (a.get("src") or a.get("href")) for t, a in parsed.tags
    )


def test_many_events_show_the_strongest_pictures_only(analysis, monkeypatch):
    monkeypatch.setattr("micromimic.report.pictures.MOST_EVENTS", 2)
    parsed, words = parse(report_html(replace(analysis, held_back=())))
    assert "Pictures are shown for the 2 strongest events only." in words
    cards = [a.get("alt") for t, a in parsed.tags if t == "img" and a.get("src")]
    assert cards == ["Face at the onset", "Difference"] * 2
    ids = [a["id"] for _, a in parsed.tags if a.get("id", "").startswith("event-")]
    assert len(ids) == 6


def test_reports_stay_small(folder, analysis):
    """A minute at 200 frames/s with six events, with 80 pictured ones; ten minutes of curves."""
    assert 1e5 < (folder / "report.html").stat().st_size < 0.4e6
    many = replace(analysis, events=tuple(analysis.events[k % 6] for k in range(80)))
    assert 1e6 < len(report_html(many).encode()) < 1.5e6
    assert picture_width(80) < picture_width(24)
    curve = sample_curve(600.0)
    data = drawn_data(replace(analysis, curve=curve, track=sample_track(curve)))
    assert 1e5 < len(packed_json(data)) < 0.2e6


def test_drawn_limits_are_in_pixels_with_closed_and_lost_time():
    times = np.concatenate([np.arange(0, 4, 0.04), np.arange(10, 14, 0.04)])
    chin = np.full(200, 0.2)
    chin[25:50], chin[:5] = np.inf, np.nan
    limits = DetectionLimits(times, dict.fromkeys(REGIONS, chin))
    drawn = limits_data(replace(sample_analysis(evidence=False), limits=limits))
    assert (drawn["stated"], drawn["scale"]) == (pytest.approx(3.0), pytest.approx(10.0))
    assert [row["name"] for row in drawn["rows"]] == list(REGION_WORDS.values())
    row = drawn["rows"][-1]
    assert row["closed"] == [(1.0, 2.0)]
    seconds, known = np.cumsum(row["t"]) / 1e4, np.array([y is not None for y in row["y"]])
    assert {y for y in row["y"] if y is not None} == {2 * row["k"]}
    assert not known[(seconds < 0.18) | (abs(seconds - 1.5) < 0.48)].any()
    assert not known[(seconds > 4.1) & (seconds < 9.9)].any()
    assert known[(seconds > 2.02) & (seconds < 3.9)].all()
    assert drawn["low"] <= 1.5 and drawn["high"] >= 6.0


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_limits_of_one_kind_can_be_drawn(value):
    limits = DetectionLimits(np.array([0.0, 0.04]), dict.fromkeys(REGIONS, np.full(2, value)))
    analysis = replace(sample_analysis(evidence=False), limits=limits)
    drawn = limits_data(analysis)
    assert 0 < drawn["low"] < drawn["stated"] < drawn["high"]
    _, words = parse(report_html(analysis))
    known = "movements of 0.00 px found half the time" if value == 0 else "nothing found"
    assert words.count(f"{known} at a typical moment") == 5
