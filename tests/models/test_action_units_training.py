"""Training the model of action units: its truth, its scores, and the file."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is in the train extra")
pytest.importorskip("onnx", reason="onnx is in the train extra")
pytest.importorskip("sklearn", reason="scikit-learn is in the train extra")

import torch
from sklearn.metrics import f1_score, precision_recall_fscore_support, roc_auc_score

from micromimic.evaluation.metrics import BINS, bins_of, calibration_error
from micromimic.face.units import UNIT_NAMES
from micromimic.models.action_units import NEVER, UnitCalibration, UnitScores, load_unit_model
from micromimic.synthesis.maps import MapConfig, draw_maps
from weights.__main__ import main
from weights.config import UnitConfig
from weights.units_maps import SIDED, TOLD, UnitMaps, UnitTruth, truth_of, unit_maps
from weights.units_network import build_units_onnx, scores_of, train_units
from weights.units_score import Asked, calibrate_units, joined, score_told, score_units

TINY = UnitConfig(seed=3, maps=384, epochs=2)


@pytest.fixture(scope="module")
def few() -> UnitMaps:
    return unit_maps(384, 4711, MapConfig())


@pytest.fixture(scope="module")
def network(few):
    return train_units(few, TINY)


# --- truth ---


def test_truth_is_what_was_drawn(few):
    labels = ["negative", "positive", "surprise"] * 128
    drawn = draw_maps(labels, 4711 * 1009, MapConfig())
    assert np.array_equal(drawn.maps, few.maps)
    for row, acting_units in enumerate(drawn.action_units):
        names = [name for name in acting_units if name.lstrip("LR") != "45"]
        bare = [name.lstrip("LR") for name in names]
        acting = [unit for unit, acts in zip(TOLD, few.truth.presence[row], strict=True) if acts]
        assert sorted(acting, key=int) == sorted(bare, key=int)
        for name, unit in zip(names, bare, strict=True):
            if unit in SIDED:
                wanted = {"L": 1, "R": 2}.get(name[0], 0)
                assert few.truth.sides[row, SIDED.index(unit)] == wanted
        amounts = dict.fromkeys(TOLD, 0.0)
        for unit in bare:
            for name, weight in zip(UNIT_NAMES, drawn.weights[row], strict=True):
                if name.rstrip("LR") == unit:
                    amounts[unit] += max(0.0, float(weight)) * (1 if name != unit else 2)
        shares = np.array([amounts[unit] for unit in TOLD])
        assert few.truth.shares[row] == pytest.approx(shares / shares.sum(), abs=1e-5)


def test_sides_are_minus_one_where_nothing_acts(few):
    for column, unit in enumerate(SIDED):
        acts = few.truth.presence[:, TOLD.index(unit)]
        assert ((few.truth.sides[:, column] >= 0) == acts).all()


def test_unknown_units_are_left_out_of_the_truth():
    truth = truth_of([("39", "L12"), ("61",)])
    assert truth.presence.sum(1).tolist() == [1, 0]
    assert truth.shares.sum(1).tolist() == [1.0, 0.0]


# --- scores ---


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    presence = rng.random((300, len(TOLD))) < 0.3
    p = np.clip(0.5 * presence + rng.random(presence.shape) * 0.6, 0, 1)
    told = p > 0.5
    sides = rng.integers(0, 3, (300, len(SIDED)))
    where = [TOLD.index(unit) for unit in SIDED]
    truth = UnitTruth(
        presence, np.where(presence[:, where], sides, -1), np.zeros(presence.shape, np.float32)
    )
    guess = np.where(rng.random(sides.shape) < 0.7, sides, 0)
    found = score_told(truth, told, guess, p)
    precision, recall, f1, _ = precision_recall_fscore_support(presence, told, average=None)
    for k, row in enumerate(found.rows):
        assert (row.precision, row.recall, row.f1) == pytest.approx(
            (precision[k], recall[k], f1[k])
        )
        assert row.auc == pytest.approx(roc_auc_score(presence[:, k], p[:, k]))
    assert found.micro_f1 == pytest.approx(f1_score(presence, told, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(presence, told, average="macro"))
    known = presence[:, where] & told[:, where]
    assert found.side_accuracy == pytest.approx((guess == sides)[known].mean())
    kinds = [(guess == sides)[known & (sides == side)].mean() for side in range(3)]
    assert found.side_balanced == pytest.approx(np.mean(kinds))


def test_calibration_finds_the_curve_and_the_best_threshold():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (20_000, len(TOLD)))
    acts = rng.random(logits.shape) < 1 / (1 + np.exp(-(0.6 * logits - 0.5)))
    n = len(logits)
    truth = UnitTruth(acts, np.full((n, len(SIDED)), -1), np.zeros(acts.shape, np.float32))
    said = UnitScores(logits, np.full((n, len(SIDED), 3), 1 / 3), np.zeros(acts.shape))
    found = calibrate_units(Asked(said, truth))
    assert found.slope == pytest.approx([0.6] * len(TOLD), abs=0.05)
    assert found.offset == pytest.approx([-0.5] * len(TOLD), abs=0.1)
    p = found.probabilities(logits)
    assert calibration_error(bins_of(p.ravel(), acts.ravel(), BINS, "width")) < 0.01
    for k in range(len(TOLD)):
        best = max(f1_score(acts[:, k], p[:, k] >= level) for level in np.arange(0.2, 0.81, 0.05))
        assert f1_score(acts[:, k], p[:, k] >= found.threshold[k]) >= best - 0.002


def test_a_unit_that_cannot_be_told_is_never_told():
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 3, (4000, len(TOLD)))
    acts = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    acts[:, 0] = rng.random(4000) < 0.01  # has nothing to do with its logit
    said = UnitScores(logits, np.zeros((4000, len(SIDED), 3)), np.zeros(acts.shape))
    empty = np.full((4000, len(SIDED)), -1), np.zeros(acts.shape, np.float32)
    found = calibrate_units(Asked(said, UnitTruth(acts, *empty)))
    assert [level == NEVER for level in found.threshold] == [True] + [False] * (len(TOLD) - 1)
    assert (found.probabilities(np.full((1, len(TOLD)), 1e6)) < NEVER).all()


def test_sets_that_are_joined_take_turns(few):
    zeros = np.zeros((4, len(TOLD)))
    parts = []
    for number in range(3):
        said = UnitScores(zeros + number, np.zeros((4, len(SIDED), 3)), zeros)
        parts.append(Asked(said, few.truth.take(slice(4 * number, 4 * number + 4))))
    both = joined(parts)
    assert both.scores.presence[:, 0].tolist() == [0, 1, 2] * 4
    for row in range(12):
        source = few.truth.presence[4 * (row % 3) + row // 3]
        assert (both.truth.presence[row] == source).all()


# --- training and the file ---


def test_training_is_deterministic_and_leaves_the_dice_alone(few, network):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    again = train_units(few, TINY)
    assert torch.rand(1) == wanted
    details = {"name": "x"}
    first, second = (build_units_onnx(net, details) for net in (network, again))
    assert first == second


def test_the_file_says_what_the_network_says(few, network, tmp_path):
    numbers = [1.0] * len(TOLD)
    details = {
        "name": "tiny", "version": "0", "trained_on": "little", "units": list(TOLD),
        "sided": list(SIDED), "slope": numbers, "offset": numbers, "threshold": numbers,
    }  # fmt: skip
    path = tmp_path / "units.onnx"
    path.write_bytes(build_units_onnx(network, details))
    model = load_unit_model(path)
    assert (model.info.name, model.calibration.units) == ("tiny", TOLD)
    for one, other in zip(model.scores(few.maps), scores_of(network, few.maps), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_the_command_writes_a_model_and_its_card(tmp_path, capsys):
    out = tmp_path / "units.onnx"
    assert (
        main(
            [
                "action-units",
                "--out",
                str(out),
                "--maps",
                "600",
                "--validation",
                "2000",
                "--epochs",
                "1",
                "--without",
                "samm",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out.split() == [str(out), str(out.with_suffix(".md"))]
    card = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "--seed 0" in card
    assert "--maps 600" in card
    assert "--without samm" in card
    # the other table knows nothing of these two, so they are not told, and cannot be scored
    assert card.count("| AU ") == len(TOLD) - 2
    assert {"| AU 20 ", "| AU 23 "}.isdisjoint(line[:8] for line in card.splitlines())
    model = load_unit_model(out)
    assert model.info.trained_on == "synthetic motion only (600 maps, seed 0, recipes: casme2)"
    never = [model.calibration.threshold[TOLD.index(unit)] for unit in ("20", "23")]
    assert never == [NEVER, NEVER]


def test_the_command_refuses_too_little(tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["action-units", "--out", str(tmp_path / "u.onnx"), "--maps", "10"])
    assert ended.value.code == 2


# --- what ships ---


@pytest.mark.parametrize(
    ("config", "micro", "auc"), [(MapConfig(), 0.75, 0.95), (MapConfig().harder(), 0.6, 0.85)]
)
def test_the_shipped_model_tells_units_of_faces_it_has_not_seen(config, micro, auc):
    from dataclasses import replace

    model = load_unit_model()
    asked = unit_maps(900, 10_000, replace(config, faces="own"))
    scores = model.scores(asked.maps)
    calibration = UnitCalibration(
        TOLD, SIDED, *(getattr(model.calibration, key) for key in ("slope", "offset", "threshold"))
    )
    figures = score_units(Asked(scores, asked.truth), calibration)
    assert figures.micro_f1 > micro
    assert figures.macro_auc > auc
