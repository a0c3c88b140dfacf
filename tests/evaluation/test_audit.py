"""An audit from tables of epochs: choices against loops, scores against the run's own, files."""

from __future__ import annotations

import csv
import itertools
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from micromimic.cli.main import main
from micromimic.core.errors import InputError
from micromimic.core.labels import THREE
from micromimic.evaluation.audit.epochs import (
    SELECTIONS,
    EpochRun,
    audit_runs,
    chosen_epochs,
    is_epochs_table,
    read_epochs,
    stopped_epoch,
    write_epochs,
)
from micromimic.evaluation.audit.report import SCHEMA, audit_json, audit_md, sentences
from micromimic.evaluation.by_database import metrics_of
from micromimic.evaluation.metrics import uar, uf1
from micromimic.evaluation.one_fold import best_epoch, shuffled_order, shuffled_within
from micromimic.evaluation.predictions import Predictions
from micromimic.models.samples import Samples

from ..rows import Prediction, of_rows

DRAWS = 200


def make_run(
    seed: int = 0,
    shuffle: int = 0,
    epochs: int = 6,
    skill: float = 0.5,
    subjects: int = 9,
    truth_seed: int = 7,
) -> EpochRun:
    """Clips of subjects in two databases; answers right more often than by chance."""
    sizes = np.random.default_rng(truth_seed).integers(1, 7, subjects)
    clips = sorted(
        ("samm" if who % 2 else "smic", f"{who:03d}", f"c{k}")
        for who, size in enumerate(sizes.tolist())
        for k in range(size)
    )
    truth = np.random.default_rng(truth_seed).integers(0, 3, len(clips))
    rng = np.random.default_rng([seed, shuffle])
    drawn = rng.integers(0, 3, (epochs, len(clips)))
    people = sorted({clip[:2] for clip in clips})
    return EpochRun(
        seed=seed,
        shuffle=shuffle,
        clips=tuple(clips),
        folds=np.array([people.index(clip[:2]) for clip in clips]),
        truth=truth,
        epochs=tuple(range(1, epochs + 1)),
        guesses=np.where(rng.random(drawn.shape) < skill, truth, drawn),
        ended=np.full(len(clips), epochs),
    )


def answers(run: EpochRun, selection) -> Predictions:
    """What the choice says, as rows of a run."""
    guess = run.guesses[chosen_epochs(run, selection), np.arange(len(run.clips))]
    sure = np.eye(3)[guess]
    return of_rows(
        Prediction(*clip, int(fold), run.seed, THREE.names[t], THREE.names[g], tuple(p))
        for clip, fold, t, g, p in zip(
            run.clips, run.folds, run.truth, guess, sure.tolist(), strict=True
        )
    )


# --- choosing


@pytest.mark.parametrize("seed", range(5))
def test_choices_equal_a_loop(seed: int) -> None:
    run = make_run(seed, epochs=12)
    names = np.asarray(THREE.names)
    overall = max(range(12), key=lambda k: (uf1(names[run.truth], names[run.guesses[k]]), -k))
    hits: dict[str, list[int]] = defaultdict(lambda: [0] * 12)
    for column, who in enumerate(run.subjects):
        for k in range(12):
            hits[who][k] += int(run.guesses[k, column] == run.truth[column])
    for column, who in enumerate(run.subjects):
        mine = hits[who]
        stopped = 0
        for k in range(12):
            if mine[k] > mine[stopped]:
                stopped = k
            if k - stopped >= 5:
                break
        found = {s: int(chosen_epochs(run, s)[column]) for s in SELECTIONS}
        assert found == {
            "last": 11,
            "overall": overall,
            "stopped": stopped,
            "subject": mine.index(max(mine)),
        }


def test_equal_epochs_give_the_first() -> None:
    assert best_epoch(np.array([[0, 1], [1, 0], [1, 0]], bool)) == 0
    assert stopped_epoch(np.zeros((9, 3), bool)) == 0
    assert stopped_epoch(np.array([[0], [0], [1]], bool), patience=1) == 0
    assert stopped_epoch(np.array([[0], [0], [1]], bool), patience=2) == 2


# --- scores


