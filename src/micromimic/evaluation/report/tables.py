"""The article's tables from our own predictions, in Markdown, its figures beside ours.

Every score comes from per-clip rows with a 95 % interval over subjects; controls that need no
network stand in the same table; a score that selected on the test subject says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from micromimic.core.errors import InputError
from micromimic.core.notices import cannot_tell
from micromimic.evaluation import article, markdown
from micromimic.evaluation.article import COMPOSITE, TABLE_1, Counts, counts_of
from micromimic.evaluation.by_database import databases_of, metrics_of
from micromimic.evaluation.comparison import NOISE, compare_runs, p_text
from micromimic.evaluation.controls import COSINE, PRIOR, expected_scores
from micromimic.evaluation.development import DEVELOPMENT, OTHER
from micromimic.evaluation.markdown import NOTHING, cell, document, grid
from micromimic.evaluation.metrics import uar, uf1
from micromimic.evaluation.predictions import KEY, Predictions

LEAKY: Final = "best epoch on the test subject (not comparable: selects on the test subject)"

_PROTOCOLS: Final = {
    "loso": "leave one subject out",
    "hde": "one database held out, trained on the others",
    "apply": "a trained model applied, nothing fitted to these clips",
}
"""In words."""

_COUNTS: Final = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven"}
_DIFFERENCES: Final = ("Runs", "UF1 difference", "p", "UAR difference", "p")
_KNOW_TABLES: Final = frozenset({"flow-capsnet", "flow-ensemble"})
"""Models that train from the shipped synthetic weights; all that ships learned from the recipes."""
_STEMS: Final = ("capsnet-vgg11", "capsnet-resnet18", "capsnet-mobilenetv2")


@dataclass(frozen=True)
class RunSummary:
    """One evaluated model: its name as registered, and its rows, each clip once."""

    name: str
    predictions: Predictions
    protocol: str = "loso"
    init: str = "default"
    seed: int = 0
    controls: Mapping[str, Predictions] = field(default_factory=dict)
    """Rows of each control on the same clips, by name."""
    leaky: Predictions | None = None
    """Rows of the epoch that scored best on each test subject."""
    notes: Sequence[str] = ()
    synthetic: bool = False
    """The clips are generated ones, so the article's figures are no measure for them."""


def tables_md(runs: Sequence[RunSummary], *, draws: int = 2000) -> str:
    """Tables 1, 2 and 3 of the article, what differs between the runs, and what limits them."""
    if not runs:
        raise InputError("expected runs to tabulate, got none; evaluate a model first")
    scored = [
        _Scored(run, name, metrics_of(run.predictions, draws=draws, halves=not run.synthetic))
        for run, name in zip(runs, _names(runs), strict=True)
    ]
    if len({item.rows.labels.names for item in scored}) > 1:
        sets = " and ".join(dict.fromkeys(f"({item.rows.labels})" for item in scored))
        raise InputError(f"expected one set of classes in a table, got {sets}; tabulate each apart")
    clips: Predictions = pd.concat([item.rows for item in scored]).drop_duplicates(list(KEY))
    beside = article.of_composite(clips)
    comparable = article.is_full_composite(clips) and not any(run.synthetic for run in runs)
    rows, apart = _differences(scored)
    return document(
        "tables",
        found=counts_of(clips)[COMPOSITE],
        full=TABLE_1[COMPOSITE],
        citation=article.CITATION,
        beside=beside,
        comparable=comparable,
        synthetic=any(run.synthetic for run in runs),
        different_clips=len({frozenset(item.rows.clip_keys) for item in scored}) > 1,
        split=any(item.is_split for item in scored),
        clips=_table_1(clips, beside),
        wrong_sum=article.WRONG_SUM,
        methods=_table_2(scored, draws, beside),
        absent=_absent(scored),
        stems=_table_3(scored) if beside else "",
        labels=clips.labels.names,
        recalls=_recalls(scored, comparable),
        differences=grid(_DIFFERENCES, rows) if rows else "",
        apart=apart,
        noise=NOISE,
        scored=scored,
        protocols=_PROTOCOLS,
        prior_knows=article.PRIOR_KNOWS,
        count=_COUNTS.get(len(clips.labels), str(len(clips.labels))),
        statements=cannot_tell(len(clips.labels)),
    )


