from __future__ import annotations

import csv
import errno
import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from micromimic.core.errors import OutputError
from micromimic.core.labels import CELLS, REGIONS, THREE
from micromimic.core.strict_json import tidy
from micromimic.core.types import DetectionLimits, MotionCurve
from micromimic.report import elan, page
from micromimic.report.curves import minmax, timeline_data
from micromimic.report.tables import CURVE_COLUMNS, events_csv, events_json, write_curve_csv
from micromimic.report.write import FILES, write_analysis

from ..sample_analysis import (
    PLANTED,
    sample_analysis,
)


@pytest.fixture(scope="module")
def analysis():
    return sample_analysis()


@pytest.fixture(scope="module")
def folder(analysis, tmp_path_factory):
    target = tmp_path_factory.mktemp("out") / "deep" / "interview"
    write_analysis(analysis, target)
    return target


# ---- files ------------------------------------------------------------------------------------


def test_all_files_and_nothing_else(folder):
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert [p.name for p in folder.parent.iterdir()] == ["interview"]


def test_json_follows_the_contract(folder, analysis):
    def no_nan(name):
        raise AssertionError(name)

    text = (folder / "events.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=no_nan)
    assert content["schema"] == "micromimic.events/1"
    assert set(content) == {
        "schema", "source", "face", "warnings", "model", "events", "counts",
        "indicators", "limits", "held_back", "settings",
    }  # fmt: skip
    assert len(content["events"]) == 6
    for entry, planted in zip(content["events"], PLANTED, strict=True):
        assert (entry["onset_s"], entry["apex_s"], entry["offset_s"]) == planted[:3]
        assert entry["label"] == planted[3]
        assert set(entry["probabilities"]) == {"negative", "positive", "surprise"}
    first, third = content["events"][0], content["events"][2]
    assert first["amplitude"] == {"units": 0.41, "deviation": 0.05, "px": 4.1}
    assert first["false_alarm_rate_per_hour"] == 0.002
    assert (third["amplitude"], third["false_alarm_rate_per_hour"]) == (None, None)
    assert list(content["limits"]) == list(REGIONS)
    assert content["warnings"][0]["code"] == "face_lost"


def test_limits_are_summed_up_over_the_faces_time():
    times = np.arange(100) * 0.04 + np.where(np.arange(100) >= 60, 5.0, 0.0)  # 5 s without the face
    chin = np.full(100, 0.1)
    chin[20:60], chin[60:90], chin[90:] = 0.25, np.inf, np.nan
    mouth = np.where(np.arange(100) < 40, 0.3, np.inf)
    limits = DetectionLimits(times, {"mouth": mouth, "chin": chin})
    analysis = replace(sample_analysis(evidence=False), limits=limits)
    found = analysis.region_limits()
    assert found["chin"].units == (0.1, 0.25, np.inf)
    assert found["chin"].pixels == pytest.approx((1.0, 2.5, np.inf))  # 10 px a unit
    assert found["chin"].seconds == pytest.approx(60 * 0.04, abs=0.021)
    assert found["chin"].share == pytest.approx(0.6, abs=0.003)
    written = analysis.to_dict()["limits"]
    assert written["mouth"] == {
        "median_units": None, "median_px": None, "p10_units": 0.3, "p10_px": 3.0,
        "p90_units": None, "p90_px": None, "open_share": pytest.approx(0.398, abs=1e-3),
        "seconds": pytest.approx(1.6),
    }  # fmt: skip
    events_json(analysis.to_dict())  # strict, or ValueError


@pytest.mark.parametrize("moments", [0, 1])
def test_no_limits_are_none(moments, tmp_path):
    limits = DetectionLimits(np.zeros(moments), {name: np.ones(moments) for name in REGIONS})
    for found in (None, limits):
        analysis = replace(sample_analysis(evidence=False), limits=found)
        assert analysis.to_dict()["limits"] is None
        write_curve_csv(analysis.curve, tmp_path / "curve.csv", found)
        assert all(line.endswith("," * len(REGIONS)) for line in
                   (tmp_path / "curve.csv").read_text().splitlines()[1:50])  # fmt: skip


def test_tables_of_answers_from_before_amplitudes():
    entry = sample_analysis(evidence=False).to_dict()["events"][0]
    del entry["amplitude"], entry["false_alarm_rate_per_hour"]
    (row,) = csv.DictReader(events_csv([entry], THREE.names).splitlines())
    assert list(row)[-5:] == [
        "amplitude_units", "amplitude_sd", "amplitude_px", "false_alarm_rate_per_hour", "kind",
    ]  # fmt: skip
    assert set(list(row.values())[-5:-1]) == {""}


def test_tidy_leaves_only_what_json_can_carry():
    value = {"a": np.array([1.0, np.nan]), "b": (np.float32(0.5), float("inf")), "c": np.bool_(1)}
    assert tidy(value) == {"a": [1.0, None], "b": [0.5, None], "c": True}


def test_events_csv_agrees_with_to_frame(folder, analysis):
    import pandas as pd

    read = pd.read_csv(folder / "events.csv", keep_default_na=False)
    expected = analysis.to_frame()
    assert expected.pop("video").tolist() == [analysis.source.path] * 6
    assert list(read.columns) == list(expected.columns)
    numbers = list(expected.columns)[-5:-1]
    read[numbers] = read[numbers].apply(pd.to_numeric)
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    assert read["amplitude_sd"].tolist()[:2] == [0.05, 0.06]
    assert np.isnan(read["amplitude_units"][2])


def test_curve_csv_is_the_curve_with_empty_cells_where_lost(folder, analysis):
    with (folder / "curve.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    limits = [f"limit_{name}" for name in ("forehead", "eyes", "nose", "mouth", "chin")]
    assert tuple(rows[0]) == CURVE_COLUMNS == ("time_s", "score", *CELLS, *limits)
    assert len(rows) == 12001
    values = np.array([[float(x) if x else np.nan for x in row] for row in rows[1:]])
    known = analysis.limits.at(analysis.curve.times)
    expected = np.column_stack(
        [analysis.curve.times, analysis.curve.score, analysis.curve.cells, *known.values()]
    )
    assert np.isinf(expected).any() and np.isnan(expected[:20, -1]).all()
    expected[np.isinf(expected)] = np.nan  # closed
    expected[~analysis.track.found, 1:] = np.nan
    np.testing.assert_allclose(values, expected, atol=6e-5, equal_nan=True)
    lost = ~analysis.track.found
    assert all(set(rows[1 + k][1:]) == {""} for k in np.flatnonzero(lost)[:5])


def test_curve_csv_without_frames(tmp_path):
    write_curve_csv(MotionCurve(np.zeros(0), np.zeros(0), np.zeros((0, 10))), tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text().splitlines() == [",".join(CURVE_COLUMNS)]


# ---- whole or not at all ----------------------------------------------------------------------


@pytest.fixture
def light(monkeypatch):
    """Writing without the big report: these tests are about moving files."""
    monkeypatch.setattr(page, "write_report", lambda a, path: path.write_text("new report"))
    return sample_analysis(evidence=False)


def test_earlier_results_are_replaced_and_other_files_stay(light, tmp_path):
    target = tmp_path / "x"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    (target / "report.html").write_text("old report")
    write_analysis(light, target)
    assert (target / "report.html").read_text() == "new report"
    assert (target / "notes.txt").read_text() == "mine"
    assert len(list(target.iterdir())) == 6
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "a full disk"), (errno.EACCES, "no permission"), (errno.EIO, "error")],
)
def test_failing_while_writing_leaves_nothing(light, tmp_path, monkeypatch, number, words):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(elan, "write_eaf", fail)
    with pytest.raises(OutputError, match=words) as caught:
        write_analysis(light, tmp_path / "new" / "x")
    message = str(caught.value)
    assert "\n" not in message and message.startswith("expected a folder") and "; " in message
    assert list(tmp_path.iterdir()) == []


