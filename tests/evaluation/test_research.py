"""From made-up databases to tables and a trained model, as a researcher types it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from micromimic.cli.main import main
from micromimic.evaluation.predictions import COLUMNS, Predictions
from micromimic.models.onnx import load_model
from micromimic.models.registry import list_models
from micromimic.synthesis.databases.write import synth_databases

from ..rows import rows_in
from .test_run import KILLED

pytestmark = pytest.mark.needs("train")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``composite.csv``, from databases of a clip a class."""
    folder = tmp_path_factory.mktemp("research")
    data = folder / "data"
    synth_databases(data, clips_per_class=1, faces="warped")
    places = [f"{name}={data / name}" for name in ("smic", "casme2", "samm")]
    manifest = folder / "composite.csv"
    assert main(["datasets", "index", *places, "--out", str(manifest)]) == 0
    assert main(["datasets", "prepare", str(manifest)]) == 0
    return folder


THREE_MODELS = ("flow-svm", "flow-template", "lbp-top-svm")


@pytest.fixture(scope="module")
def runs(databases: Path) -> tuple[Path, str]:
    """What ``evaluate`` wrote of three models, and what it said."""
    words = [word for name in THREE_MODELS for word in ("--model", name)]
    manifest, out, said = databases / "composite.csv", databases / "runs", io.StringIO()
    with redirect_stdout(said):
        assert main(["evaluate", str(manifest), *words, "--groups", "3", "--out", str(out)]) == 0
    return out, said.getvalue()


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def error_of(said: tuple[int, str, str]) -> str:
    code, _, err = said
    assert code == 1
    lines = [line for line in err.splitlines() if line.startswith("micromimic: error: ")]
    assert len(lines) == 1, err
    return lines[0]


