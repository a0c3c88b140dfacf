"""Injection and recovery on a rendered clip: what comes back, what is kept, what is said."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from micromimic.analysis.sensitivity import run as sensitivity_run
from micromimic.analysis.sensitivity.parts import Parts, Plain, digest_of_input
from micromimic.analysis.sensitivity.run import (
    SensitivityConfig,
    analyse_plain,
    plan,
    record_of,
    recover,
    sensitivity,
)
from micromimic.cli.main import main
from micromimic.core.errors import InputError
from micromimic.core.labels import REGIONS, THREE
from micromimic.core.results import ModelInfo
from micromimic.core.types import AnalysisWarning, DetectionLimits, Interval, SourceInfo
from micromimic.evaluation.recovery import (
    AT_LIMIT,
    RATIO_EDGES,
    Candidate,
    Recovery,
    Share,
    Trial,
    calibration,
    classes_of,
    half_size,
    matching,
    share_of,
)
from micromimic.media.video import VideoWriter
from micromimic.report.sensitivity import (
    COLUMNS,
    SCHEMA,
    answer,
    sensitivity_html,
    sensitivity_json,
)
from micromimic.synthesis.bump_units import BumpUnits
from micromimic.synthesis.clips import ClipConfig, plan_clip, render, write_clip
from micromimic.synthesis.planted.plan import Ground

CLIP = ClipConfig(
    seconds=7.0, fps=30.0, width=320, height=240, face_px=220.0, events_per_minute=8,
    macros_per_minute=0, blinks_per_minute=0, head_moves_per_minute=0, noise_sd=1.0,
)  # fmt: skip
CONFIG = SensitivityConfig(sizes=(0.05, 0.7), per_size=2)
FILES = {f"sensitivity.{ending}" for ending in ("json", "csv", "html", "png", "svg")}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path, CLIP, seed=1)
    return path


@pytest.fixture(scope="module")
def result(clip: Path, tmp_path_factory):
    seen: list[tuple[int, int | None, str]] = []
    out = tmp_path_factory.mktemp("out")
    made = sensitivity(clip, out, CONFIG, progress=lambda *told: seen.append(told))
    return made, seen


def written(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


# --- the whole run


def test_large_movements_come_back_and_tiny_ones_do_not(result) -> None:
    recovery = result[0].recovery
    tiny, large = (share_of(recovery.at(size)) for size in recovery.sizes)
    assert large.planted >= 2
    assert large.found >= large.planted - 1
    assert tiny.found <= 1
    for trial in recovery.at(0.7):
        if trial.found is not None:
            assert abs(trial.distance_s) < 0.12


def test_the_same_movements_are_planted_at_every_size(result) -> None:
    recovery = result[0].recovery
    tiny, large = (
        [(t.copy, t.interval, t.units, t.label, t.region, t.chance) for t in recovery.at(size)]
        for size in recovery.sizes
    )
    assert tiny == large


def test_the_files_say_what_was_measured(result) -> None:
    made = result[0]
    assert {p.name for p in made.folder.iterdir()} == {*FILES, "sensitivity.parts"}
    document = json.loads((made.folder / "sensitivity.json").read_text(encoding="utf-8"))
    assert document["schema"] == SCHEMA
    assert set(document) == {
        "schema", "source", "warnings", "model", "seed", "copies", "eyes_px", "pixels_per_unit",
        "classes", "match", "control", "sizes", "half_size", "limits",
    }  # fmt: skip
    assert set(document["limits"]) == {"ratio", "at_limit", "without_limit"}
    assert document["source"]["frames"] == 210
    assert [entry["size"] for entry in document["sizes"]] == [0.05, 0.7]
    with (made.folder / "sensitivity.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    for entry in document["sizes"]:
        here = [row for row in rows if float(row["size"]) == entry["size"]]
        assert len(here) == entry["planted"]
        found = [row for row in here if row["found"] == "true"]
        assert len(found) == entry["found"] == np.sum(entry["confusion"])
        assert entry["low"] <= entry["share"] <= entry["high"]
        for kind, column in (("by_region", "region"), ("by_class", "class")):
            assert sum(part["found"] for part in entry[kind].values()) == entry["found"]
            assert {row[column] for row in here} == set(entry[kind])
    control = document["control"]
    assert control["candidates"] == len(made.recovery.plain)
    assert control["size_zero"]["planted"] == document["sizes"][0]["planted"]
    assert all(row["found_class"] in (*THREE, "") for row in rows)


def test_progress_counts_frames_of_all_copies(result) -> None:
    recovery, seen = result[0].recovery, result[1]
    stages = list(dict.fromkeys(stage for _, _, stage in seen))
    assert stages == ["unplanted copy", "planted copies"]
    counts = [done for done, _, stage in seen if stage == "planted copies"]
    assert counts == sorted(counts)
    assert seen[-1] == (2 * 210 * recovery.copies, 2 * 210 * recovery.copies, "planted copies")


def test_the_same_command_again_analyses_nothing(clip: Path, result, tmp_path: Path) -> None:
    made = result[0]
    out = shutil.copytree(made.folder, tmp_path / "again")
    again = sensitivity(clip, out, CONFIG, progress=lambda *told: pytest.fail("analysed again"))
    assert again.resumed == 1 + 2 * made.recovery.copies
    assert written(out) == written(made.folder)


def test_a_stopped_run_goes_on_where_it_was(clip: Path, result, tmp_path: Path) -> None:
    made = result[0]
    out = shutil.copytree(made.folder, tmp_path / "stopped")
    (part,) = [p for p in out.rglob("*.json") if p.name == "size-0.7-copy-0.json"]
    part.write_text("[{", encoding="utf-8")  # as a full disk would leave it
    again = sensitivity(clip, out, CONFIG)
    assert again.resumed == 2 * made.recovery.copies
    assert written(out) == written(made.folder)


def test_other_processes_find_the_same(clip: Path, result, tmp_path: Path) -> None:
    made = result[0]
    (kept,) = made.folder.rglob("unplanted.npz")
    other = tmp_path / "sensitivity.parts" / kept.parent.name
    other.mkdir(parents=True)
    shutil.copy(kept, other)
    again = sensitivity(clip, tmp_path, CONFIG, jobs=2)
    assert again.resumed == 1
    assert written(tmp_path) == written(made.folder)


# --- what is kept


RECORD = {"input": "a", "seed": 0}


def plain_of(seconds: float = 20.0, **changes) -> Plain:
    times = np.arange(0, seconds, 0.04)
    transforms = np.tile(np.array([[4.0, 0, 100], [0, 4.0, 60]]), (len(times), 1, 1))
    values = {
        "source": SourceInfo("clip.mp4", 25.0, len(times), seconds, 320, 240),
        "warnings": (AnalysisWarning("frame_rate", "expected 100, got 25; record faster"),),
        "model": ModelInfo("flow-capsnet", "2.1", "synthetic motion"),
        "found": 1.0,
        "candidates": (Candidate(Interval(3.0, 3.1, 3.3), "negative", 6.5),),
        "ground": Ground(times, np.zeros(len(times), int), transforms, np.arange(len(times))),
        "limits": None,
    }
    return Plain(**{**values, **changes})


def test_the_unplanted_analysis_comes_back_as_it_was(tmp_path: Path) -> None:
    plain = plain_of(limits={"mouth": np.array([0.3, np.nan]), "chin": np.array([0.1, 0.2])})
    Parts(tmp_path, RECORD).keep_plain(plain)
    again = Parts(tmp_path, RECORD).plain()
    for name in ("source", "warnings", "model", "found", "candidates"):
        assert getattr(again, name) == getattr(plain, name)
    for name, values in vars(plain.ground).items():
        assert np.array_equal(getattr(again.ground, name), values)
    assert {name: list(map(str, values)) for name, values in again.limits.items()} == {
        "mouth": ["0.3", "nan"], "chin": ["0.1", "0.2"]
    }  # fmt: skip


def test_other_arguments_start_anew(tmp_path: Path) -> None:
    Parts(tmp_path, RECORD).keep_plain(plain_of())
    Parts(tmp_path, RECORD).keep_copy(0.3, 0, plain_of().candidates)
    assert Parts(tmp_path, RECORD).copy(0.3, 0) == plain_of().candidates
    other = Parts(tmp_path, {**RECORD, "seed": 1})
    assert other.plain() is None
    assert other.copy(0.3, 0) is None
    assert list(tmp_path.iterdir()) == [], "nobody will ask for the old ones"


def test_a_changed_input_has_another_digest(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    before, folder = digest_of_input(file), digest_of_input(tmp_path)
    file.write_bytes(b"two")
    assert digest_of_input(file) != before
    assert digest_of_input(tmp_path) != folder
    with pytest.raises(InputError, match="No such file"):
        digest_of_input(tmp_path / "gone")


# --- what is planted


def test_repeated_frames_are_told_even_after_a_lossy_encoder(tmp_path: Path) -> None:
    """Else a planted movement would go on while the recording stands still."""
    path = tmp_path / "twice.mp4"
    config = replace(CLIP, seconds=4.0, fps=15.0, events_per_minute=15)
    with VideoWriter(path, 30.0, 320, 240, lossless=False, crf=28, preset="veryfast") as writer:
        for frame in render(plan_clip(config, 3)):
            writer.write(frame)
            writer.write(frame)
    first = analyse_plain(path, CONFIG, lambda *told: None).ground.first
    assert first.tolist() == [k // 2 * 2 for k in range(120)]


def test_every_frame_of_an_ordinary_recording_is_its_own(result) -> None:
    (kept,) = result[0].folder.rglob("unplanted.npz")
    with np.load(kept) as arrays:
        assert arrays["first"].tolist() == list(range(210))


def test_limits_are_read_at_the_nearest_time(clip: Path, monkeypatch) -> None:
    limits = DetectionLimits(np.array([0.0, 1.0, 7.0]), {"mouth": np.array([0.1, 0.2, np.nan])})
    analysed = sensitivity_run.analyze_frames

    def with_limits(frames, **settings):
        return replace(analysed(frames, **settings), limits=limits)

    monkeypatch.setattr(sensitivity_run, "analyze_frames", with_limits)
    plain = analyse_plain(clip, CONFIG, lambda *told: None)
    mouth = plain.limits["mouth"]
    assert len(mouth) == len(plain.ground.times) == 210
    assert mouth[[0, 14, 16, 100]].tolist() == [0.1, 0.1, 0.2, 0.2]
    assert np.isnan(mouth[[125, 209]]).all()


def test_what_is_planted_does_not_depend_on_what_was_found() -> None:
    one, other = plain_of(), plain_of(candidates=())
    moments = [
        [move.interval for copy in plan(plain.ground, CONFIG) for move in copy]
        for plain in (one, other)
    ]
    assert moments[0] == moments[1]


def test_more_movements_are_more_copies_and_the_first_stay() -> None:
    few, many = (plan(plain_of().ground, replace(CONFIG, per_size=n)) for n in (3, 25))
    assert len(few) == 1 < len(many)
    assert sum(map(len, many)) >= 25
    assert [move.interval for move in few[0]] == [move.interval for move in many[0]]
    assert np.array_equal(few[0][0].field, many[0][0].field)
    assert plan(plain_of().ground, replace(CONFIG, seed=1))[0][0].interval != few[0][0].interval


@pytest.mark.parametrize("sizes", [(), (0.3, 0.3), (0.0,), (-1.0,), (9.0,), (float("nan"),)])
def test_sizes_that_make_no_sense_are_refused(sizes: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="expected different sizes above 0"):
        SensitivityConfig(sizes=sizes)


# --- counting


def test_the_rule_of_a_match() -> None:
    planted = Interval(1.0, 1.15, 1.3)
    touching = Candidate(Interval(1.2, 1.4, 1.5), "positive", 5.0)  # overlap .1 of .5
    scarcely = Candidate(Interval(1.16, 1.29, 1.5), "positive", 5.0)  # .14 of .5, apexes .14 apart
    near = Candidate(Interval(0.6, 1.05, 1.1), "negative", 5.0)  # apexes .10 apart
    exact = Candidate(planted, "surprise", 5.0)
    assert matching(planted, [touching]) is None
    wide = Candidate(Interval(1.1, 1.29, 1.4), "positive", 5.0)  # .2 of .4, apexes .14 apart
    assert matching(planted, [wide]) is wide
    assert matching(planted, [scarcely]) is None
    assert matching(planted, [near]) is near
    assert matching(planted, [near, wide, exact, touching]) is exact


def trial(size: float = 0.3, *, found: str | None = None, label="negative", region="mouth", **more):
    span = Interval(1.0, 1.1, 1.3)
    candidate = None if found is None else Candidate(span, found, 5.0)
    return Trial(0, span, size, 4 * size, label, region, ("4",), candidate, **more)


def recovery_of(trials, sizes=(0.3,), limited: bool = False) -> Recovery:
    plain = plain_of()
    return Recovery(
        plain.source, plain.warnings, plain.model, tuple(trials), sizes, plain.candidates,
        (0.1, 9.0), dict.fromkeys(sizes, 2), 60.0, 0, limited,
    )  # fmt: skip


def test_classes_are_those_of_what_was_found() -> None:
    table, score = classes_of([
        trial(found="negative"), trial(found="positive"), trial(label="surprise"),
        trial(label="surprise", found="surprise"),
    ])  # fmt: skip
    assert table.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert score == pytest.approx((2 / 3 + 0 + 1) / 3), "a class that is only named counts nothing"
    assert classes_of([trial()])[1] is None


def test_the_size_of_which_half_are_found() -> None:
    assert half_size((0.1, 0.2, 0.4), (0.0, 0.5, 1.0)) == pytest.approx(0.2)
    assert half_size((0.1, 0.4), (0.25, 0.75)) == pytest.approx(0.2), "between, by logarithms"
    assert half_size((0.1, 0.2, 0.4), (0.3, 0.1, 0.3)) is None
    dip = half_size((0.1, 0.2, 0.4), (0.4, 0.2, 0.9))
    assert 0.2 < dip < 0.4, "the first two are one pool of .3"


def test_shares_have_exact_intervals() -> None:
    assert Share(0, 0).interval == (0.0, 1.0)
    low, high = Share(5, 10).interval
    assert (round(low, 3), round(high, 3)) == (0.187, 0.813)


def test_a_limit_is_that_of_the_clearest_part(clip: Path) -> None:
    """A movement of two regions is found by either; NaN says that a region shows nothing."""
    limits = {name: np.full(500, np.nan) for name in REGIONS}
    limits["mouth"][:] = 0.4
    limits["eyes"][:] = 0.2
    plain = plain_of(limits=limits)
    config = replace(CONFIG, sizes=(0.3,), per_size=20)
    copies = plan(plain.ground, config)
    kept = {(0.3, number): () for number in range(len(copies))}

    class Kept:
        def copy(self, size: float, number: int) -> tuple[Candidate, ...]:
            return kept[size, number]

    recovery, resumed = recover(clip, config, plain, parts=Kept())
    assert resumed == len(copies)
    assert recovery.limited
    limit_of = {trial.units: trial.limit for trial in recovery.trials}
    assert limit_of[("17",)] is None
    assert limit_of[("12",)] == pytest.approx(0.4)
    shares = {m.units: m.shares for copy in copies for m in copy}[("6", "12")]
    assert limit_of["6", "12"] == pytest.approx(min(0.2 / shares["eyes"], 0.4 / shares["mouth"]))


def test_calibration_counts_by_size_over_limit() -> None:
    trials = [
        trial(limit=None), trial(limit=3.0, found="negative"), trial(limit=0.3),
        trial(limit=0.28, found="negative"), trial(limit=0.1, found="negative"),
    ]  # fmt: skip
    shares = calibration(trials)
    assert len(shares) == len(RATIO_EDGES) - 1
    assert shares[0] == Share(1, 2)
    assert shares[AT_LIMIT] == Share(1, 2)
    assert shares[-1] == Share(1, 1)
    limits = sensitivity_json(recovery_of(trials, limited=True))["limits"]
    assert limits["at_limit"][0]["planted"] == 2
    assert limits["without_limit"] == {
        "found": 0, "planted": 1, "share": 0.0, "low": 0.0, "high": 0.975
    }  # fmt: skip


# --- the page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.seen: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in ("meta", "br", "line", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["h2"]:
            self.headings.append(data)
        if "style" not in self.open:
            self.words.append(data)


def read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_asks_for_nothing(result) -> None:
    html = (result[0].folder / "sensitivity.html").read_text(encoding="utf-8")
    page = read(html)
    assert "script" not in page.seen and "http" not in html.replace("http-equiv", "")
    assert "default-src 'none'" in html
    words = " ".join(page.words)
    assert "Candidates, not verdicts" in words
    assert "size 0: " in words
    for heading in ("Found again, by size", "By part of the face", "By class", "Controls"):
        assert heading in page.headings
    assert any("limit hold" in heading for heading in page.headings)


def test_the_page_shows_how_well_the_limit_holds() -> None:
    trials = [trial(limit=0.3), trial(limit=0.3, found="negative"), trial(limit=None)]
    page = read(sensitivity_html(recovery_of(trials, limited=True)))
    assert "Does the detection limit hold?" in page.headings
    assert "1 of 2 were found" in " ".join(page.words)


def test_names_are_text() -> None:
    recovery = recovery_of([trial()])
    source = replace(recovery.source, path="<img src=x>.mp4")
    page = read(sensitivity_html(replace(recovery, source=source)))
    assert "img" not in page.seen


def test_the_answer_says_which_side_half_lies_on() -> None:
    missed, hit = trial(0.1), trial(0.4, found="negative")
    assert "from about 0.2 units (0.8 px) on" in answer(recovery_of([missed, hit], (0.1, 0.4)))
    assert "even at the smallest" in answer(recovery_of([trial(found="negative")]))
    fall = [trial(0.1, found="negative"), trial(0.4)]
    assert "even at the smallest" in answer(recovery_of(fall, (0.1, 0.4))), "one pool of a half"
    assert "even at the largest" in answer(recovery_of([trial()]))


# --- the command


def command(capfd, *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    said = capfd.readouterr()
    return code, said.out, said.err


def test_the_command_prints_the_curve(clip: Path, result, tmp_path: Path, capfd) -> None:
    out = shutil.copytree(result[0].folder, tmp_path / "out")
    words = ("sensitivity", clip, "--out", out, "--sizes", "0.05, 0.7", "--per-size", 2)
    code, said, err = command(capfd, *words)
    assert code == 0
    assert "analyses from before" in said
    assert "controls: " in said and "found at size 0" in said
    assert "sensitivity.html" in said
    assert "finished in" in err


def test_analyze_plants_afterwards(clip: Path, result, tmp_path: Path, capfd) -> None:
    kept = result[0].folder / "sensitivity.parts"
    # what it would plant by default, ended before but for the unplanted analysis and one copy
    parts = Parts(tmp_path / "clip" / "sensitivity.parts", record_of(clip, SensitivityConfig()))
    parts.keep_plain(Parts(kept, record_of(clip, CONFIG)).plain())
    copies = plan(parts.plain().ground, SensitivityConfig())
    for number in range(1, len(copies)):
        parts.keep_copy(0.5, number, ())
    code, said, _ = command(capfd, "analyze", clip, "--out", tmp_path, "--inject", ".5")
    assert code == 0
    assert said.index("report.html") < said.index("movements a size planted")
    document = json.loads((tmp_path / "clip" / "sensitivity.json").read_text(encoding="utf-8"))
    assert [entry["size"] for entry in document["sizes"]] == [0.5]
    assert document["sizes"][0]["planted"] >= 30
    assert (tmp_path / "clip" / "events.json").is_file()


def test_analyze_refuses_sizes_before_any_work(clip: Path, tmp_path: Path, capfd) -> None:
    code, said, err = command(capfd, "analyze", clip, "--out", tmp_path / "out", "--inject", "7")
    assert (code, said) == (1, "")
    assert "expected different sizes above 0 and up to 3 units" in err
    assert not (tmp_path / "out").exists()


def _video(path: Path, frames: list[np.ndarray]) -> Path:
    with VideoWriter(path, 25.0, frames[0].shape[1], frames[0].shape[0]) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_a_video_without_a_face_is_one_line(tmp_path: Path, capfd) -> None:
    wall = _video(tmp_path / "wall.mp4", [np.full((96, 128), 90, np.uint8)] * 60)
    code, said, err = command(capfd, "sensitivity", wall, "--out", tmp_path / "out")
    lines = [line for line in err.splitlines() if "error" in line]
    assert (code, said, len(lines)) == (1, "", 1)
    assert "expected a face" in lines[0]
    assert not (tmp_path / "out").exists()


def test_too_short_a_recording_is_one_line(tmp_path: Path, capfd) -> None:
    path = tmp_path / "short.mp4"
    write_clip(path, replace(CLIP, seconds=2.0, fps=20.0, events_per_minute=0), seed=1)
    code, said, err = command(
        capfd, "sensitivity", path, "--out", tmp_path / "out", "--max-seconds", 1.5
    )
    lines = [line for line in err.splitlines() if "error" in line]
    assert (code, said, len(lines)) == (1, "", 1)
    assert "to plant movements in" in lines[0] and "use a longer recording" in lines[0]


@pytest.mark.parametrize(
    "words",
    [("--sizes", "big"), ("--sizes", ","), ("--per-size", 0), ("--jobs", 0), ("--max-seconds", -1)],
)
def test_wrong_usage(words: tuple[object, ...], clip: Path, capfd, tmp_path: Path) -> None:
    code, _, err = command(capfd, "sensitivity", clip, "--out", tmp_path / "out", *words)
    assert code == 2
    assert "expected" in err or "greater than or equal" in err


def test_the_benchmarks_fields_fit(shared: Path, monkeypatch) -> None:
    """The spikes' script is loaded by its path; it is no part of the project."""
    script = shared / "reference" / "prototypes" / "bump_basis.py"
    if not script.is_file():
        pytest.skip(f"no spikes: {script} is not there")
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "real_recordings.py"
    spec = importlib.util.spec_from_file_location("real_recordings", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "real_recordings", module)
    spec.loader.exec_module(module)
    config = SensitivityConfig(
        per_size=20, fields=module.SpikeFields(script), recipes=module.RECIPES
    )
    (*_, copy) = plan(plain_of(60.0).ground, config)
    assert all(np.hypot(*move.field).max() == pytest.approx(1, abs=2e-3) for move in copy)
    assert not np.allclose(copy[0].field.shape, BumpUnits(0)("4L").shape)
