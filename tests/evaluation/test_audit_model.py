"""An audit of a model: honest where it says so, the same however it is run, nothing done twice."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from micromimic.cli.main import main
from micromimic.core.errors import InputError
from micromimic.core.workers import Workers
from micromimic.evaluation.audit.epochs import (
    audit_runs,
    chosen_epochs,
    epochs_of_run,
    read_epochs,
    write_epochs,
)
from micromimic.evaluation.audit.runs import audited_runs
from micromimic.evaluation.by_database import metrics_of
from micromimic.evaluation.run import RunConfig, run_protocol
from micromimic.models.base import ClipClassifier
from micromimic.models.samples import Samples

from .test_run import make_samples, stopping

pytestmark = pytest.mark.needs("train")

QUICK = RunConfig(model="flow-capsnet", init="none", epochs=3)


def test_the_rows_are_those_of_evaluate(tmp_path: Path) -> None:
    samples = make_samples()
    config = replace(QUICK, leaky=True)
    result = run_protocol(samples, config, tmp_path / "run")
    run = epochs_of_run(samples, result.folds, result.results, seed=0)
    assert run is not None and result.leaky is not None
    audit = audit_runs([run], draws=2)
    for choice, rows in (("last", result.predictions), ("subject", result.leaky)):
        row = audit.row("real", choice)  # type: ignore[arg-type]
        assert row is not None
        for scope, expected in metrics_of(rows, draws=2).items():
            assert row.scores[scope]["uf1"] == pytest.approx(expected["uf1"])
            assert row.scores[scope]["uar"] == pytest.approx(expected["uar"])
    # written and read again, the audit is the same
    write_epochs(tmp_path / "epochs.csv", [run])
    again = audit_runs(read_epochs(tmp_path / "epochs.csv"), draws=2)
    assert again.rows == audit.rows and again.control == audit.control
    assert np.array_equal(chosen_epochs(run, "subject"), chosen_epochs(again.runs[0], "subject"))


def test_shuffled_runs_know_no_true_label_and_test_against_it(tmp_path: Path) -> None:
    samples = make_samples()
    config = replace(QUICK, leaky=True, shuffle=1)
    first = run_protocol(samples, config, tmp_path / "a")
    assert first.predictions["y_true"].tolist() == samples.labels.tolist()
    out = samples.subjects == samples.subjects[0]
    other = Samples(
        samples.inputs,
        np.where(out, (samples.targets + 1) % 3, samples.targets),
        samples.datasets,
        samples.subjects,
        samples.clips,
    )
    second = run_protocol(other, config, tmp_path / "b")
    for a, b, fold in zip(first.results, second.results, first.folds, strict=True):
        alike = np.array_equal(a.epochs, b.epochs)  # type: ignore[arg-type]
        assert alike == bool(out[fold.test].all())  # only its own fold never saw those labels
    true = run_protocol(samples, replace(config, shuffle=None), tmp_path / "c")
    assert not true.predictions.equals(first.predictions)


class Stepwise(ClipClassifier):
    """Nearer to the mean maps of its classes with every epoch, and drawn a little: no torch."""

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def _fit(self, X, targets, people, run):
        drawn = np.random.default_rng(self.random_state)
        means = np.stack([X[targets == k].mean(0) for k in range(len(self.classes_))])
        for epoch in range(3):
            self.means_ = means * epoch / 3 + drawn.normal(0, means.std(), means.shape)
            run.each_epoch(epoch, self)

    def scores(self, X):
        rows, means = (maps.reshape(len(maps), -1) for maps in (X, self.means_))
        return rows @ means.T


def test_two_processes_and_a_second_call_say_the_same(tmp_path: Path) -> None:
    samples, asked = make_samples(), {"config": QUICK, "model": Stepwise()}
    one, _ = audited_runs(samples, out=tmp_path / "one", shuffles=1, **asked)
    two, _ = audited_runs(samples, out=tmp_path / "two", shuffles=1, workers=Workers(2), **asked)
    more, resumed = audited_runs(samples, out=tmp_path / "one", shuffles=2, **asked)
    assert resumed == 12 and len(more) == 3  # six folds of either run were there
    for a, b, c in zip(one, two, more, strict=False):
        assert np.array_equal(a.probabilities, b.probabilities)  # type: ignore[arg-type]
        assert np.array_equal(a.probabilities, c.probabilities)  # type: ignore[arg-type]
    assert not np.array_equal(more[1].guesses, more[2].guesses)


def test_a_model_without_epochs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trains in epochs, got flow-svm"):
        audited_runs(make_samples(), RunConfig(model="flow-svm"), tmp_path, shuffles=3)
    assert [p.name for p in tmp_path.iterdir()] == ["true-labels"]  # no shuffle was trained


def test_shuffles_are_numbered_from_one_and_train_something() -> None:
    with pytest.raises(InputError, match="from 1"):
        RunConfig(shuffle=0)
    with pytest.raises(InputError, match="trains nothing"):
        RunConfig(protocol="apply", shuffle=1)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flow maps of six made-up subjects."""
    folder = tmp_path_factory.mktemp("maps")
    samples = make_samples()
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dataset", "subject", "clip", "label", "kind", "path"])
        for row in range(len(samples)):
            dataset, subject, clip = str(samples.clips[row]).split("/")
            picture = np.asarray(samples.inputs[row])[::-1].transpose(1, 2, 0)  # BGR for OpenCV
            assert cv2.imwrite(str(folder / f"{row}.png"), picture.round().astype(np.uint8))
            writer.writerow([dataset, subject, clip, samples.labels[row], "flow_map", f"{row}.png"])
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def audited(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What the command wrote, and what it said."""
    out, said = tmp_path_factory.mktemp("audited") / "audit", io.StringIO()
    with redirect_stdout(said):
        assert main(arguments(manifest, out)) == 0
    return out, said.getvalue()


def arguments(manifest: Path, out: Path, *more: object) -> list[str]:
    words = ["audit", manifest, "--model", "flow-capsnet", "--init", "none", "--epochs", 4,
             "--shuffles", 1, "--out", out, *more]  # fmt: skip
    return [str(word) for word in words]


def test_the_command_writes_all_and_reads_it_again(
    manifest: Path, audited: tuple[Path, str], tmp_path: Path, capfd
) -> None:
    out, said = shutil.copytree(audited[0], tmp_path / "audit"), audited[1]
    assert "24 clips of 6 subjects, 4 epochs" in said
    assert "shuffled labels" in said and "control: majority of each database" in said
    written = {"audit.json", "audit.md", "audit.png", "audit.svg", "epochs.csv", "runs"}
    assert {p.name for p in out.iterdir()} == written
    content = json.loads((out / "audit.json").read_text())
    assert len(content["rows"]) == 8
    assert main(["audit", str(out / "epochs.csv"), "--out", str(tmp_path / "again")]) == 0
    again = json.loads((tmp_path / "again" / "audit.json").read_text())
    assert {**again, "name": content["name"]} == content
    # more shuffles go on where it ended; another seed is another audit
    capfd.readouterr()
    assert main(arguments(manifest, out, "--shuffles", 2)) == 0
    assert "12 folds from before" in capfd.readouterr().out
    assert main(arguments(manifest, out, "--seed", 1)) == 1
    assert "another seed" in capfd.readouterr().err


def test_a_trained_start_is_told(manifest: Path, tmp_path: Path, capfd) -> None:
    more = ("--init", "default", "--groups", 2, "--epochs", 2, "--shuffles", 0)
    assert main(arguments(manifest, tmp_path / "audit", *more)) == 0
    said = capfd.readouterr()
    assert "Weights start from init default" in said.err
    assert "Weights start from init default" in (tmp_path / "audit" / "audit.md").read_text()
    assert "shuffled" not in said.out


def test_a_stopped_audit_goes_on_and_says_the_same(
    manifest: Path, audited: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "audit"
    with stopping(monkeypatch):
        assert main(arguments(manifest, out)) == 130
    assert not (out / "audit.json").exists()  # nothing half-written
    assert main(arguments(manifest, out)) == 0
    for name in ("audit.json", "audit.md", "epochs.csv"):
        assert (out / name).read_bytes() == (audited[0] / name).read_bytes()
