"""Action units of an event: what the shipped model tells, and how results carry it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from micromimic.core.errors import ModelError
from micromimic.core.results import event_to_dict, unit_from_dict, unit_names
from micromimic.core.types import UnitEvidence
from micromimic.face.units import UNIT_NAMES
from micromimic.models.action_units import SHIPPED_UNITS, SIDES, UnitCalibration, load_unit_model
from micromimic.models.onnx import SHIPPED, load_model
from micromimic.models.preprocess import mirror
from micromimic.report.words import UNIT_WORDS
from micromimic.report.write import write_analysis
from micromimic.synthesis.maps import MapConfig, draw_maps, maps_of_units
from micromimic.synthesis.recipes import COMBINATIONS

from ..model_files import describe, write_model
from ..sample_analysis import sample_analysis

CLEAN = MapConfig(
    crop_shift=(0.0, 0.0),
    crop_scale=(0.0, 0.0),
    crop_rotation=0.0,
    crop_shear=0.0,
    crop_warp=0.0,
    rigid_level=0.02,
    translation=0.02,
    noise=(0.01, 0.02),
    boundary_probability=0.0,
)


@pytest.fixture(scope="module")
def model():
    return load_unit_model()


def moved(units: dict[str, float], seed: int = 31, count: int = 8) -> np.ndarray:
    """Maps of a movement without much disturbance, on different faces."""
    weights = np.zeros((count, len(UNIT_NAMES)), np.float32)
    for name, amount in units.items():
        weights[:, UNIT_NAMES.index(name)] = amount
    return maps_of_units(weights, seed, CLEAN)


# --- the value ---


@pytest.mark.parametrize(
    ("side", "name", "words"),
    [("both", "12", "AU12"), ("left", "L12", "AU12 left"), ("right", "R12", "AU12 right")],
)
def test_a_unit_has_a_name_for_coders_and_one_for_people(side, name, words):
    found = UnitEvidence("12", side, 0.25, 0.5)
    assert (found.name, str(found)) == (name, words)


@pytest.mark.parametrize(
    "bad",
    [
        ("L12", "left", 0.5, 0.5),
        ("12", "L", 0.5, 0.5),
        ("12", "left", 1.5, 0.5),
        ("12", "left", 0.5, float("nan")),
    ],
)
def test_a_unit_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="must be"):
        UnitEvidence(*bad)


# --- the shipped model ---


def test_it_tells_the_units_that_the_recipes_name(model):
    recipes = {u for options in COMBINATIONS.values() for one in options for u in one.units}
    assert set(model.calibration.units) == recipes - {"45"} <= set(UNIT_WORDS)
    sided = {u for u in model.calibration.units if f"{u}L" in UNIT_NAMES}
    assert set(model.calibration.sided) == sided


@pytest.mark.parametrize(
    ("amounts", "wanted"),
    [
        ({"12L": 1.0, "12R": 1.0}, ("12", "both")),
        ({"12L": 1.0}, ("12", "left")),
        ({"12R": 1.0}, ("12", "right")),
        ({"4L": 1.0, "4R": 1.0}, ("4", "both")),
        ({"17": 1.0}, ("17", "both")),
        ({"1L": 1.0, "1R": 1.0, "2L": 1.0, "2R": 1.0}, ("2", "both")),
    ],
)
def test_a_plain_movement_is_told_with_its_side(model, amounts, wanted):
    told = [{(one.unit, one.side) for one in units} for units in model.evidence(moved(amounts))]
    assert sum(wanted in units for units in told) >= 7


def test_a_mirrored_movement_is_told_on_the_other_side(model):
    drawn = draw_maps(["positive", "negative", "surprise"] * 20, seed=77)
    other = {"left": "right", "right": "left", "both": "both"}
    for one, turned in zip(
        model.evidence(drawn.maps), model.evidence(mirror(drawn.maps)), strict=True
    ):
        assert [(u.unit, other[u.side]) for u in one] == [(u.unit, u.side) for u in turned]
        assert [u.probability for u in one] == pytest.approx([u.probability for u in turned])


def test_only_the_form_of_a_map_counts(model):
    maps = draw_maps(["positive", "negative"] * 10, seed=5).maps
    other = 127 + 40 * maps.astype(np.float64)
    assert np.allclose(model.probabilities(maps), model.probabilities(other), atol=1e-4)


def test_a_unit_is_told_from_its_threshold_on_largest_share_first(model):
    maps = draw_maps(["positive", "negative", "surprise"] * 30, seed=8).maps
    p, shares = model.probabilities(maps), model.scores(maps).shares
    assert shares.sum(1) == pytest.approx(1.0, abs=1e-5)
    calibration = model.calibration
    for row, part, told in zip(p, shares, model.evidence(maps), strict=True):
        wanted = {
            unit
            for unit, value, level in zip(
                calibration.units, row, calibration.threshold, strict=True
            )
            if value >= level
        }
        assert {one.unit for one in told} == wanted
        assert [one.share for one in told] == sorted((one.share for one in told), reverse=True)
        for one in told:
            k = calibration.units.index(one.unit)
            assert (one.probability, one.share) == pytest.approx((row[k], part[k]))


def test_sides_are_those_of_the_largest_score(model):
    maps = draw_maps(["positive"] * 40, seed=9).maps
    sides = model.scores(maps).sides
    assert sides.sum(2) == pytest.approx(1.0, abs=1e-6)
    for row, told in zip(sides, model.evidence(maps), strict=True):
        for one in told:
            if one.unit in model.calibration.sided:
                k = model.calibration.sided.index(one.unit)
                assert one.side == SIDES[int(row[k].argmax())]


def test_a_face_that_does_not_move_is_no_error(model):
    still = model.evidence(np.zeros((2, 3, 28, 28)))
    assert still[0] == still[1]
    with pytest.raises(ValueError, match="maps must be"):
        model.evidence(np.zeros((2, 3, 20, 20)))


# --- files that are none ---


def test_unusable_files_are_told_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="found no file; check the path"):
        load_unit_model(tmp_path / "none.onnx")
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"no model")
    with pytest.raises(ModelError, match="expected an ONNX model"):
        load_unit_model(rubbish)
    with pytest.raises(ModelError, match="description of action units"):
        load_unit_model(SHIPPED)
    with pytest.raises(ModelError, match="model description"):
        load_model(SHIPPED_UNITS)


def test_a_graph_with_other_ends_is_refused(tmp_path):
    pytest.importorskip("onnx", reason="onnx is in the train extra")
    told = {"units": ["12"], "sided": [], "slope": [1.0], "offset": [0.0], "threshold": [0.5]}
    path = write_model(tmp_path / "m.onnx", "flow", details={**describe("flow"), **told})
    with pytest.raises(ModelError, match="expected float32 ends"):
        load_unit_model(path)


def test_a_calibration_needs_a_number_for_each_unit():
    with pytest.raises(ValueError, match="for each unit"):
        UnitCalibration(("12",), (), (1.0, 2.0), (0.0,), (0.5,))
    with pytest.raises(ValueError, match="among them"):
        UnitCalibration(("12",), ("6",), (1.0,), (0.0,), (0.5,))


# --- results and reports ---


def test_json_carries_a_unit_there_and_back():
    event = sample_analysis(evidence=False).events[0]
    entries = event_to_dict(event)["action_units"]
    assert entries[0] == {
        "name": "L12", "unit": "12", "side": "left", "probability": 0.81, "strength": 0.7,
    }  # fmt: skip
    assert tuple(unit_from_dict(entry) for entry in entries) == event.action_units
    assert unit_names(entries) == "L12+6"


def test_every_file_names_them(tmp_path: Path):
    analysis = sample_analysis(evidence=False)
    write_analysis(analysis, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "events.json").read_text(encoding="utf-8"))
    wanted = ["L12+6", "", "1+2", "", "L12+6", ""]
    assert [unit_names(entry["action_units"]) for entry in content["events"]] == wanted
    with (tmp_path / "out" / "events.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["action_units"] for row in rows] == wanted
    assert analysis.to_frame()["action_units"].tolist() == wanted
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("AU 12 left</b> lip corner puller") == 2
    assert page.count("No action unit stands out") == 3
    elan = (tmp_path / "out" / "events.eaf").read_text(encoding="utf-8")
    assert 'TIER_ID="action units"' in elan
    assert elan.count("<ANNOTATION_VALUE>L12+6</ANNOTATION_VALUE>") == 2


def test_an_event_without_units_has_no_annotation(tmp_path: Path):
    analysis = sample_analysis(evidence=False)
    bare = tuple(replace(event, action_units=()) for event in analysis.events)
    write_analysis(replace(analysis, events=bare), tmp_path / "out")
    elan = (tmp_path / "out" / "events.eaf").read_text(encoding="utf-8")
    tier = elan.split('TIER_ID="action units"')[1].split("<TIER")[0]
    assert "ANNOTATION_VALUE" not in tier