def test_earlier_results_come_back_when_moving_fails(light, tmp_path, monkeypatch):
    target = tmp_path / "x"
    target.mkdir()
    for name in FILES:
        (target / name).write_text(f"old {name}")
    real, calls = Path.replace, []

    def replace_twice(self, other):
        calls.append(self)
        if len(calls) == 3:  # two moved in, then the disk fails
            raise OSError(errno.EIO, "input/output error")
        return real(self, other)

    monkeypatch.setattr(Path, "replace", replace_twice)
    with pytest.raises(OutputError):
        write_analysis(light, target)
    monkeypatch.undo()
    assert {p.name: p.read_text() for p in target.iterdir()} == {n: f"old {n}" for n in FILES}
    assert list(tmp_path.iterdir()) == [target]


def test_ctrl_c_leaves_nothing(light, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(elan, "write_eaf", stop)
    with pytest.raises(KeyboardInterrupt):
        write_analysis(light, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way(light, tmp_path):
    (tmp_path / "x").write_text("a file")
    for target in (tmp_path / "x", tmp_path / "x" / "below"):
        with pytest.raises(OutputError, match="a file in its place"):
            write_analysis(light, target)
    assert (tmp_path / "x").read_text() == "a file"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


# ---- curves -----------------------------------------------------------------------------------


def test_minmax_keeps_extremes_and_gaps():
    rng = np.random.default_rng(0)
    times = np.arange(50_000) / 200
    values = rng.normal(size=50_000)
    values[31_234] = 40.0
    values[20_000:22_000] = np.nan
    t, y = minmax(times, values, 500)
    assert len(t) <= 1000
    assert np.all(np.diff(t) > 0)
    assert np.nanmax(y) == 40.0
    assert np.nanmin(y) == np.nanmin(values)
    assert np.isnan(y).sum() >= 15
    edges = np.linspace(0, 50_000, 501).astype(int)
    for a, b in pairwise(edges[:60]):
        inside = y[(t >= times[a]) & (t <= times[b - 1])]
        assert (inside.min(), inside.max()) == (values[a:b].min(), values[a:b].max())


def test_curves_in_whole_numbers_can_be_read_back(analysis):
    score, curve = timeline_data(analysis)["score"], analysis.curve
    times = np.cumsum(score["t"]) / 1e4
    values = np.array([np.nan if y is None else y / score["k"] for y in score["y"]])
    np.testing.assert_allclose(times, curve.times, atol=5.1e-5)
    np.testing.assert_allclose(values, curve.score, atol=5.1e-3)
    assert np.isnan(values).any()


def test_timeline_data_has_lost_and_gated_stretches(analysis):
    found = timeline_data(analysis)
    assert found["lost"] == [[26.0, 28.4]]
    assert [18.6, 20.1, "head movement"] in found["gated"]
    assert not any(cause == "blink" for _, _, cause in found["gated"])
    assert [c["name"] for c in found["cells"]][2] == "Chin"