@dataclass(frozen=True)
class _Scored:
    run: RunSummary
    name: str
    metrics: Mapping[str, Any]

    @property
    def rows(self) -> Predictions:
        return self.run.predictions

    @property
    def is_split(self) -> bool:
        """Whether scores stand apart by whose subjects models were chosen on: real clips only."""
        return not self.metrics.keys().isdisjoint((DEVELOPMENT, OTHER))

    @property
    def kind(self) -> tuple[str, str, str]:
        """What runs that differ in their seed alone have in common."""
        return self.run.name, self.run.protocol, self.run.init

    @property
    def from_shipped_weights(self) -> bool:
        run = self.run
        started = run.name in _KNOW_TABLES or run.protocol.startswith("apply")
        return started and run.init == "default" and self.is_split


def _table_1(clips: Predictions, beside: bool) -> str:
    found = counts_of(clips)
    head = ["Database", "Subjects", *clips.labels, "Clips"]
    if beside:
        head += ["*Article: subjects*", f"*{' / '.join(clips.labels)}*", "*clips*"]
    rows = []
    for scope in [*databases_of(found), COMPOSITE]:
        ours = found[scope]
        row = [markdown.title(scope), str(ours.subjects), *map(str, ours.clips), str(ours.total)]
        rows.append(row + (_printed_counts(TABLE_1.get(scope)) if beside else []))
    return grid(head, rows)


def _printed_counts(theirs: Counts | None) -> list[str]:
    if theirs is None:
        return [NOTHING] * 3
    return [str(theirs.subjects), " / ".join(map(str, theirs.clips)), str(theirs.total)]


def _table_2(scored: Sequence[_Scored], draws: int, beside: bool) -> str:
    columns = markdown.columns_of([item.metrics for item in scored])
    rows, shown = [], set()
    for place, item in enumerate(scored):
        rows.append([f"**{cell(item.name)}**", *markdown.score_cells(item.metrics, columns)])
        if item.run.leaky is not None:
            leaky = metrics_of(item.run.leaky, draws=1, halves=not item.run.synthetic)
            rows.append(
                [
                    f"{cell(item.name)}, {LEAKY}",
                    *markdown.score_cells(leaky, columns, interval=False),
                ]
            )
        later = scored[place + 1 :]
        if not any(other.kind == item.kind for other in later):
            rows += _mean_row([other for other in scored if other.kind == item.kind], columns)
        method = article.METHOD_OF.get(item.run.name) if beside else None
        if method and not any(other.run.name == item.run.name for other in later):
            shown.add(method)
            rows.append(_article_row(method, columns))
    rows += _control_rows([item.run for item in scored], columns, draws)
    if beside:
        rows += [_article_row(method, columns) for method in article.TABLE_2 if method not in shown]
    return grid(markdown.score_head("Method", columns), rows)


def _mean_row(same: Sequence[_Scored], columns: Sequence[str]) -> list[list[str]]:
    """Mean and standard deviation over the seeds of one model, where there are several."""
    if len(same) < 2:
        return []
    seeds = ", ".join(str(item.run.seed) for item in same)

    def text(scope: str, score: str) -> str:
        values = [item.metrics[scope][score] for item in same if scope in item.metrics]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return f"{np.mean(values):.3f} ± {spread:.3f}"

    known = {scope for item in same for scope in item.metrics}
    name = f"**{cell(same[0].run.name)}**, mean ± sd of seeds {seeds}"
    return [[name, *markdown.pairs_of_cells(columns, known, text)]]


def _control_rows(
    runs: Sequence[RunSummary], columns: Sequence[str], draws: int
) -> list[list[str]]:
    """Each control once, however many runs brought it."""
    seen: dict[tuple[str, frozenset[Any]], list[RunSummary]] = {}
    for run in runs:
        for name, given in run.controls.items():
            rows = given.one_run()
            # what is shown of the random control comes from its chances, whatever it drew
            shown = map(tuple, rows.probabilities.tolist()) if name == PRIOR else rows.guess
            answers = frozenset(zip(rows.clip_keys, shown, strict=True))
            seen.setdefault((name, answers), []).append(run)
    often = Counter(name for name, _ in seen)
    table = []
    for (name, _), owners in seen.items():
        control = owners[0].controls[name]
        beside = ", ".join(f"{run.name} {run.protocol}" for run in owners)
        label = f"control: {name}" + (f" (beside {beside})" if often[name] > 1 else "")
        if name == PRIOR:
            scores = expected_scores(control, halves=not owners[0].synthetic)
            label += " (mean and 95 % range of draws)"
        else:
            scores = metrics_of(control, draws=draws, halves=not owners[0].synthetic)
        table.append([cell(label), *markdown.score_cells(scores, columns)])
    return table


