"""The tables: every cell can be recomputed, and nothing incomparable passes for comparable."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE
from micromimic.core.notices import cannot_tell
from micromimic.evaluation import article, by_database
from micromimic.evaluation.article import PRIOR_KNOWS, RECALLS, TABLE_1, TABLE_2, TABLE_3
from micromimic.evaluation.controls import COSINE, MAJORITY, PRIOR
from micromimic.evaluation.metrics import uar, uf1
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.report import tables as recognition_tables
from micromimic.evaluation.report.tables import LEAKY, tables_md

from ..rows import Prediction, takes_rows

DRAWS = 60
RunSummary = takes_rows(recognition_tables.RunSummary)
counts_of = takes_rows(article.counts_of)
is_full_composite = takes_rows(article.is_full_composite)
metrics_of = takes_rows(by_database.metrics_of)


def composite(seed: int = 0, right: float = 0.7, people: float = 1.0) -> list[Prediction]:
    """Rows with the composite's numbers of clips, classes and subjects; or a share of subjects."""
    rng = np.random.default_rng(seed)
    rows = []
    for dataset in ("smic", "casme2", "samm"):
        counts = TABLE_1[dataset]
        labels = [name for name, n in zip(THREE.names, counts.clips, strict=True) for _ in range(n)]
        for k, label in enumerate(labels):
            guess = label if rng.random() < right else THREE.names[rng.integers(3)]
            who = k % counts.subjects
            p = [0.2, 0.2, 0.2]
            p[THREE.names.index(guess)] = 0.6
            if who < people * counts.subjects:
                rows.append(
                    Prediction(dataset, f"{who:03d}", f"c{k}", who, seed, label, guess, tuple(p))
                )
    return rows


def section(text: str, heading: str) -> str:
    return next(part for part in text.split("\n## ") if part.startswith(heading))


