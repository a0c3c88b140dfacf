"""Protocols from samples to predictions: nothing leaks, nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from micromimic.core.errors import InputError, ModelError
from micromimic.core.labels import THREE
from micromimic.core.workers import WorkerLostError, Workers, on_workers
from micromimic.evaluation.evaluate import evaluate
from micromimic.evaluation.one_fold import RunFolder
from micromimic.evaluation.run import RunConfig, folds_of, run_protocol
from micromimic.models import registry
from micromimic.models.base import ClipClassifier
from micromimic.models.samples import Samples
from micromimic.synthesis.maps import generate_maps

pytestmark = pytest.mark.needs("train")


def make_samples(subjects: int = 6, each: int = 4, seed: int = 0) -> Samples:
    """Synthetic maps of subjects in two databases."""
    rng = np.random.default_rng(seed)
    targets = rng.permutation(np.arange(subjects * each) % 3)
    maps = generate_maps(THREE.decode(targets).tolist(), seed=seed)
    who = np.repeat(np.arange(subjects), each)
    datasets = np.where(who % 2, "samm", "smic")
    names = np.array([f"{d}/s{w:02d}" for d, w in zip(datasets, who, strict=True)])
    clips = np.array([f"{n}/c{k:03d}" for k, n in enumerate(names)])
    order = rng.permutation(len(who))  # subjects interleaved, as in no database but in some lists
    return Samples(maps, targets, datasets, names, clips).take(order)


QUICK = RunConfig(model="flow-capsnet", init="none", epochs=2)


def test_loso_tests_each_clip_once_with_its_own_truth(tmp_path: Path) -> None:
    samples = make_samples()
    result = run_protocol(samples, QUICK, tmp_path / "run")
    rows = result.predictions
    assert ["/".join(key) for key in rows.clip_keys] == samples.clips.tolist()
    assert rows["y_true"].tolist() == samples.labels.tolist()
    assert len(result.folds) == 6
    assert (rows.assign(who=rows.who).groupby("fold")["who"].nunique() == 1).all()


def test_the_held_out_truth_decides_nothing(tmp_path: Path) -> None:
    samples = make_samples()
    first = run_protocol(samples, QUICK, tmp_path / "a").predictions
    who = samples.subjects == samples.subjects[0]
    other = Samples(
        samples.inputs,
        np.where(who, (samples.targets + 1) % 3, samples.targets),
        samples.datasets,
        samples.subjects,
        samples.clips,
    )
    second = run_protocol(other, QUICK, tmp_path / "b").predictions
    same = (first.probabilities == second.probabilities).all(1)
    # its own fold is as before; every other fold trained on the changed labels
    assert np.array_equal(same, who)


def test_hde_holds_a_database_out() -> None:
    samples = make_samples()
    folds = folds_of(samples, RunConfig(protocol="hde"))
    assert len(folds) == 2
    for fold in folds:
        assert len(set(samples.datasets[fold.test])) == 1
        assert not set(samples.datasets[fold.test]) & set(samples.datasets[fold.train])


def test_two_processes_say_what_one_says(tmp_path: Path) -> None:
    # Workers that have done other tasks would start again: joblib sees them grow by torch.
    get_reusable_executor().shutdown(kill_workers=True)
    samples = make_samples()
    one = run_protocol(samples, QUICK, tmp_path / "one")
    two = run_protocol(samples, QUICK, tmp_path / "two", workers=Workers(2))
    assert one.predictions.equals(two.predictions)


class OddOneOut(ClipClassifier):
    """A model that this file brings along: always says surprise."""

    def fit(self, X, y, groups=None, *, run=None):
        self.begin(X, y, groups)
        return self

    def scores(self, X):
        return np.tile([0.0, 0.0, 5.0], (len(X), 1))


def test_a_users_own_model_runs_in_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    registry.register("odd", "says surprise", "flow")(OddOneOut)
    config = RunConfig(model="odd")
    result = run_protocol(make_samples(), config, tmp_path, workers=Workers(2))
    assert set(result.predictions["y_pred"]) == {"surprise"}


def test_a_damaged_and_a_missing_fold_are_done_again(tmp_path: Path) -> None:
    samples = make_samples()
    whole = run_protocol(samples, QUICK, tmp_path)
    (tmp_path / "folds" / "0001.npz").unlink()
    (tmp_path / "folds" / "0003.npz").write_bytes(b"PK\x03\x04 broken")
    again = run_protocol(samples, QUICK, tmp_path)
    assert again.resumed == 4
    assert again.predictions.equals(whole.predictions)
    assert run_protocol(samples, QUICK, tmp_path).resumed == 6


def test_another_run_does_not_mix_in(tmp_path: Path) -> None:
    samples = make_samples()
    run_protocol(samples, QUICK, tmp_path / "run")
    with pytest.raises(InputError, match=r"another seed \(seed: 0 before, 1 now\)"):
        run_protocol(samples, RunConfig(init="none", epochs=2, seed=1), tmp_path / "run")
    changed = samples.inputs.copy()
    changed[0, 0, 0, 0] += 1
    other = Samples(changed, samples.targets, samples.datasets, samples.subjects, samples.clips)
    with pytest.raises(InputError, match="another data"):
        run_protocol(other, QUICK, tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("x")
    with pytest.raises(InputError, match="other files"):
        RunFolder(tmp_path / "full", {})


def test_a_run_that_came_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    samples = make_samples()
    wrong = RunConfig(init=tmp_path / "weights.onnx", epochs=2)
    (tmp_path / "weights.onnx").write_text("no weights")
    with pytest.raises(ModelError, match="unusable file"):
        run_protocol(samples, wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert run_protocol(samples, QUICK, tmp_path / "run").resumed == 0


def test_leaky_scores_are_kept_apart(tmp_path: Path) -> None:
    samples = make_samples()
    plain = run_protocol(samples, QUICK, tmp_path / "plain")
    config = RunConfig(init="none", epochs=2, leaky=True)
    leaky = run_protocol(samples, config, tmp_path / "leaky")
    assert plain.leaky is None
    assert leaky.predictions.equals(plain.predictions)  # looking changes nothing
    assert leaky.leaky is not None
    right = [(rows["y_true"] == rows["y_pred"]).sum() for rows in (leaky.leaky, leaky.predictions)]
    assert right[0] >= right[1]
    svm = run_protocol(samples, RunConfig(model="flow-svm", leaky=True), tmp_path / "svm")
    assert svm.leaky is None  # no epochs to choose from


@pytest.mark.parametrize(
    ("kept", "match"),
    [
        (lambda s: s.subjects == s.subjects[0], "two subjects"),
        (lambda s: s.targets == 1, "two classes"),
    ],
)
def test_nothing_to_learn_is_said_first(kept, match: str, tmp_path: Path) -> None:
    samples = make_samples()
    with pytest.raises(InputError, match=match):
        run_protocol(samples.take(np.flatnonzero(kept(samples))), QUICK, tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"protocol": "cde"}, "loso, hde or apply"),
        ({"protocol": "hde", "groups": 3}, "groups"),
        ({"protocol": "apply", "leaky": True}, "trains nothing"),
        ({"epochs": 0}, "epochs from 1"),
    ],
)
def test_contradicting_options(options: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        RunConfig(**options)  # type: ignore[arg-type]


def test_contradicting_workers() -> None:
    with pytest.raises(InputError, match="--scheduler"):
        Workers(backend="dask")
    with pytest.raises(InputError, match="loky or dask"):
        Workers(backend="slurm")  # type: ignore[arg-type]


def test_large_samples_reach_workers_without_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """joblib would write arrays of a megabyte and more to a temporary folder."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path / "file" / "none can be"))
    samples = make_samples(subjects=4, each=36)
    assert samples.inputs.nbytes > 1 << 20
    config = RunConfig(model="flow-template", groups=2)
    result = run_protocol(samples, config, tmp_path / "run", workers=Workers(2))
    assert len(result.predictions) == len(samples)


