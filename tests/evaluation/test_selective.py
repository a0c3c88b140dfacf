"""Calibration and coverage: against slow loops, and what a run writes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from micromimic.core.labels import THREE
from micromimic.evaluation import reliability
from micromimic.evaluation.metrics import (
    calibration_error,
    expected_calibration_error,
    reliability_bins,
    uar,
    uf1,
)
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.reliability import (
    SHARES,
    calibration_interval,
    coverage_curve,
    gain_at,
    risk_area,
)
from micromimic.models.calibrate import lead_of, margin_for
from micromimic.models.samples import softmax
from micromimic.synthesis.maps import generate_maps

from ..rows import Prediction, takes_rows

NAMES = np.asarray(THREE.names)
reliability_of = takes_rows(reliability.reliability_of)


def drawn(n: int = 400, seed: int = 0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the probabilities (calibrated), and the probabilities, made sharper."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, (n, 3))
    truth = [rng.choice(3, p=row) for row in softmax(scores)]
    return NAMES[truth], softmax(slope * scores)


def run_of(truth, p, who=None, labels=THREE) -> Predictions:
    """As a run of one subject, or of these."""
    n = len(truth)
    return Predictions.of(
        ["smic"] * n, who or ["1"] * n, map(str, range(n)), truth, p, labels=labels
    )


def rows_of(n: int = 60, seed: int = 0, people: int = 6) -> list[Prediction]:
    truth, p = drawn(n, seed)
    return [
        Prediction(
            "smic", f"s{k % people:02}", f"c{k:03}", 0, 0, truth[k], THREE.names[p[k].argmax()],
            tuple(p[k].tolist()),
        )
        for k in range(n)
    ]  # fmt: skip


# --- calibration ---


def test_bins_of_equal_width_give_the_usual_error():
    for seed in range(5):
        truth, p = drawn(seed=seed, slope=1 + seed)
        groups = reliability_bins(truth, p)
        assert sum(group.n for group in groups) == len(truth)
        assert calibration_error(groups) == pytest.approx(expected_calibration_error(truth, p))


def test_bins_of_equal_mass_against_a_loop():
    truth, p = drawn(203, slope=2)
    order = sorted(range(203), key=lambda k: p[k].max())
    total, start = 0.0, 0
    for k in range(10):
        size = 203 // 10 + (k < 203 % 10)
        part = order[start : start + size]
        start += size
        hits = sum(THREE.names[int(p[row].argmax())] == truth[row] for row in part)
        total += abs(sum(p[row].max() for row in part) - hits) / 203
    groups = reliability_bins(truth, p, by="mass")
    assert calibration_error(groups) == pytest.approx(total)
    assert {group.n for group in groups} == {20, 21}


def test_an_overconfident_model_is_told_from_a_calibrated_one():
    errors = [
        calibration_error(reliability_bins(*drawn(4000, slope=slope))) for slope in (0.5, 1.0, 3.0)
    ]
    assert errors[1] < 0.03
    assert min(errors[0], errors[2]) > 0.08
    truth, p = drawn(4000, slope=3.0)
    assert all(group.confidence > group.accuracy for group in reliability_bins(truth, p)[-3:])


def test_the_interval_holds_the_error_and_needs_two_subjects():
    truth, p = drawn(300, slope=2.0)
    run = run_of(truth, p, [f"{k % 20}" for k in range(300)])
    low, high = calibration_interval(run, draws=200)
    assert low < calibration_error(reliability_bins(truth, p)) < high
    assert calibration_interval(run, draws=200) == (low, high)
    assert calibration_interval(run_of(truth, p), draws=10) is None


@pytest.mark.parametrize(
    ("truth", "p", "message"),
    [
        ([], np.zeros((0, 3)), "for n labels above 0"),
        (["negative"], np.zeros((1, 2)), "must be"),
        (["fear"], np.ones((1, 3)) / 3, "fear"),
    ],
)
def test_what_is_no_prediction_is_refused(truth, p, message):
    with pytest.raises(ValueError, match=message):
        reliability_bins(truth, p, labels=THREE.names)


def test_probabilities_of_any_classes_in_any_order():
    """Columns in another order, with the classes said, give the same; five classes do, too."""
    truth, p = drawn()
    order = [2, 0, 1]
    names = [THREE.names[k] for k in order]
    turned = p[:, order]
    assert reliability_bins(truth, p) == reliability_bins(truth, turned, labels=names)
    assert risk_area(run_of(truth, p)) == risk_area(run_of(truth, turned, labels=names))
    rng = np.random.default_rng(0)
    five = [f"e{k}" for k in range(5)]
    p = rng.dirichlet([0.4] * 5, 4000)
    truth = [five[rng.choice(5, p=row)] for row in p]
    assert expected_calibration_error(truth, p, labels=five) < 0.03
    (whole,) = coverage_curve(run_of(truth, p, labels=five), (1.0,))
    guess = [five[k] for k in p.argmax(1)]
    assert whole.uf1 == pytest.approx(uf1(truth, guess, five))


def test_no_bins_and_no_shares_are_refused():
    truth, p = drawn(9)
    with pytest.raises(ValueError, match="at least 1 bin"):
        reliability_bins(truth, p, 0)
    for shares in ((), (0.0,), (1.2,)):
        with pytest.raises(ValueError, match="shares above 0"):
            coverage_curve(run_of(truth, p), shares)


# --- coverage ---


def test_the_curve_against_a_loop():
    truth, p = drawn(157)
    lead = lead_of(p)
    order = sorted(range(157), key=lambda k: -lead[k])
    for point in coverage_curve(run_of(truth, p)):
        kept = order[: max(1, round(point.coverage * 157))]
        said = NAMES[p[kept].argmax(1)]
        assert point.n == len(kept)
        assert point.lead == min(lead[kept])
        assert point.uf1 == pytest.approx(uf1(truth[kept], said, THREE.names))
        assert point.uar == pytest.approx(uar(truth[kept], said, THREE.names))
        assert point.accuracy == pytest.approx(np.mean(truth[kept] == said))
    assert SHARES[0] == 1.0 and SHARES[-1] == 0.2


def test_the_area_against_a_loop():
    truth, p = drawn(83)
    order = sorted(range(83), key=lambda k: -lead_of(p)[k])
    wrong = [NAMES[p[k].argmax()] != truth[k] for k in order]
    risks = [sum(wrong[: k + 1]) / (k + 1) for k in range(83)]
    assert risk_area(run_of(truth, p)) == pytest.approx(np.mean(risks))


def test_a_good_order_gains_and_a_bad_one_loses():
    truth, p = drawn(2000)
    right = (NAMES[p.argmax(1)] == truth).astype(float)
    run = run_of(truth, p)
    accuracy = [point.accuracy for point in coverage_curve(run)]
    assert accuracy[-1] > accuracy[8] > accuracy[0] == pytest.approx(right.mean())
    assert risk_area(run, right) < risk_area(run) < risk_area(run, -right)


def test_the_gain_and_its_interval():
    truth, p = drawn(600)
    who = [f"{k % 30:02}" for k in range(600)]
    run = run_of(truth, p, who)
    found = gain_at(run, 0.7, draws=300)
    full, part = coverage_curve(run, (1.0, 0.7))
    assert (found.full, found.part) == (full.uf1, part.uf1)
    assert found.gain == part.uf1 - full.uf1 > 0
    assert found.ci95[0] < found.gain < found.ci95[1]
    # a lead that knows nothing gains nothing
    rng = np.random.default_rng(3)
    low, high = gain_at(run_of(rng.permutation(truth), p, who), 0.7, draws=300).ci95
    assert low < 0 < high
    assert gain_at(run_of(truth, p), draws=10).ci95 is None


def test_resamples_draw_whole_subjects_and_choose_anew():
    """With two subjects, one always right and sure, the other always wrong, resamples are three."""
    truth = ["negative", "positive"] * 4
    sure = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]] * 2)
    lost = np.array([[0.3, 0.4, 0.3], [0.4, 0.3, 0.3]] * 2)
    p = np.concatenate([sure, lost])
    who = ["a"] * 4 + ["b"] * 4
    found = gain_at(run_of(truth, p, who), 0.5, draws=400)
    # of three classes that are in the set two are there
    assert (found.full, found.part) == pytest.approx((1 / 3, 2 / 3))
    # both drawn: +1/3; only one of them drawn: nothing to gain
    assert found.ci95 == pytest.approx((0.0, 1 / 3))


# --- the margin ---


def test_the_margin_against_all_there_are():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        lead = rng.random(120)
        right = rng.random(120) < 0.35 + 0.6 * lead
        found = margin_for(lead, right, 0.8, 0.5)

        def fits(margin: float, lead=lead, right=right) -> bool:
            sure = lead >= margin
            return right[sure].mean() >= 0.8 and (~right & ~sure).sum() >= 0.5 * (~right).sum()

        assert found == min(value for value in lead if fits(value))


def test_the_margin_where_all_is_right_or_nothing():
    lead = np.linspace(0, 1, 50)
    assert margin_for(lead, np.ones(50, bool), 0.8, 0.5) == 0.0
    assert margin_for(lead, np.zeros(50, bool), 0.8, 0.5) == 1.0
    # nine of ten right: accurate enough without a margin, but half of the errors are to be caught
    right = np.arange(50) % 10 != 0
    assert margin_for(lead, right, 0.8, 0.0) == 0.0
    caught = margin_for(lead, right, 0.8, 0.5)
    assert (~right[lead < caught]).sum() == 3
    with pytest.raises(ValueError, match="as many leads"):
        margin_for(lead, right[:3], 0.8, 0.5)
    with pytest.raises(ValueError, match="as many leads"):
        margin_for(lead[:0], right[:0], 0.8, 0.5)


# --- what a run says of it ---


def test_a_runs_numbers_do_not_depend_on_the_order_of_its_rows():
    rows = rows_of()
    found = reliability_of(rows, draws=50)
    assert found == reliability_of(rows[::-1], draws=50)
    assert json.loads(json.dumps(found)) == found
    assert found["coverage"][0]["coverage"] == 1.0
    assert found["gain"]["full"] == found["coverage"][0]["uf1"]
    assert found["ece_ci95"][0] < found["ece_ci95"][1]


def test_one_subject_has_no_intervals():
    found = reliability_of(rows_of(12, people=1), draws=5)
    assert found["ece_ci95"] is None and found["gain"]["ci95"] is None


@pytest.mark.needs("train")
def test_the_figures_are_written_and_repeat(tmp_path: Path):
    from micromimic.evaluation.report import figures

    reliability_figure = takes_rows(figures.reliability_figure)
    coverage_figure = takes_rows(figures.coverage_figure)

    rows = rows_of(200)
    first = reliability_figure(rows, tmp_path / "a", title="flow-capsnet")
    again = reliability_figure(rows[::-1], tmp_path / "b", title="flow-capsnet")
    curve = coverage_figure(rows, tmp_path / "c", title="flow-capsnet")
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    for png, svg in (first, curve):
        assert (png.suffix, svg.suffix) == (".png", ".svg")
        assert png.stat().st_size > 10_000
    # too few for an interval
    assert coverage_figure(rows_of(3, people=1), tmp_path / "d")[0].is_file()


@pytest.mark.needs("train")
def test_an_evaluation_writes_them(tmp_path: Path):
    import cv2

    from micromimic.evaluation.evaluate import evaluate_run
    from micromimic.evaluation.run import RunConfig

    lines = ["dataset,subject,clip,label,kind,path"]
    labels = [THREE.names[k % 3] for k in range(18)]
    for k, flow in enumerate(generate_maps(labels, seed=8)):
        low, high = flow.min((1, 2), keepdims=True), flow.max((1, 2), keepdims=True)
        picture = np.rint(255 * (flow - low) / (high - low)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), picture.transpose(1, 2, 0)[..., ::-1])
        lines.append(f"smic,s{k // 6:02},c{k:02},{labels[k]},flow_map,{k}.png")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "run"
    found = evaluate_run(manifest, RunConfig(model="flow-template"), out)
    kept = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert kept["reliability"] == found.metrics["reliability"]
    assert kept["reliability"]["ece"] == pytest.approx(kept["composite"]["ece"])
    assert kept["reliability"]["gain"]["full"] == kept["composite"]["uf1"]
    for name in ("reliability", "coverage"):
        for ending in ("png", "svg"):
            assert (out / f"{name}.{ending}").stat().st_size > 5000