def test_scores_are_those_of_the_chosen_rows() -> None:
    run = make_run()
    audit = audit_runs([run], draws=DRAWS)
    for row in audit.rows:
        expected = metrics_of(answers(run, row.selection), draws=DRAWS)
        assert set(row.scores) == set(expected) == {"composite", "smic", "samm"}
        for scope, scores in row.scores.items():
            for name in ("n", "subjects", "uf1", "uar", "uf1_ci95", "uar_ci95"):
                assert scores[name] == pytest.approx(expected[scope][name]), (scope, name)


def test_several_runs_are_averaged_and_differences_are_paired() -> None:
    runs = [make_run(seed) for seed in range(3)]
    audit = audit_runs([*runs, make_run(0, shuffle=1, skill=0), make_run(0, 2, skill=0)])
    row = audit.row("real", "subject")
    assert row is not None and row.added is not None
    assert row.scores["composite"]["uf1"] == pytest.approx(np.mean([r[2] for r in row.by_run]))
    assert [run[:2] for run in row.by_run] == [(0, 0), (1, 0), (2, 0)]
    assert audit.shuffles == 2
    # the same draws of subjects, one by one, from labels
    audit = audit_runs(runs, draws=DRAWS)
    row = audit.row("real", "subject")
    assert row is not None and row.added is not None
    who = np.array(runs[0].subjects)
    people = list(dict.fromkeys(who.tolist()))
    picks = np.random.default_rng(0).integers(len(people), size=(DRAWS, len(people)))
    names = np.asarray(THREE.names)
    gains = []
    for pick in picks:
        rows = np.concatenate([np.flatnonzero(who == people[k]) for k in pick])
        each = []
        for run in runs:
            both = [
                uf1(
                    names[run.truth[rows]],
                    names[run.guesses[chosen_epochs(run, s), np.arange(len(who))][rows]],
                )
                for s in ("subject", "last")
            ]
            each.append(both[0] - both[1])
        gains.append(np.mean(each))
    assert row.added["uf1_ci95"] == pytest.approx(list(np.quantile(gains, [0.025, 0.975])))


def test_no_subject_loses_clips_by_its_best_epoch() -> None:
    run = make_run(skill=0, epochs=30)
    hits = {
        s: (run.guesses[chosen_epochs(run, s), np.arange(len(run.clips))] == run.truth)
        for s in ("last", "subject")
    }
    for who in set(run.subjects):
        mine = np.array(run.subjects) == who
        assert hits["subject"][mine].sum() >= hits["last"][mine].sum()
    audit = audit_runs([run], draws=DRAWS)
    claimed, honest = audit.row("real", "subject"), audit.row("real", "last")
    assert claimed is not None and honest is not None
    # nothing was learned, and yet
    assert claimed.scores["composite"]["uf1"] > honest.scores["composite"]["uf1"] + 0.2
    assert "adds +0." in sentences(audit)[0]


def test_curves_and_what_is_kept() -> None:
    run = make_run()
    audit = audit_runs([run], draws=DRAWS)
    names = np.asarray(THREE.names)
    curve = [uf1(names[run.truth], names[guess]) for guess in run.guesses]
    assert audit.curves[0] == pytest.approx(curve)
    assert audit.chosen[0].sum() == len(set(run.subjects))
    overall = audit.row("real", "overall")
    assert overall is not None
    assert overall.scores["composite"]["uf1"] == pytest.approx(max(curve))
    recalls = [uar(names[run.truth], names[guess]) for guess in run.guesses]
    assert overall.scores["composite"]["uar"] == pytest.approx(recalls[int(np.argmax(curve))])


def test_what_does_not_compare_is_refused() -> None:
    run = make_run()
    one = make_run(epochs=1)
    other = make_run(1, truth_seed=8)
    fewer = make_run(1, epochs=4)
    wrong = make_run(1)
    wrong.truth[0] = (wrong.truth[0] + 1) % 3
    for runs, match in (
        ([], "true labels"),
        ([make_run(shuffle=1)], "true labels"),
        ([one], "two epochs"),
        ([run, other], "the same clips"),
        ([run, wrong], "one true class"),
        ([run, fewer], "the same epochs"),
    ):
        with pytest.raises(InputError, match=match):
            audit_runs(runs, draws=DRAWS)