def joblib_workers() -> list[int]:
    """Worker processes that this one started."""
    lists = Path("/proc/self/task").glob("*/children")
    numbers = [int(number) for file in lists for number in file.read_text().split()]
    found = []
    for number in numbers:
        with suppress(FileNotFoundError):  # it has ended meanwhile
            if b"LokyProcess" in Path(f"/proc/{number}/cmdline").read_bytes():
                found.append(number)
    return found


class Blocked(OddOneOut):
    """Ends the fold without one subject only, where it is in another process than its maker."""

    def __init__(self, maker: int, subject: str) -> None:
        self.maker, self.subject = maker, subject

    def fit(self, X, y, groups=None, *, run=None):
        if os.getpid() != self.maker and self.subject in groups:
            signal.pause()
        return super().fit(X, y, groups)


@pytest.mark.parametrize("data", [3, [3], None])
def test_what_is_no_manifest_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="expected a manifest or clips, got"):
        evaluate("flow-template", data)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_a_killed_worker_is_said_and_its_fold_done_later(tmp_path: Path) -> None:
    samples, config, out = make_samples(), RunConfig(model="blocked"), tmp_path / "run"
    first = samples.subjects[folds_of(samples, config)[0].test[0]]
    model = Blocked(os.getpid(), str(first))

    def kill_all(done: int, total: int | None, stage: str) -> None:
        if done == 1:  # while others are in hand or wait
            for number in joblib_workers():
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)

    with pytest.raises(WorkerLostError, match="run the same command again"):
        run_protocol(samples, config, out, model=model, workers=Workers(2), progress=kill_all)
    again = run_protocol(samples, config, out, model=model)
    assert again.resumed == 1
    whole = run_protocol(samples, config, tmp_path / "whole", model=model)
    assert again.predictions.equals(whole.predictions)


@contextmanager
def stopping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, Ctrl-C comes when one fold has been kept."""
    kept = RunFolder.save

    def save(*given: Any) -> None:
        kept(*given)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)  # an interrupted command ignores a second one
    with monkeypatch.context() as changed:
        changed.setattr(RunFolder, "save", save)
        yield
    signal.signal(signal.SIGINT, before)


KILLED = """
import os, signal, sys
from micromimic.evaluation.evaluate import evaluate
from micromimic.evaluation.one_fold import RunFolder
kept = RunFolder.save
RunFolder.save = lambda *given: (kept(*given), os.kill(os.getpid(), signal.SIGKILL))
"""
"""In a process that is to be gone when it has kept one fold."""


@pytest.mark.needs("cluster")
def test_no_scheduler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micromimic.core.workers.CONNECT_S", 1)
    with (
        pytest.raises(InputError, match="expected a dask scheduler at tcp://127.0.0.1:9"),
        on_workers(Workers(backend="dask", scheduler="tcp://127.0.0.1:9")),
    ):
        pass
