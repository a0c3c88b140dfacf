"""Rows of predictions: what is written is read back, and what is wrong is told."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from micromimic.core.errors import InputError, OutputError
from micromimic.core.labels import THREE, LabelSet
from micromimic.core.splits import hde, loso
from micromimic.evaluation import by_database, controls
from micromimic.evaluation.controls import (
    COSINE,
    MAJORITY,
    PRIOR,
    all_controls,
    cosine_to_means,
    majority_per_database,
    random_by_prior,
)
from micromimic.evaluation.metrics import expected_calibration_error, scores_of_tables, uar, uf1
from micromimic.evaluation.predictions import COLUMNS, KEY, Predictions
from micromimic.evaluation.resampling import subject_bootstrap
from micromimic.models.samples import Samples
from micromimic.models.templates import TemplateClassifier

from ..rows import Prediction, of_rows, rows_in, table, takes_rows

metrics_of = takes_rows(by_database.metrics_of)
scopes_of = takes_rows(by_database.scopes_of)


@takes_rows
def expected_scores(rows: Predictions, **given: Any) -> dict[str, dict[str, list[float]]]:
    """Mean and ends of each score, by scope."""
    return {
        scope: {name: [found[name], *found[f"{name}_ci95"]] for name in ("uf1", "uar")}
        for scope, found in controls.expected_scores(rows, **given).items()
    }


ROW = Prediction("samm", "006", "006_1_2", 3, 1, "negative", "surprise", (0.25, 0.25, 0.5))


def make_samples(seed: int = 0, n: int = 90) -> Samples:
    rng = np.random.default_rng(seed)
    datasets = np.array(["smic", "casme2", "samm"])[rng.integers(3, size=n)]
    subjects = np.array([f"{d}/{rng.integers(5):03d}" for d in datasets])
    clips = np.array([f"{who}/{k:03d}_1" for k, who in enumerate(subjects)])
    targets = rng.choice(3, n, p=[0.55, 0.25, 0.2])
    maps = rng.normal(size=(n, 3, 28, 28)).astype(np.float32)
    maps[np.arange(n), 0, 5 + 6 * targets] += 1.5  # each class moves another row of the face
    return Samples(maps, targets, datasets, subjects, clips)


def make_rows(seed: int = 0, n: int = 90) -> list[Prediction]:
    samples = make_samples(seed, n)
    chances = np.random.default_rng(seed + 100).dirichlet([1, 1, 1], n)
    chances[np.arange(n), samples.targets] += 0.35
    chances /= chances.sum(1, keepdims=True)
    return rows_in(Predictions.of_samples(samples, chances, fold=2, seed=seed))


def write_predictions(path: Path, rows: list[Prediction]) -> None:
    of_rows(rows).write(path)


def read_predictions(path: Path) -> list[Prediction]:
    return rows_in(Predictions.read(path))


def by_clip(rows: list[Prediction] | Predictions) -> dict[tuple[str, str, str], Prediction]:
    return {row.key: row for row in rows_in(table(rows).one_run())}


def test_a_file_has_the_agreed_columns_and_keeps_names_as_text(tmp_path: Path) -> None:
    write_predictions(tmp_path / "runs" / "predictions.csv", [ROW])
    assert (tmp_path / "runs" / "predictions.csv").read_bytes() == (
        b"dataset,subject,clip,fold,seed,y_true,y_pred,p_negative,p_positive,p_surprise\n"
        b"samm,006,006_1_2,3,1,negative,surprise,0.25,0.25,0.5\n"
    )
    assert read_predictions(tmp_path / "runs" / "predictions.csv") == [ROW]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["predictions.csv"]


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1
)
names = names.map(str.strip).filter(lambda name: name and len(name.splitlines()) == 1)
chances = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(
    lambda pair: (pair[0] * pair[1], pair[0] * (1 - pair[1]), 1 - pair[0])
)


@settings(deadline=None)
@given(names, names, names, st.integers(0, 10**12), st.sampled_from(THREE.names), chances)
def test_whatever_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    dataset: str,
    subject: str,
    clip: str,
    number: int,
    label: str,
    p: tuple[float, float, float],
) -> None:
    path = tmp_path_factory.mktemp("rows") / "p.csv"
    rows = [
        Prediction(dataset, subject, clip, number, 0, label, "positive", p),
        Prediction(dataset, subject, clip, 0, number + 1, label, "negative", p),
    ]
    write_predictions(path, rows)
    assert read_predictions(path) == rows


def test_numpy_numbers_are_written_as_plain_ones(tmp_path: Path) -> None:
    p = tuple(np.random.default_rng(0).dirichlet([1, 1, 1]))
    row = replace(ROW, fold=np.int64(4), probabilities=p)
    write_predictions(tmp_path / "p.csv", [row])
    assert "np." not in (tmp_path / "p.csv").read_text()
    assert read_predictions(tmp_path / "p.csv") == [row]


def test_other_columns_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, [ROW])
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]},note\r\n{lines[1]},mine\r\n", encoding="utf-8-sig", newline="")
    assert read_predictions(path) == [ROW]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("y_true,", "truth,", "none named y_true"),
        (",negative,", ",anger,", "y_true must be among negative, positive, surprise, got 'anger'"),
        (",3,1,", ",3.5,1,", "expected fold to be a whole number from 0, got '3.5' in line 2"),
        (",3,1,", ",-1,1,", "expected fold to be a whole number"),
        ("0.25,0.25,0.5", "0.25,0.25,", "expected p_surprise to be a number, got ''"),
        ("0.25,0.25,0.5", "0.25,0.25", "expected p_surprise to be a number, got ''"),
        ("0.25,0.25,0.5", "nan,0.25,0.5", "expected p_negative to be a number, got 'nan'"),
        ("0.25,0.25,0.5", "1.5,-0.5,0", "from 0 to 1 that sum to 1"),
        ("p_positive,p_surprise", "positive,surprise", "p_<label> of two classes or more"),
        ("0.25,0.25,0.5", "0.75,0.25,0.5", "from 0 to 1 that sum to 1"),
        ("samm,006,", "samm,,", "subject must be one line of text"),
        (
            "samm,006,006_1_2",
            '"samm,006,006_1_2',
            "expected fold to be a whole number from 0, got ''",
        ),
        ("samm,006", "samm,006,006_1_2,3,1,negative,surprise,0.25,0.25,0.5\nsamm,006", "twice"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, [ROW])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_file_no_text_no_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file"):
        read_predictions(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\x00\xff\xfe")
    with pytest.raises(InputError, match="binary data"):
        read_predictions(tmp_path / "picture.csv")
    (tmp_path / "empty.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(InputError, match="only a header"):
        read_predictions(tmp_path / "empty.csv")
    with pytest.raises(InputError, match="to write, got none"):
        write_predictions(tmp_path / "p.csv", [])


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, [ROW])
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="choose another --out"):
        write_predictions(path, [replace(ROW, fold=9)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": " a"}, "without blanks"),
        ({"subject": "a\nb"}, "one line"),
        ({"seed": -1}, "0 or more"),
        ({"y_pred": "Negative"}, "y_pred must be among"),
        ({"probabilities": (1.5, -0.5, 0.0)}, "from 0 to 1"),
    ],
)
def test_rows_are_checked_when_they_become_a_table(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        of_rows([ROW, replace(ROW, **change)])


def test_rows_of_a_fold_are_unqualified_and_take_the_likeliest_class() -> None:
    samples = make_samples()
    rows = make_rows()
    assert [row.who for row in rows] == samples.subjects.tolist()
    assert ["/".join(row.key) for row in rows] == samples.clips.tolist()
    assert all("/" not in row.subject + row.clip for row in rows)
    assert all(THREE.names[int(np.argmax(row.probabilities))] == row.y_pred for row in rows)
    assert {(row.fold, row.seed) for row in rows} == {(2, 0)}
    with pytest.raises(InputError, match=r"expected probabilities \(90, 3\), got \(90, 2\)"):
        Predictions.of_samples(samples, np.ones((90, 2)))


def test_one_run_has_each_clip_once() -> None:
    rows = make_rows()
    assert list(by_clip(rows[::-1]).values()) == sorted(rows, key=lambda row: row.key)
    with pytest.raises(InputError, match="seed 3 and seed 1; take one run at a time"):
        by_clip([replace(ROW, seed=3), ROW])
    with pytest.raises(InputError, match="expected predictions, got none"):
        of_rows([]).one_run()


# ------------------------------------------------------------------------------------ scores


def test_metrics_hold_the_contract_and_agree_with_the_plain_functions() -> None:
    rows = make_rows()
    found = metrics_of(rows, draws=200, seed=3)
    assert list(found) == ["composite", "smic", "casme2", "samm"]
    for scope, part in scopes_of(rows).items():
        truth, guess, who = part["y_true"], part["y_pred"], part.who.tolist()
        scores = found[scope]
        assert scores["n"] == len(part) == sum(map(sum, scores["confusion"]))
        assert scores["subjects"] == len(set(who))
        assert scores["uf1"] == uf1(truth, guess)
        assert (
            scores["uar"]
            == uar(truth, guess)
            == pytest.approx(np.mean(list(scores["recalls"].values())))
        )
        assert np.mean(list(scores["f1"].values())) == pytest.approx(scores["uf1"])
        assert scores["accuracy"] == np.mean(np.array(truth) == guess)
        interval = subject_bootstrap(truth, guess, who, uar, draws=200, seed=3)
        assert scores["uar_ci95"] == list(interval)
        assert interval[0] < scores["uar"] < interval[1]
        assert scores["ece"] == expected_calibration_error(truth, part.probabilities)
    assert sum(found[name]["n"] for name in ("smic", "casme2", "samm")) == 90


def test_metrics_do_not_depend_on_the_order_of_rows_and_are_json() -> None:
    import json

    rows = make_rows()
    found = metrics_of(rows, draws=100)
    assert metrics_of(rows[::-1], draws=100) == found
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_counts_are_pooled_over_folds_and_joined_by_name() -> None:
    """Interleaved subjects score a perfect predictor 1, whatever the folds."""
    rows = [replace(row, y_pred=row.y_true, fold=k % 7) for k, row in enumerate(make_rows())]
    found = metrics_of(rows, draws=50)
    assert {scores["uf1"] for scores in found.values()} == {1.0}
    assert {tuple(scores["uf1_ci95"]) for scores in found.values()} == {(1.0, 1.0)}


def test_same_subject_number_in_two_databases_is_two_people() -> None:
    rows = [
        Prediction(name, "001", f"c{k}", 0, 0, THREE.names[k], THREE.names[k], (1.0, 0.0, 0.0))
        for name in ("smic", "samm")
        for k in range(3)
    ]
    found = metrics_of(rows, draws=20)
    assert found["composite"]["subjects"] == 2
    assert found["composite"]["uf1_ci95"] == [1.0, 1.0]
    assert found["smic"]["uf1_ci95"] is None  # of one person nothing is known about people


def test_absent_classes_count_nothing_and_are_told() -> None:
    rows = [
        Prediction("own", f"s{k}", "c", 0, 0, label, "negative", (1.0, 0.0, 0.0))
        for k, label in enumerate(["negative", "positive"])
    ]
    scores = metrics_of(rows, draws=20)["own"]
    assert scores["uar"] == pytest.approx(1 / 3)
    assert scores["recalls"] == {"negative": 1.0, "positive": 0.0, "surprise": None}
    with pytest.raises(InputError, match="rename it"):
        metrics_of([replace(ROW, dataset="composite")])


# ---------------------------------------------------------------------------------- controls


def test_majority_looks_at_the_training_part_of_the_database_only() -> None:
    datasets = np.array(["smic"] * 5 + ["samm"] * 5)
    who = np.array([f"{d}/{k % 5}" for k, d in enumerate(datasets)])
    targets = np.array([0, 0, 1, 1, 0, 2, 2, 2, 1, 1])
    clips = np.array([f"{w}/c" for w in who])
    samples = Samples(np.zeros((10, 1)), targets, datasets, who, clips)
    rows = by_clip(majority_per_database(samples, list(loso(who)), seed=4))
    assert len(rows) == 10
    # without smic/0 (negative), smic has two of each: the first class in order
    assert rows["smic", "0", "c"].probabilities == (0.5, 0.5, 0.0)
    assert rows["smic", "2", "c"].probabilities == (0.75, 0.25, 0.0)
    assert rows["samm", "3", "c"].y_pred == "surprise"
    assert rows["samm", "0", "c"].probabilities == (0.0, 0.5, 0.5)
    # a database held out gets what the others say: three of five smic clips are negative
    held = by_clip(majority_per_database(samples, list(hde(datasets))))
    assert {held["samm", str(k), "c"].probabilities for k in range(5)} == {(0.6, 0.4, 0.0)}


def test_random_by_prior_draws_the_prior() -> None:
    samples = make_samples(n=600)
    folds = list(loso(samples.subjects))
    rows = random_by_prior(samples, folds, seed=1)
    assert rows.equals(random_by_prior(samples, folds, seed=1))
    assert not rows["y_pred"].equals(random_by_prior(samples, folds, seed=2)["y_pred"])
    drawn = rows.labels.encode(rows["y_pred"])
    prior = rows.probabilities.mean(0)
    assert np.abs(np.bincount(drawn) / 600 - prior).max() < 0.05
    found = expected_scores(rows)
    assert list(found) == ["composite", "smic", "casme2", "samm"]
    mean, low, high = found["composite"]["uar"]
    assert mean == pytest.approx(1 / 3, abs=0.01)
    assert low < mean < high


def test_cosine_is_fitted_on_the_training_part_of_each_fold() -> None:
    samples = make_samples()
    folds = list(loso(samples.subjects))
    rows = cosine_to_means(samples, folds, samples.inputs)
    train, test = folds[4]
    means = TemplateClassifier.means(samples.inputs[train], samples.labels[train])
    plain = TemplateClassifier(means)
    chances = plain.probabilities(samples.inputs[test])
    found = {row.key: row for row in rows_in(rows) if row.fold == 4}
    assert len(found) == len(test)
    expected = rows_in(Predictions.of_samples(samples.take(test), chances, fold=4))
    for row, p in zip(expected, chances, strict=True):
        assert found[row.key].probabilities == pytest.approx(tuple(p))
    assert metrics_of(rows, draws=10)["composite"]["uf1"] > 0.8


def test_cosine_never_says_a_class_it_was_not_shown() -> None:
    samples = make_samples()
    targets = samples.targets.copy()
    only = samples.subjects[0]
    targets[(targets == 2) & (samples.subjects != only)] = 0
    targets[0] = 2
    samples = Samples(samples.inputs, targets, samples.datasets, samples.subjects, samples.clips)
    rows = cosine_to_means(samples, list(loso(samples.subjects)), samples.inputs)
    without = [row for row in rows_in(rows) if row.who == only]
    assert without
    assert all(row.probabilities[2] == 0 and row.y_pred != "surprise" for row in without)
    assert (rows.probabilities[:, 2] > 0).any()
    with pytest.raises(ValueError, match="one map a row"):
        cosine_to_means(samples, [], samples.inputs[:3])


def test_all_controls_cover_every_clip() -> None:
    samples = make_samples()
    folds = list(loso(samples.subjects))
    found = all_controls(samples, folds, samples.inputs)
    assert list(found) == [MAJORITY, PRIOR, COSINE]
    assert all(set(by_clip(rows)) == set(by_clip(make_rows())) for rows in found.values())
    assert list(all_controls(samples, folds)) == [MAJORITY, PRIOR]


def test_controls_on_the_published_maps(shared: Path) -> None:
    from weights.real_maps import read_flow_maps

    data = read_flow_maps(shared / "data" / "flow_maps" / "manifest.csv")
    clips = np.array([f"{w}/{c}" for w, c in zip(data.subjects, data.clips, strict=True)])
    targets = np.array([THREE.names.index(label) for label in data.labels])
    samples = Samples(data.maps, targets, data.datasets, data.subjects, clips)
    found = all_controls(samples, list(loso(data.subjects)), data.maps)
    scores = {name: metrics_of(rows, draws=10)["composite"]["uf1"] for name, rows in found.items()}
    assert scores[MAJORITY] == pytest.approx(0.241, abs=0.02)  # the full composite's figure
    assert 0.6 < scores[COSINE] < 0.7
    # F1 of a random guess, from the chances themselves: 2 TP / (clips + guesses) of each class
    rows = found[PRIOR]
    p = rows.probabilities
    truth = np.array([[true == label for label in THREE.names] for true in rows["y_true"]])
    f1 = 2 * (p * truth).sum(0) / (truth.sum(0) + p.sum(0))
    mean, low, high = expected_scores(rows)["composite"]["uf1"]
    assert mean == pytest.approx(f1.mean(), abs=0.01)
    assert low < mean < high


def test_scores_of_many_tables_equal_the_plain_ones() -> None:
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 6, (50, 3, 3))
    tables[:10, 2] = 0  # a class that is not there
    tables[:, 0, 0] += 1
    whole = np.ones((3, 3), np.int64)
    f1, recall = scores_of_tables(tables)
    left_out, _ = scores_of_tables(tables, whole)
    for k, counts in enumerate(tables):
        pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(counts[i, j])]
        truth, guess = ([THREE.names[pair[side]] for pair in pairs] for side in range(2))
        assert f1[k] == pytest.approx(uf1(truth, guess, THREE.names))
        assert recall[k] == pytest.approx(uar(truth, guess, THREE.names))
        present = int((counts.sum(1) > 0).sum())
        assert left_out[k] == pytest.approx(f1[k] * 3 / present)


# --------------------------------------------------------------------------------- the table


def make_table(count: int, seed: int = 0, n: int = 80) -> Predictions:
    """Predictions of any number of classes, of people of one laboratory."""
    rng = np.random.default_rng(seed)
    names = [f"e{k}" for k in range(count)]
    truth = rng.integers(count, size=n)
    p = rng.dirichlet(np.ones(count), n)
    p[np.arange(n), truth] += 0.5
    return Predictions.of(
        ["lab"] * n,
        [f"{k % 8:02d}" for k in range(n)],
        [f"c{k:03d}" for k in range(n)],
        [names[k] for k in truth],
        p / p.sum(1, keepdims=True),
        labels=names,
        seed=seed,
    )


@pytest.mark.parametrize("count", range(2, 8))
def test_any_number_of_classes_is_written_read_and_scored(count: int, tmp_path: Path) -> None:
    rows = make_table(count)
    rows.write(tmp_path / "p.csv")
    again = Predictions.read(tmp_path / "p.csv")
    assert rows_in(again) == rows_in(rows)
    assert again.labels == rows.labels == LabelSet("any", tuple(f"e{k}" for k in range(count)))
    found = metrics_of(again, draws=20)
    assert found == metrics_of(rows, draws=20)
    assert np.shape(found["lab"]["confusion"]) == (count, count)
    assert list(found["lab"]["recalls"]) == list(rows.labels)
    # no halves: nobody chose anything on these
    assert metrics_of(rows, draws=20, halves=True) == found
    mean, low, high = expected_scores(rows, draws=50)["lab"]["uar"]
    assert low < mean < high


def test_a_table_is_a_data_frame_that_stays_one() -> None:
    rows = make_table(4)
    part = rows[rows["subject"] == "03"]
    assert isinstance(part, Predictions) and set(part.who) == {"lab/03"}
    assert isinstance(pd.concat([part, part]), Predictions)
    with pytest.raises(InputError, match="got lab/03/c003 with seed 0 and seed 0"):
        pd.concat([part, part]).one_run()


def test_scores_of_several_models_and_seeds() -> None:
    rows = pd.concat([
        make_table(5, 0).assign(model="mine"), make_table(5, 0).assign(model="theirs"),
    ])  # fmt: skip
    rows.loc[rows["model"] == "theirs", "y_pred"] = "e0"
    found = rows.scores(draws=50).set_index(["model", "scope"])
    assert list(found.index) == [
        (model, scope) for model in ("mine", "theirs") for scope in ("composite", "lab")
    ]
    plain = metrics_of(make_table(5), draws=50)["lab"]
    mine = found.loc["mine", "lab"]
    assert [mine["uf1"], mine["uf1_low"], mine["uf1_high"]] == [plain["uf1"], *plain["uf1_ci95"]]
    (row,) = rows.compare(draws=200).to_dict("records")
    assert (row["first"], row["second"]) == ("mine", "theirs")
    assert row["difference"] == pytest.approx(row["a"] - row["b"]) and row["low"] > 0
    text = rows.to_markdown(draws=50)
    assert text.startswith("| Method | Composite UF1 |")
    assert f"| **mine** | {plain['uf1']:.3f} [" in text and "half" not in text
    seeds = pd.concat([make_table(3, 0), make_table(3, 1)]).scores(draws=10)
    assert list(seeds["model"].unique()) == ["seed 0", "seed 1"]
    one = make_table(3).compare(make_table(3), draws=50)
    assert one["p"].tolist() == [1.0]


def test_halves_stand_where_choices_were_made_and_nowhere_else() -> None:
    rows = of_rows(make_rows())
    found = metrics_of(rows, draws=20, halves=True)
    assert list(found)[-2:] == ["development half", "other half"]
    assert found["development half"]["n"] + found["other half"]["n"] == len(rows)
    assert "Development half UF1" in rows.to_markdown(draws=20)
    assert "half" not in str(list(metrics_of(rows, draws=20)))
    rows.attrs["synthetic"] = True
    assert "half" not in rows.to_markdown(draws=20)
    other = rows.assign(dataset="lab")[lambda part: ~part.duplicated(list(KEY))]
    assert "half" not in other.to_markdown(draws=20)


@pytest.mark.needs("train")
def test_the_confusion_is_drawn() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    rows = make_table(6)
    axes = rows.plot_confusion()
    assert [text.get_text() for text in axes.get_xticklabels()] == list(rows.labels)
    counts = [int(text.get_text()) for text in axes.texts]
    assert sorted(counts) == sorted(np.ravel(metrics_of(rows, draws=2)["lab"]["confusion"]))


def test_scores_of_saved_runs_are_what_they_were(tmp_path: Path) -> None:
    """Files from before classes became data, and what was said of them then."""
    import json

    from micromimic.evaluation.comparison import compare_runs
    from micromimic.evaluation.reliability import reliability_of

    def expect(found: object, saved: object) -> None:
        if isinstance(saved, dict):
            assert isinstance(found, dict) and list(found) == list(saved)
            for name in saved:
                expect(found[name], saved[name])
        elif isinstance(saved, list):
            assert isinstance(found, list | tuple) and len(found) == len(saved)
            for one, other in zip(found, saved, strict=True):
                expect(one, other)
        elif isinstance(saved, float):
            assert found == pytest.approx(saved, rel=1e-13, abs=1e-15)
        else:
            assert found == saved

    folder = Path(__file__).resolve().parents[1] / "saved"
    saved = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    rows, other = (Predictions.read(folder / f"predictions-{k}.csv") for k in range(2))
    rows.write(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (folder / "predictions-0.csv").read_bytes()
    assert metrics_of(rows, draws=200) == saved["metrics"]  # to the bit
    expect(reliability_of(rows, draws=50), saved["reliability"])
    expect(expected_scores(rows, draws=50), saved["expected"])
    expect(vars(compare_runs(rows, other, draws=500)), saved["compared"])