def rows_of(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_index_says_what_is_there(databases: Path) -> None:
    rows = rows_of(databases / "composite.csv")
    assert len(rows) == 9
    assert {row["dataset"] for row in rows} == {"smic", "casme2", "samm"}
    assert all((databases / row["path"]).is_dir() for row in rows)
    assert {row["synthetic"] for row in rows} == {"yes"}


def test_several_models_one_table(databases: Path, runs: tuple[Path, str], command) -> None:
    folder_of_all, out = runs
    tables = (folder_of_all / "tables.md").read_text()
    assert "synthetic" in tables
    # the random control is printed as it stands in the tables: the mean of draws, not one draw
    printed = set(re.findall(r"random by database prior +(\S+)  \S+ to \S+  (\S+)", out))
    shown = re.search(r"random by database prior \(.*?\) \| ([\d.]+) \[.*?\] \| ([\d.]+) ", tables)
    assert shown and printed == {shown.groups()}
    for name in THREE_MODELS:
        assert f"| **{name}" in tables
        assert name in out
        folder = folder_of_all / name
        rows = rows_in(Predictions.read(folder / "predictions.csv"))
        assert len(rows) == 9
        assert (folder / "predictions.csv").read_text().startswith(",".join(COLUMNS) + "\n")
        metrics = json.loads((folder / "metrics.json").read_text())
        assert {"composite", "smic", "casme2", "samm", "controls"} <= metrics.keys()
        assert metrics["composite"]["n"] == 9
        assert np.sum(metrics["composite"]["confusion"]) == 9
        assert (folder / "confusion.png").stat().st_size > 5000
    # clips are known to the run by the names in the manifest
    known = {(r["dataset"], r["subject"], r["clip"]) for r in rows_of(databases / "composite.csv")}
    assert {row.key for row in rows} == known
    first, second = (folder_of_all / name for name in THREE_MODELS[:2])
    code, out, _ = command("compare", first, second)
    assert code == 0
    assert "UF1" in out and "noise" in out


def test_train_then_analyze_and_apply(databases: Path, command, tmp_path: Path) -> None:
    manifest, model = databases / "composite.csv", tmp_path / "mine.onnx"
    code, out, _ = command("train", manifest, "--out", model, "--epochs", 2)
    assert code == 0
    assert "9 clips of" in out
    loaded = load_model(model)
    assert loaded.info.name == "flow-capsnet"
    assert loaded.info.trained_on.startswith("9 clips of")
    assert list(loaded.labels) == ["negative", "positive", "surprise"]
    clip = databases / rows_of(manifest)[0]["path"]
    results = tmp_path / "results"
    code, _, err = command("analyze", clip, "--fps", 100, "--model", model, "--out", results)
    assert code == 0, err
    events = json.loads((results / clip.name / "events.json").read_text())
    assert events["model"]["trained_on"] == loaded.info.trained_on


def test_what_a_file_was_fitted_to_is_no_test_of_it(
    databases: Path, command, tmp_path: Path
) -> None:
    """Train, then apply: the same clips, the same people, others, and a 0.1 file."""
    import onnx

    rows = rows_of(databases / "composite.csv")
    people = sorted({(row["dataset"], row["subject"]) for row in rows})
    half = [row for row in rows if (row["dataset"], row["subject"]) in people[::2]]
    rest = [row for row in rows if row not in half]
    known, others = (
        write_rows(databases / f"{name}.csv", some) for name, some in (("k", half), ("o", rest))
    )
    model = tmp_path / "mine.onnx"
    assert command("train", known, "--model", "flow-svm", "--out", model)[0] == 0
    fitted_to = load_model(model).about.fitted_to
    assert fitted_to is not None and len(fitted_to.clips) == len(half)
    assert fitted_to.subjects == {f"{dataset}/{subject}" for dataset, subject in people[::2]}
    apply = ("evaluate", "--protocol", "apply", "--init", model, "--out")
    said = f"fitted to {len(half)} of these clips and {len(people[::2])} of these subjects"
    assert said in error_of(command(*apply, tmp_path / "refused", known))
    assert not (tmp_path / "refused" / "predictions.csv").exists()
    # a clip of the same content under another name and subject is found all the same
    renamed = [{**row, "subject": f"x{row['subject']}", "clip": f"x{row['clip']}"} for row in half]
    again = write_rows(databases / "renamed.csv", [*renamed, *rest])
    assert f"fitted to {len(half)} of these clips;" in error_of(command(*apply, tmp_path, again))
    code, out, err = command(*apply, tmp_path / "labelled", known, "--allow-overlap")
    assert code == 0, err
    tables = (tmp_path / "labelled" / "tables.md").read_text()
    assert said in out and f"OVERLAP: {said}" in tables
    assert "nothing fitted to these clips" not in tables
    code, out, err = command(*apply, tmp_path / "others", others)
    assert code == 0, err
    assert "OVERLAP" not in out + (tmp_path / "others" / "tables.md").read_text()
    rows_said = Predictions.read(tmp_path / "others" / "predictions.csv")
    assert set(rows_said["fold"]) == {0}
    # 0.1 wrote no digests
    old = onnx.load(model)
    details = json.loads(old.metadata_props[0].value)
    del details["fitted_to"]
    onnx.helper.set_model_props(old, {old.metadata_props[0].key: json.dumps(details)})
    onnx.save(old, tmp_path / "old.onnx")
    words = ("evaluate", known, "--protocol", "apply", "--init", tmp_path / "old.onnx", "--out")
    assert command(*words, tmp_path / "unknown")[0] == 0
    assert "not known what it was fitted to" in (tmp_path / "unknown" / "tables.md").read_text()


def test_starting_weights_that_saw_the_tested_are_refused(
    databases: Path, command, tmp_path: Path
) -> None:
    manifest, model = databases / "composite.csv", tmp_path / "mine.onnx"
    assert command("train", manifest, "--out", model, "--epochs", 1)[0] == 0
    words = ("evaluate", manifest, "--init", model, "--epochs", 1, "--groups", 2, "--out")
    assert "fitted to 9 of these clips" in error_of(command(*words, tmp_path / "refused"))
    assert not (tmp_path / "refused").exists()
    code, _, err = command(*words, tmp_path / "labelled", "--allow-overlap")
    assert code == 0, err
    assert "OVERLAP" in (tmp_path / "labelled" / "tables.md").read_text()
    # what is trained from it saw what it saw, too
    rows = rows_of(manifest)
    some = write_rows(databases / "some.csv", [r for r in rows if r["dataset"] != "samm"])
    tuned = tmp_path / "tuned.onnx"
    assert command("train", some, "--init", model, "--epochs", 1, "--out", tuned)[0] == 0
    fitted_to = load_model(tuned).about.fitted_to
    assert fitted_to is not None and len(fitted_to.clips) == 9


def test_one_picture_under_two_names_is_refused(databases: Path, command, tmp_path: Path) -> None:
    rows = rows_of(databases / "composite.csv")
    twice = {**rows[0], "subject": rows[0]["subject"].upper() + "b", "clip": "other"}
    manifest = write_rows(databases / "twice.csv", [*rows, twice])
    error = error_of(command("evaluate", manifest, "--out", tmp_path / "run"))
    assert "with the same content" in error and rows[0]["clip"] in error and "other" in error
    assert not (tmp_path / "run").exists()


def test_a_file_that_says_something_else_is_not_written(
    databases: Path, command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micromimic.models.svm import DescriptorSvm

    manifest, model = databases / "composite.csv", tmp_path / "m.onnx"
    words = ("train", manifest, "--model", "lbp-top-svm", "--out", model)
    code, _, _ = command(*words)
    assert code == 0
    assert load_model(model).view == "volume"
    honest = DescriptorSvm.scores
    monkeypatch.setattr(DescriptorSvm, "scores", lambda self, inputs: honest(self, inputs)[:, ::-1])
    before = model.read_bytes()
    assert "to say what the model says" in error_of(command(*words))
    assert model.read_bytes() == before


def test_the_shipped_model_applies(databases: Path, command, tmp_path: Path) -> None:
    manifest = databases / "composite.csv"
    code, _, _ = command("evaluate", manifest, "--protocol", "apply", "--out", tmp_path / "run")
    assert code == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    # planted with the fields that it was trained on: far above the chance of 1/3
    assert metrics["composite"]["uf1"] > 0.6


def test_a_trained_model_is_applied_to_one_subject_and_one_clip(
    databases: Path, command, tmp_path: Path
) -> None:
    manifest = write_rows(databases / "one.csv", rows_of(databases / "composite.csv")[:1])
    words = ("evaluate", manifest, "--protocol", "apply", "--out", tmp_path / "run")
    code, _, err = command(*words)
    assert code == 0, err
    assert len(Predictions.read(tmp_path / "run" / "predictions.csv")) == 1
    assert "no controls" in (tmp_path / "run" / "tables.md").read_text()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["controls"] == {}
    # what trains still needs somebody to test
    assert "two subjects" in error_of(command("evaluate", manifest, "--out", tmp_path / "loso"))
    said = command("evaluate", manifest, "--protocol", "apply", "--model", "lbp-top-svm")
    assert "flow-capsnet, flow-template, which work as installed" in error_of(said)


def test_leaky_is_told_apart(databases: Path, command, tmp_path: Path) -> None:
    code, out, _ = command(
        "evaluate", databases / "composite.csv", "--groups", 2, "--epochs", 2, "--report-leaky",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0
    assert "(leaky)" in out
    assert "not comparable" in (tmp_path / "run" / "tables.md").read_text()
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "not_comparable" in metrics["leaky"]
    honest = Predictions.read(tmp_path / "run" / "predictions.csv")
    assert len(honest) == len(Predictions.read(tmp_path / "run" / "predictions-leaky.csv"))


def test_hold_a_database_out(databases: Path, command, tmp_path: Path) -> None:
    code, _, _ = command(
        "evaluate", databases / "composite.csv", "--protocol", "hde", "--model", "flow-template",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0
    rows = rows_in(Predictions.read(tmp_path / "run" / "predictions.csv"))
    assert len({row.fold for row in rows}) == 3
    assert all(len({r.dataset for r in rows if r.fold == k}) == 1 for k in range(3))


def test_a_killed_command_goes_on(
    databases: Path, runs: tuple[Path, str], command, tmp_path: Path
) -> None:
    manifest, out = str(databases / "composite.csv"), tmp_path / "run"
    words = ["evaluate", manifest, "--model", "flow-svm", "--groups", "3", "--out"]
    driver = KILLED + "from micromimic.cli.main import main; sys.exit(main())"
    call = [sys.executable, "-c", driver, *words, str(out)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(call, check=False, capture_output=True, env=one_thread)
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "predictions.csv").exists()
    code, said, err = command(*words, out)
    assert code == 0, err
    assert "folds from before" in said
    files = [folder / "predictions.csv" for folder in (out, runs[0] / "flow-svm")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_articles_way_lies_beside_ours(databases: Path, command, tmp_path: Path) -> None:
    rows = [{**r, "path": str(databases / r["path"])} for r in rows_of(databases / "composite.csv")]
    few = {(row["dataset"], row["label"]): row for row in rows if row["dataset"] != "samm"}
    manifest = write_rows(tmp_path / "few.csv", list(few.values()))
    code, out, _ = command("datasets", "prepare", manifest, "--apex", "robust")
    assert code == 0
    assert "6 of 6 clips prepared, apex spotted in 6" in out
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "few.prepared").iterdir()}
    words = ("evaluate", manifest, "--model", "lbp-top-svm", "--groups", 2, "--out", tmp_path / "r")
    code, _, err = command(*words, "--preset", "article")
    assert code == 0, err
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "few.prepared").iterdir()}
    assert made.items() > kept.items()
    record = json.loads((tmp_path / "r" / "run.json").read_text())
    wanted = {"apex": "article", "landmarks": "each", "neighbour": "after"}
    assert {name: record[name] for name in wanted} == wanted
    assert record["parameter descriptor"] == "'lbp-top-by-planes'"
    assert "in the article's way" in (tmp_path / "r" / "tables.md").read_text()
    assert "another apex, article" in error_of(command(*words))
    code, _, err = command(*words, "--preset", "article", "--apex", "robust")
    assert (code, "expected --apex article with --preset article" in err) == (2, True)


def test_figures_of_a_clip(databases: Path, command, tmp_path: Path) -> None:
    manifest = databases / "composite.csv"
    code, out, _ = command("datasets", "figures", manifest, "--out", tmp_path / "figures")
    assert code == 0
    names = {f"{name}.{kind}" for name in ("cells", "curve", "steps") for kind in ("png", "svg")}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == names
    assert all(name in out for name in names)
    said = command("datasets", "figures", manifest, "--out", tmp_path / "x", "--clip", "nobody")
    assert "named nobody" in error_of(said)


def _drop(column: str):
    return lambda rows: [{k: v for k, v in row.items() if k != column} for row in rows]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_drop("label"), "none named label"),
        (lambda r: [{**r[0], "label": "fear"}, *r[1:]], "'fear' for clip"),
        (lambda r: [*r, r[0]], "each clip once"),
        (lambda r: [{**r[0], "path": "gone"}, *r[1:]], "correct the paths"),
        (lambda r: [{**r[0], "dataset": "samm"}, *r[1:], {**r[0], "clip": "other"}],
         "each subject in one database"),
        (lambda r: [row for row in r if row["label"] == "positive"], "two classes"),
        (lambda r: [{**row, "dataset": "smic", "subject": "s01", "clip": f"c{k}"}
                    for k, row in enumerate(r)], "two subjects"),
        (lambda r: [{**r[0], "kind": "tape"}, *r[1:]], "a kind among"),
        (lambda r: [{**r[0], "onset": "9", "apex": "3"}, *r[1:]], "onset <= apex"),
    ],
)  # fmt: skip
def test_bad_manifests_are_told_before_training(
    databases: Path, command, tmp_path: Path, change, match: str
) -> None:
    manifest = write_rows(databases / "bad.csv", change(rows_of(databases / "composite.csv")))
    said = command("evaluate", manifest, "--out", tmp_path / "run")
    assert match in error_of(said)
    assert not (tmp_path / "run").exists()
    assert "error" in error_of(command("train", manifest, "--out", tmp_path / "m.onnx"))
    assert not (tmp_path / "m.onnx").exists()