def _article_row(method: str, columns: Sequence[str]) -> list[str]:
    figures = article.TABLE_2[method]
    cells = [
        f"*{value:.4f}*" if scope in figures else NOTHING
        for scope in columns
        for value in figures.get(scope, (0.0, 0.0))
    ]
    return [f"*article: {method}*", *cells]


def _absent(scored: Sequence[_Scored]) -> list[tuple[str, list[str]]]:
    """Databases that lack classes, and which."""
    found = []
    for scope in markdown.columns_of([item.metrics for item in scored]):
        recalls = next(item.metrics[scope] for item in scored if scope in item.metrics)["recalls"]
        absent = [name for name, recall in recalls.items() if recall is None]
        if absent:
            found.append((markdown.title(scope), absent))
    return found


def _table_3(scored: Sequence[_Scored]) -> str:
    rows = []
    for stem in _STEMS:
        ours = [item for item in scored if item.run.name == stem]
        rows += [
            [f"**{cell(item.name)}**", *markdown.score_cells(item.metrics, [COMPOSITE])]
            for item in ours
        ]
        if not ours:
            rows.append([f"{stem}, not run", NOTHING, NOTHING])
        if stem in article.STEM_OF:
            printed = article.TABLE_3[article.STEM_OF[stem]]
            rows.append(
                [f"*article: {article.STEM_OF[stem]}*", *(f"*{value:.4f}*" for value in printed)]
            )
    return grid(["Method", "Unweighted F1", "Unweighted average recall"], rows)


def _recalls(scored: Sequence[_Scored], comparable: bool) -> str:
    rows, labels = [], scored[0].rows.labels
    for item in scored:
        scores = item.metrics[COMPOSITE]
        cells = []
        for label, counts in zip(labels, scores["confusion"], strict=True):
            recall = scores["recalls"][label]
            share = NOTHING if recall is None else f"{recall:.3f}"
            cells.append(f"{share} ({' / '.join(map(str, counts))})")
        rows.append([f"**{cell(item.name)}**", *cells])
    if comparable:
        rows.append(
            ["*article: CapsuleNet, figure 5*", *(f"*{value:.3f}*" for value in article.RECALLS)]
        )
    return grid(["Method", *(f"true {label}" for label in labels)], rows)


def _differences(scored: Sequence[_Scored]) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Rows of a table of pairs of runs; pairs that do not compare, and why."""
    pairs = [(scored[0].name, scored[0].rows, item.name, item.rows) for item in scored[1:]]
    pairs += [
        (item.name, item.rows, f"control: {COSINE}", item.run.controls[COSINE])
        for item in scored
        if COSINE in item.run.controls
    ]
    rows, apart = [], []
    for first, a, second, b in pairs:
        label = f"{cell(first)} against {cell(second)}"
        try:
            found = [compare_runs(a, b, score) for score in (uf1, uar)]
        except InputError as error:
            apart.append((label, str(error)))
            continue
        for_f1, for_recall = (
            (
                markdown.with_sign(item.difference, item.interval),
                p_text(item.p).removeprefix("p = "),
            )
            for item in found
        )
        rows.append([label, *for_f1, *for_recall])
    return rows, apart


def _names(runs: Sequence[RunSummary]) -> list[str]:
    """What to call each run: the model, and what sets it apart from others of that model."""
    names = []
    for run in runs:
        same = [other for other in runs if other.name == run.name]
        differing = [
            f"{word}{getattr(run, what)}"
            for what, word in (("protocol", ""), ("init", "init "), ("seed", "seed "))
            if len({getattr(other, what) for other in same}) > 1
        ]
        if run.protocol != "loso" and run.protocol not in differing:
            differing.insert(0, run.protocol)
        names.append(", ".join([run.name, *differing]))
    return names