def table(text: str, heading: str) -> dict[str, list[str]]:
    """Cells of a section's table by the first cell of each row, markup removed."""
    lines = [line for line in section(text, heading).splitlines() if line.startswith("|")]
    rows = [
        [part.strip().replace("*", "") for part in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
    ]
    assert len({len(row) for row in rows}) == 1, "a table has one number of columns"
    assert len({row[0] for row in rows}) == len(rows), "each row has its own name"
    return {row[0]: row[1:] for row in rows}


def test_the_articles_figures_are_those_of_its_text() -> None:
    """Sums of table 1, and table 2's UF1 difference that the text states ("about 10 %")."""
    for k in range(3):
        assert (
            sum(TABLE_1[d].clips[k] for d in ("smic", "casme2", "samm"))
            == (TABLE_1["composite"].clips[k])
        )
    assert [TABLE_1[d].total for d in ("smic", "casme2", "samm")] == [164, 145, 133]
    assert TABLE_1["composite"].total == 442
    assert sum(TABLE_1[d].subjects for d in ("smic", "casme2", "samm")) == 68
    # recalls of the published log, as figure 5 shows them
    log = np.array([[192, 30, 24], [33, 65, 11], [25, 9, 46]])
    assert np.diag(log) / log.sum(1) == pytest.approx(np.array(RECALLS), abs=5e-4)
    assert np.mean(RECALLS) == pytest.approx(TABLE_2["CapsuleNet"]["composite"][1], abs=5e-4)


def test_the_articles_figures_are_in_its_pages(shared: object) -> None:
    from pathlib import Path

    text = (Path(str(shared)) / "reference" / "article.txt").read_text(encoding="utf-8")
    for method, columns in TABLE_2.items():
        figures = " ".join(f"{v:.4f}" for pair in columns.values() for v in pair)
        assert f"{method} {figures}" in text
    for figures in TABLE_3.values():
        assert "{:.4f} {:.4f}".format(*figures) in text


def test_every_score_of_a_run_is_in_its_row() -> None:
    rows = composite()
    text = tables_md([RunSummary("capsnet-resnet18", rows)], draws=DRAWS)
    found = table(text, "Table 2")
    assert found["Method"] == [
        f"{name} {score}"
        for name in (
            "Composite", "SMIC", "CASME II", "SAMM", "Development half", "Other half",
        )
        for score in ("UF1", "UAR")
    ]  # fmt: skip
    scores = metrics_of(rows, draws=DRAWS, halves=True)
    expected = [
        f"{part[key]:.3f} [{part[key + '_ci95'][0]:.2f}, {part[key + '_ci95'][1]:.2f}]"
        for part in scores.values()
        for key in ("uf1", "uar")
    ]
    assert found["capsnet-resnet18"] == expected
    names = list(found)
    assert names.index("article: CapsuleNet") == names.index("capsnet-resnet18") + 1
    for method, columns in TABLE_2.items():
        assert (
            found[f"article: {method}"]
            == [f"{v:.4f}" for pair in columns.values() for v in pair] + ["–"] * 4
        )
    recalls = table(text, "Recall by class")["capsnet-resnet18"]
    for k, label in enumerate(THREE.names):
        counts = scores["composite"]["confusion"][k]
        assert recalls[k] == "{:.3f} ({} / {} / {})".format(
            scores["composite"]["recalls"][label], *counts
        )


def test_table_1_counts_clips_and_subjects_beside_the_articles() -> None:
    rows = composite(people=0.5)
    found = table(tables_md([RunSummary("vgg11", rows)], draws=DRAWS), "Table 1")
    for name, dataset in (("SMIC", "smic"), ("CASME II", "casme2"), ("SAMM", "samm")):
        part = [row for row in rows if row.dataset == dataset]
        counts = [sum(row.y_true == label for row in part) for label in THREE.names]
        people = len({row.subject for row in part})
        article = TABLE_1[dataset]
        assert found[name] == [
            str(people),
            *map(str, counts),
            str(len(part)),
            str(article.subjects),
            " / ".join(map(str, article.clips)),
            str(article.total),
        ]
    assert found["Composite"][:5] == [
        str(counts_of(rows)["composite"].subjects),
        *map(str, counts_of(rows)["composite"].clips),
        str(len(rows)),
    ]


def test_only_the_full_composite_is_compared_without_a_warning() -> None:
    full, part = composite(), composite(people=0.6)
    assert is_full_composite(full)
    assert not is_full_composite(part)
    swapped = [replace(full[0], y_true="surprise"), *full[1:]]
    assert not is_full_composite(swapped)
    texts = [tables_md([RunSummary("vgg11", rows)], draws=DRAWS) for rows in (full, part)]
    assert "Not the full composite" not in texts[0]
    assert f"**Not the full composite**: {len(part)} of 442 clips and 42 of 68" in texts[1]
    assert "article: CapsuleNet, figure 5" in table(texts[0], "Recall by class")
    assert "article: CapsuleNet, figure 5" not in table(texts[1], "Recall by class")
    synthetic = tables_md([RunSummary("vgg11", full, synthetic=True)], draws=DRAWS)
    assert "**These clips are synthetic.**" in synthetic
    assert "figure 5" not in synthetic


def test_a_leaky_score_says_so_in_its_row_and_has_no_interval() -> None:
    leaky = composite(seed=1, right=0.9)
    text = tables_md([RunSummary("resnet18", composite(), leaky=leaky)], draws=DRAWS)
    found = table(text, "Table 2")
    row = found[f"resnet18, {LEAKY}"]
    assert "not comparable: selects on the test subject" in LEAKY
    truth, guess = [r.y_true for r in leaky], [r.y_pred for r in leaky]
    assert row[:2] == [f"{uf1(truth, guess):.3f}", f"{uar(truth, guess):.3f}"]
    assert not any("[" in cell for cell in row)
    plain = tables_md([RunSummary("resnet18", composite())], draws=DRAWS)
    assert "not comparable" not in plain


def controls(seed: int) -> dict[str, list[Prediction]]:
    rows = composite(seed=9)
    majority = [replace(row, y_pred="negative", seed=seed) for row in rows]
    rng = np.random.default_rng(seed)
    prior = [
        replace(row, y_pred=THREE.names[rng.integers(3)], probabilities=(0.5, 0.3, 0.2))
        for row in rows
    ]
    return {MAJORITY: majority, PRIOR: prior, COSINE: composite(seed=10, right=0.6)}


def test_controls_stand_in_the_table_once() -> None:
    runs = [
        RunSummary("flow-capsnet", composite(seed), seed=seed, controls=controls(seed))
        for seed in range(2)
    ]
    found = table(tables_md(runs, draws=DRAWS), "Table 2")
    rows = [name for name in found if name.startswith("control: ")]
    assert len(rows) == 3
    truth = [row.y_true for row in composite()]
    assert found[f"control: {MAJORITY}"][0].startswith(f"{uf1(truth, ['negative'] * 442):.3f}")
    random = found[f"control: {PRIOR} (mean and 95 % range of draws)"]
    value, low, high = map(float, re.findall(r"[\d.]+", random[1]))
    assert low < value < high
    assert value == pytest.approx(1 / 3, abs=0.02)


def test_controls_that_differ_are_both_shown_with_their_run() -> None:
    one, other = controls(0), controls(0)
    other[COSINE] = composite(seed=11, right=0.5)
    runs = [
        RunSummary("flow-svm", composite(), "loso", controls=one),
        RunSummary("flow-svm", composite(1), "hde", controls=other),
    ]
    found = table(tables_md(runs, draws=DRAWS), "Table 2")
    assert f"control: {COSINE} (beside flow-svm loso)" in found
    assert f"control: {COSINE} (beside flow-svm hde)" in found
    assert {"flow-svm, loso", "flow-svm, hde"} <= set(found)


def test_seeds_are_averaged() -> None:
    runs = [
        RunSummary("flow-cnn", composite(seed, 0.5 + seed / 10), seed=seed) for seed in (1, 2, 3)
    ]
    found = table(tables_md(runs, draws=DRAWS), "Table 2")
    values = [uf1(run.predictions["y_true"], run.predictions["y_pred"]) for run in runs]
    mean = found["flow-cnn, mean ± sd of seeds 1, 2, 3"]
    assert mean[0] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
    assert [name for name in found if name.startswith("flow-cnn")] == [
        "flow-cnn, seed 1",
        "flow-cnn, seed 2",
        "flow-cnn, seed 3",
        "flow-cnn, mean ± sd of seeds 1, 2, 3",
    ]


def test_table_3_has_each_stem_ours_above_the_articles() -> None:
    runs = [RunSummary("capsnet-vgg11", composite()), RunSummary("resnet18", composite(1))]
    found = table(tables_md(runs, draws=DRAWS), "Table 3")
    assert list(found)[2:] == [
        "capsnet-vgg11",
        "article: CapsuleNet and VGG11",
        "capsnet-resnet18, not run",
        "article: CapsuleNet and ResNet18",
        "capsnet-mobilenetv2, not run",
    ]
    assert found["article: CapsuleNet and ResNet18"] == ["0.6513", "0.6496"]


def test_differences_name_both_runs_and_what_is_noise() -> None:
    good, bad = composite(1, 0.95), composite(2, 0.4)
    runs = [
        RunSummary("flow-capsnet", good, controls=controls(0)),
        RunSummary("flow-svm", bad),
        RunSummary("lbp-top-svm", bad[:-1]),
    ]
    text = section(tables_md(runs, draws=DRAWS), "Differences")
    assert "a difference under .03 on 442 clips is noise" in text
    assert re.search(r"\| flow-capsnet against flow-svm \| \+0\.\d{3} \[\+.*\| p < \.001 \|", text)
    assert f"| flow-capsnet against control: {COSINE} |" in text
    assert "flow-capsnet against lbp-top-svm: not compared, expected the same clips" in text
    whole = tables_md(runs, draws=DRAWS)
    assert "**The runs cover different clips**" in whole
    assert "One run only." in tables_md([RunSummary("flow-svm", bad)], draws=DRAWS)


def test_runs_tell_how_they_were_made_and_limits_are_there() -> None:
    run = RunSummary(
        "flow-svm", composite(), "hde", "none", 7, notes=["Seven clips were left out."]
    )
    text = tables_md([run], draws=DRAWS)
    told = section(text, "Runs")
    for part in (
        "**flow-svm, hde**: protocol hde (one database held out",
        "28 folds; seed 7; init none; 442 clips of 68 subjects",
        "  - Seven clips were left out.",
    ):
        assert part in told
    limits = section(text, "Limits")
    assert all(heading in limits for heading, _ in cannot_tell(3))
    assert "Nothing here is selected on the held-out subject" in text


def test_own_databases_and_awkward_names_keep_the_table_whole() -> None:
    rows = [
        Prediction("lab|1", f"s{k % 4}", f"c{k}", 0, 0, THREE.names[k % 2], THREE.names[k % 2],
                   (0.5, 0.3, 0.2))
        for k in range(8)
    ]  # fmt: skip
    rows += [replace(rows[0], dataset="one", clip="c")]
    text = tables_md([RunSummary("my|model", rows)], draws=DRAWS)
    found = table(text, "Table 2")
    assert found[r"my\|model"][-2:] == ["0.333", "0.333"]  # one subject: no interval
    assert r"lab\|1 has no clip of class surprise, which counts 0" in text
    assert r"one has no clip of class positive or surprise" in text
    assert table(text, "Table 1")[r"lab\|1"] == ["4", "4", "4", "0", "8"]
    # nothing of the composite's stands beside clips that are not its
    assert "he article" not in text and "half" not in text and "Table 3" not in text


@pytest.mark.parametrize("count", [2, 5, 7])
def test_tables_of_any_classes(count: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"e{k}" for k in range(count)]
    rows = Predictions.of(
        ["lab"] * 60,
        [f"s{k % 6}" for k in range(60)],
        [f"c{k}" for k in range(60)],
        rng.choice(names, 60),
        rng.dirichlet(np.ones(count), 60),
        labels=names,
    )
    text = tables_md([RunSummary("mine", rows), RunSummary("mine", rows, seed=1)], draws=DRAWS)
    assert table(text, "Table 1")["Database"] == ["Subjects", *names, "Clips"]
    assert table(text, "Recall by class")["Method"] == [f"true {name}" for name in names]
    number = {2: "Two", 5: "Five", 7: "Seven"}[count]
    assert f"{number} classes of known clips" in text
    assert f"which of {number.lower()} groups of movements" in text
    with pytest.raises(InputError, match="one set of classes in a table"):
        tables_md([RunSummary("mine", rows), RunSummary("three", composite())], draws=DRAWS)


def test_halves_and_what_the_weights_know_are_said_where_they_count() -> None:
    shipped = RunSummary("flow-capsnet", composite())
    text = tables_md([shipped], draws=DRAWS)
    assert "measured on all 442 clips" in text
    assert PRIOR_KNOWS in section(text, "Runs")
    for other in (
        replace(shipped, name="flow-svm"),
        replace(shipped, init="none"),
        replace(shipped, synthetic=True),
        replace(shipped, name="flow-template"),
    ):
        assert PRIOR_KNOWS not in tables_md([other], draws=DRAWS)
    applied = replace(shipped, name="flow-template", protocol="apply")
    assert PRIOR_KNOWS in tables_md([applied], draws=DRAWS)
    made_up = tables_md([replace(shipped, synthetic=True)], draws=DRAWS)
    assert "half" not in made_up
    # the halves are those of the subjects, whole: their clips are all there are
    found = metrics_of(composite(), draws=2, halves=True)
    halves = [found[name] for name in ("development half", "other half")]
    assert sum(half["subjects"] for half in halves) == 68
    assert sum(half["n"] for half in halves) == 442


def test_nothing_to_tabulate_is_told() -> None:
    with pytest.raises(InputError, match="got none; evaluate a model"):
        tables_md([])
    rows = composite()
    with pytest.raises(InputError, match="each clip once"):
        tables_md([RunSummary("vgg11", [*rows, rows[0]])])


def test_the_text_has_no_empty_cell_and_no_nan() -> None:
    runs = [RunSummary("vgg11", composite(), controls=controls(0))]
    text = tables_md(runs, draws=DRAWS)
    assert "nan" not in text
    assert "||" not in text.replace(" ", "")
    assert not any(line.endswith(" ") for line in text.splitlines())
    blank = [not line for line in text.splitlines()]
    assert not any(a and b for a, b in itertools.pairwise(blank))