def test_a_model_that_cannot_look_at_the_clips(shared: Path, command, tmp_path: Path) -> None:
    manifest = shared / "data" / "flow_maps" / "manifest.csv"
    said = command("evaluate", manifest, "--model", "resnet18", "--out", tmp_path / "run")
    assert "flow_map" in error_of(said)


def test_one_clip_that_fails_is_left_out_and_named(
    databases: Path, command, tmp_path: Path
) -> None:
    rows = rows_of(databases / "composite.csv")
    first = tmp_path / "broken"
    shutil.copytree(databases / rows[0]["path"], first)
    for file in sorted(first.iterdir())[3:6]:
        file.write_bytes(b"no picture")
    rows = [{**row, "path": os.path.relpath(databases / row["path"], tmp_path)} for row in rows]
    rows[0]["path"] = "broken"
    manifest = write_rows(tmp_path / "m.csv", rows)
    code, out, err = command(
        "evaluate", manifest, "--model", "flow-template", "--groups", 3, "--out", tmp_path / "run"
    )
    assert code == 0
    assert "1 clips left out" in err and rows[0]["clip"] in err
    assert "8 clips" in out


def test_unknown_names(databases: Path, command) -> None:
    manifest = databases / "composite.csv"
    error = error_of(command("evaluate", manifest, "--model", "resnet50"))
    assert all(name in error for name in list_models())
    code, _, err = command("evaluate", manifest, "--protocol", "cde")
    assert code == 1 and "loso, hde or apply" in err
    code, _, err = command("datasets", "index", "--out", "x.csv")
    assert code == 2 and "expected a database as NAME=DIR" in err


def test_a_missing_extra_is_told_before_any_work(
    databases: Path, command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micromimic.models import registry

    find = registry.find_spec
    monkeypatch.setattr(
        registry, "find_spec", lambda name: find(name) if name != "matplotlib" else None
    )
    manifest = databases / "composite.csv"
    words = ("evaluate", manifest, "--model", "flow-template", "--out", tmp_path / "run")
    assert "pip install 'micromimic[train]'" in error_of(command(*words))
    assert not (tmp_path / "run").exists()
    words = ("train", manifest, "--model", "flow-template", "--out", tmp_path / "m.onnx")
    assert "matplotlib" in error_of(command(*words))


def test_models_are_listed(command) -> None:
    code, out, _ = command("models")
    assert code == 0
    assert all(name in out for name in list_models())