def test_a_subject_in_two_folds_is_told() -> None:
    run = make_run()
    clean = audit_runs([run], draws=DRAWS)
    assert clean.notes == ()
    leaky = EpochRun(**{**vars(run), "folds": np.arange(len(run.clips)) % 3})
    assert "tested in several folds" in audit_runs([leaky], draws=DRAWS).notes[0]
    single = EpochRun(**{**vars(run), "folds": np.zeros(len(run.clips), int)})
    audit = audit_runs([single], draws=DRAWS)
    assert audit.control is None and "one fold only" in audit.notes[0]


# --- shuffling


def make_samples(count: int = 40) -> Samples:
    rng = np.random.default_rng(3)
    who = np.array([f"smic/s{k % 8:02d}" for k in range(count)])
    return Samples(
        np.arange(count, dtype=float)[:, None],
        rng.integers(0, 3, count),
        np.array(["smic"] * count),
        who,
        np.array([f"{name}/c{k:03d}" for k, name in enumerate(who)]),
    )


def test_a_part_is_shuffled_among_its_own_labels() -> None:
    samples = make_samples()
    order = shuffled_order(samples.clips, 0, 1)
    by_clip = []
    for who in ("smic/s00", "smic/s01"):
        part = samples.take(np.flatnonzero(samples.subjects != who))
        mixed = shuffled_within(part, order)
        assert sorted(mixed.targets) == sorted(part.targets)
        assert not np.array_equal(mixed.targets, part.targets)
        assert mixed.inputs is part.inputs and mixed.clips is part.clips
        turned = shuffled_within(part.take(np.arange(len(part))[::-1]), order)
        assert np.array_equal(turned.targets[::-1], mixed.targets)  # names decide, not rows
        by_clip.append(dict(zip(mixed.clips.tolist(), mixed.targets.tolist(), strict=True)))
    # the same shuffle, but where a label came from one of the subjects left out
    both = by_clip[0].keys() & by_clip[1].keys()
    assert sum(by_clip[0][c] == by_clip[1][c] for c in both) > 0.6 * len(both)
    # the tested subject's labels do not reach the training part
    out = samples.subjects == "smic/s00"
    changed = Samples(
        samples.inputs,
        np.where(out, (samples.targets + 1) % 3, samples.targets),
        samples.datasets,
        samples.subjects,
        samples.clips,
    )
    first, second = (
        shuffled_within(s.take(np.flatnonzero(~out)), order).targets for s in (samples, changed)
    )
    assert np.array_equal(first, second)


def test_every_order_of_a_part_is_as_likely() -> None:
    samples = make_samples(5)
    part = samples.take(np.arange(3))
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    for number in range(1, 1201):
        order = shuffled_order(samples.clips, 0, number)
        rows = Samples(part.inputs, np.arange(3), part.datasets, part.subjects, part.clips)
        counts[tuple(shuffled_within(rows, order).targets.tolist())] += 1
    assert len(counts) == 6
    # 200 expected each; chi-squared with 5 degrees of freedom, p = .001
    assert sum((n - 200) ** 2 / 200 for n in counts.values()) < 20.5


# --- files


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(run: EpochRun, **more: object) -> list[dict[str, object]]:
    return [
        {
            "dataset": clip[0],
            "subject": clip[1],
            "clip": clip[2],
            "fold": run.folds[column],
            "seed": run.seed,
            "epoch": epoch,
            "y_true": THREE.names[run.truth[column]],
            "y_pred": THREE.names[run.guesses[k, column]],
            **more,
        }
        for k, epoch in enumerate(run.epochs)
        for column, clip in enumerate(run.clips)
        if k < run.ended[column]
    ]


def same(a: EpochRun, b: EpochRun) -> bool:
    names = ("seed", "shuffle", "clips", "epochs")
    arrays = ("folds", "truth", "guesses", "ended")
    return all(getattr(a, n) == getattr(b, n) for n in names) and all(
        np.array_equal(getattr(a, n), getattr(b, n)) for n in arrays
    )


