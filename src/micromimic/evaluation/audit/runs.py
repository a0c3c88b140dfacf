"""Audit a model, or the log of any training code: what choosing on the test data would claim."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from micromimic.core.errors import InputError
from micromimic.core.files import write_whole
from micromimic.core.progress import Progress
from micromimic.core.workers import Workers
from micromimic.datasets.clip import is_synthetic
from micromimic.evaluation.audit.epochs import (
    Audit,
    EpochRun,
    audit_runs,
    epochs_of_run,
    read_epochs,
    write_epochs,
)
from micromimic.evaluation.audit.report import audit_figure, audit_json, audit_md
from micromimic.evaluation.evaluate import open_clips
from micromimic.evaluation.run import RunConfig, model_of, run_protocol
from micromimic.models.registry import require_extra
from micromimic.models.samples import Samples

NO_FIGURE: Final = "no figure: matplotlib is not installed; pip install 'micromimic[train]'"
STARTED: Final = (
    "Weights start from init {}: what they know before the first epoch shows in every line, in "
    "those on shuffled labels, too. Start from random weights (none) to see the choice alone."
)
SYNTHETIC: Final = "These clips are synthetic: nothing here is about real faces."


@dataclass(frozen=True)
class Audited:
    folder: Path  # folder, name: where it lies; of the model or file
    name: str
    audit: Audit
    left_out: tuple[str, ...] = ()  # clips that could not be prepared, with reasons
    resumed: int = 0  # folds that an earlier call had ended
    notes: tuple[str, ...] = ()  # what could not be done


def audit_table(file: str | Path, out: str | Path) -> Audited:
    """Audit per-epoch predictions that were logged before, by any training code."""
    drawn = find_spec("matplotlib") is not None
    audit = audit_runs(read_epochs(file))
    result = Audited(Path(out), Path(file).name, audit, notes=() if drawn else (NO_FIGURE,))
    _write(result, figure=drawn)
    return result


def audit_model(
    manifest: Path,
    config: RunConfig,
    out: Path,
    *,
    labels: str = "three",
    shuffles: int = 3,
    workers: Workers | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Audited:
    """Train with true and with shuffled labels, leave one subject out, and audit the epochs."""
    require_extra()
    options = {"cache": cache, "workers": workers, "progress": progress}
    clips, loaded = open_clips(
        model_of(config), manifest, labels, prepare=config.prepare, **options
    )
    runs, resumed = audited_runs(
        loaded.samples, config, out / "runs", shuffles=shuffles, workers=workers, progress=progress
    )
    notes = [SYNTHETIC] if any(is_synthetic(clip) for clip in clips) else []
    if config.init != "none":
        notes.append(STARTED.format(config.init))
    result = Audited(
        folder=out,
        name=config.model,
        audit=audit_runs(runs),
        left_out=loaded.left_out,
        resumed=resumed,
        notes=tuple(notes),
    )
    write_epochs(out / "epochs.csv", runs)
    _write(result, figure=True)
    return result


def audited_runs(
    samples: Samples,
    config: RunConfig,
    out: Path,
    *,
    model: Any = None,
    shuffles: int,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[EpochRun, ...], int]:
    """The runs of an audit, and how many of their folds an earlier call had ended."""
    runs: list[EpochRun] = []
    resumed = 0
    for number in range(shuffles + 1):
        stage = f"folds, shuffle {number} of {shuffles}" if number else "folds, true labels"

        def report(done: int, total: int | None, _: str, stage: str = stage) -> None:
            if progress:
                progress(done, total, stage)

        result = run_protocol(
            samples,
            replace(config, leaky=True, shuffle=number or None),
            out / (f"shuffle-{number}" if number else "true-labels"),
            model=model,
            workers=workers,
            progress=report,
        )
        run = epochs_of_run(samples, result.folds, result.results, seed=config.seed, shuffle=number)
        if run is None:
            raise InputError(
                f"expected a model that trains in epochs, got {config.model}, which has none to "
                "choose from; audit a network, such as flow-capsnet"
            )
        runs.append(run)
        resumed += result.resumed
    return tuple(runs), resumed


def _write(result: Audited, *, figure: bool) -> None:
    content = audit_json(result.audit, result.name, result.notes)
    write_whole(result.folder / "audit.json", json.dumps(content, indent=2) + "\n")
    write_whole(result.folder / "audit.md", audit_md(result.audit, result.name, result.notes))
    if figure:
        audit_figure(result.audit, result.folder / "audit", name=result.name)