def test_written_runs_come_back(tmp_path: Path) -> None:
    runs = [make_run(0), make_run(1), make_run(0, shuffle=1)]
    file = tmp_path / "epochs.csv"
    write_epochs(file, runs)
    assert is_epochs_table(file)
    back = read_epochs(file)
    assert len(back) == 3 and all(same(a, b) for a, b in zip(runs, back, strict=True))


def test_any_order_numbers_and_probabilities_are_read(tmp_path: Path) -> None:
    run = make_run()
    rows = rows_of(run, remark="ignored")
    plain = read_epochs(write_rows(tmp_path / "plain.csv", rows))[0]
    assert same(plain, run)
    order = np.random.default_rng(0).permutation(len(rows))
    mixed = [rows[k] for k in order]
    for row in mixed:  # as MEGC's evaluation code numbers them
        row["y_true"] = THREE.names.index(str(row["y_true"]))  # type: ignore[arg-type]
        guess = THREE.names.index(str(row.pop("y_pred")))  # type: ignore[arg-type]
        for k, name in enumerate(THREE.names):
            row[f"p_{name}"] = 0.6 if k == guess else 0.2
    assert same(read_epochs(write_rows(tmp_path / "mixed.csv", mixed))[0], run)


def test_a_fold_that_ended_keeps_its_last_answer(tmp_path: Path) -> None:
    run = make_run()
    early = run.folds == 2
    short = EpochRun(**{**vars(run), "ended": np.where(early, 3, 6)})
    read = read_epochs(write_rows(tmp_path / "short.csv", rows_of(short)))[0]
    assert np.array_equal(read.guesses[:, ~early], run.guesses[:, ~early])
    assert (read.guesses[2:, early] == run.guesses[2, early]).all()
    assert "after 3 of 6 epochs" in audit_runs([read], draws=DRAWS).notes[0]
    write_epochs(tmp_path / "again.csv", [read])
    assert same(read_epochs(tmp_path / "again.csv")[0], read)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda rows: [r.pop("epoch") for r in rows], "none named epoch"),
        (lambda rows: [r.pop("y_pred") for r in rows], "none named y_pred"),
        (lambda rows: rows.append(rows[0]), "twice in epoch 1"),
        (lambda rows: rows.pop(3), "in every epoch of its fold"),
        (lambda rows: rows[-1].update(y_true="fear"), "y_true to be negative"),
        (lambda rows: rows[-1].update(fold="a"), "fold to be a whole number"),
        (lambda rows: rows[-1].update(clip=" "), "expected a clip"),
        (
            lambda rows: rows[-1].update(
                y_true=next(e for e in THREE.names if e != rows[-1]["y_true"])
            ),
            "keep its true class",
        ),
        (lambda rows: rows[-1].update(fold=77), "keep its fold"),
        (lambda rows: rows.__delitem__(slice(None, None)), "only a header"),
    ],
)
def test_a_wrong_table_is_told_in_one_line(change, match: str, tmp_path: Path) -> None:
    rows = rows_of(make_run())
    names = list(rows[0])
    change(rows)
    file = tmp_path / "epochs.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]) if rows else names)
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(InputError, match=match) as told:
        read_epochs(file)
    assert len(str(told.value).splitlines()) == 1


def test_no_table_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file"):
        read_epochs(tmp_path / "none.csv")
    with pytest.raises(InputError, match="found no file"):
        is_epochs_table(tmp_path / "none.csv")
    (tmp_path / "noise.csv").write_bytes(b"\x89PNG\x00epoch")
    with pytest.raises(InputError, match="binary data"):
        is_epochs_table(tmp_path / "noise.csv")


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("count", [2, 5, 7])
def test_a_log_of_any_classes(count: int, numbers: bool, tmp_path: Path) -> None:
    """By words, which are the classes; or by numbers, where probabilities name them."""
    names = [f"e{k}" for k in range(count)]
    rng = np.random.default_rng(count)
    rows = []
    for who, epoch in itertools.product(range(6), range(3)):
        for clip in range(count):
            p = rng.dirichlet(np.ones(count))
            row = {"dataset": "lab", "subject": who, "clip": clip, "fold": who, "seed": 0,
                   "epoch": epoch, "y_true": clip if numbers else names[clip]}  # fmt: skip
            said = {f"p_{name}": value for name, value in zip(names, p.tolist(), strict=True)}
            rows.append(row | (said if numbers else {"y_pred": names[p.argmax()]}))
    (run,) = read_epochs(write_rows(tmp_path / "log.csv", rows))
    assert run.labels.names == tuple(names)
    audit = audit_runs([run], draws=20)
    row = audit.row("real", "last")
    assert row is not None
    truth, guess = (np.asarray(names)[part] for part in (run.truth, run.guesses[-1]))
    assert row.scores["composite"]["uf1"] == pytest.approx(uf1(truth, guess, names))
    write_epochs(tmp_path / "again.csv", [run])
    assert same(read_epochs(tmp_path / "again.csv", run.labels)[0], run)


# --- what is said


def test_words_and_numbers_agree() -> None:
    audit = audit_runs([make_run(), make_run(shuffle=1, skill=0)], draws=DRAWS)
    content = audit_json(audit, "mine")
    assert content["schema"] == SCHEMA
    assert json.loads(json.dumps(content)) == content
    text = audit_md(audit, "mine|yours")
    assert "mine\\|yours" in text
    for row in content["rows"]:
        assert f"{row['scores']['composite']['uf1']:.3f}" in text
    assert [r["labels"] for r in content["rows"]] == ["real"] * 4 + ["shuffled"] * 4
    first, second = sentences(audit)
    claimed = audit.row("shuffled", "subject")
    assert claimed is not None
    assert f"claims UF1 {claimed.scores['composite']['uf1']:.3f}" in second
    assert first in text and second in text


def test_where_nothing_is_added_nothing_is_claimed() -> None:
    run = make_run()
    still = EpochRun(**{**vars(run), "guesses": np.repeat(run.guesses[:1], 6, axis=0)})
    audit = audit_runs([still], draws=DRAWS)
    assert "adds nothing here" in sentences(audit)[0]


@pytest.mark.needs("train")
def test_the_figure_is_drawn_and_always_the_same(tmp_path: Path) -> None:
    from micromimic.evaluation.audit.report import audit_figure

    audit = audit_runs([make_run(), make_run(shuffle=1), make_run(shuffle=2)], draws=DRAWS)
    png, svg = audit_figure(audit, tmp_path / "a", name="mine")
    assert png.read_bytes().startswith(b"\x89PNG") and png.stat().st_size > 20_000
    again = audit_figure(audit, tmp_path / "b", name="mine")
    assert svg.read_bytes() == again[1].read_bytes()


def test_a_log_is_audited_without_training(tmp_path: Path, capfd, monkeypatch) -> None:
    file = write_rows(tmp_path / "log.csv", rows_of(make_run(epochs=20, skill=0)))
    out = tmp_path / "out"
    assert main(["audit", str(file), "--out", str(out)]) == 0
    said = capfd.readouterr().out
    assert "best epoch of each test subject" in said and "control: majority" in said
    content = json.loads((out / "audit.json").read_text())
    assert content["name"] == "log.csv" and content["epochs"] == list(range(1, 21))
    assert all(line in said for line in content["summary"])
    assert (out / "audit.md").is_file() and not (out / "epochs.csv").exists()
    # without matplotlib it says so, and does the rest
    import micromimic.evaluation.audit.runs as pipeline

    monkeypatch.setattr(pipeline, "find_spec", lambda name: None)
    assert main(["audit", str(file), "--out", str(tmp_path / "bare")]) == 0
    assert "matplotlib is not installed" in capfd.readouterr().err
    assert not (tmp_path / "bare" / "audit.png").exists()
    assert (tmp_path / "bare" / "audit.md").is_file()


def test_which_of_the_two_is_meant(tmp_path: Path, capfd) -> None:
    file = write_rows(tmp_path / "log.csv", rows_of(make_run()))
    assert main(["audit", str(file), "--model", "flow-capsnet"]) == 2
    assert "leave --model out" in capfd.readouterr().err
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("dataset,subject,clip,label,kind,path\n")
    assert main(["audit", str(manifest)]) == 2
    assert "--model NAME with a manifest" in capfd.readouterr().err
