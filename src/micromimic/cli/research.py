"""The commands for research: databases, evaluation, training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from micromimic.cli.app import (
    BackendName,
    Scheduler,
    Sensitivity,
    app,
    datasets,
    interruptible,
    workers_of,
)
from micromimic.cli.console import say
from micromimic.cli.score import ScoreBy, Videos

if TYPE_CHECKING:
    from micromimic.evaluation.run import Protocol
    from micromimic.models.base import EarlyStopping
    from micromimic.preparation.clip import PrepareConfig

Manifest = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="CSV that lists the clips.", show_default=False)
]
Jobs = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]
ApexRule = Annotated[
    str,
    typer.Option(
        "--apex",
        metavar="annotated|article|robust",
        help="The manifest's apex, and where there is none by our own rule or the article's; or "
        "by our own rule for every clip.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="article",
        help="Everything as the article has it, the apex rule too (docs/article.md).",
        show_default=False,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where prepared clips are kept; beside the manifest if left out.",
        show_default=False,
    ),
]
InitName = Annotated[
    str,
    typer.Option(
        metavar="default|none|download|FILE",
        help="Where weights start: the model's own, random, ImageNet's fetched by torchvision, "
        "or a trained file.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result on one machine.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Passes; the model's own number if left out.", show_default=False),
]
Stopping = Annotated[
    bool,
    typer.Option(
        "--early-stopping", help="Stop by subjects held out of the training part (never the test)."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda...; what is there if left out.", show_default=False),
]


Models = Annotated[
    list[str],
    typer.Option(
        metavar="NAME|FILE.py:FUNCTION",
        help="A name of `micromimic models`, or a function that gives a scikit-learn classifier; "
        "several times for one table of several.",
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        metavar="loso|hde|apply|spotting",
        help="Leave a subject out, hold a database out, or test a trained model as it is; or run "
        "the spotter on long videos: MANIFEST is then the table of their events.",
    ),
]
Groups = Annotated[
    int | None,
    typer.Option(
        min=2, help="Leave groups of subjects out: fewer folds than LOSO.", show_default=False
    ),
]
Labels = Annotated[
    str,
    typer.Option(metavar="SCHEME", help="Of labels: three, five, ..., any, or names by commas."),
]
Overlap = Annotated[
    bool,
    typer.Option(
        "--allow-overlap",
        help="Go on where --init was fitted to clips or people that are tested, and say so in "
        "every table.",
    ),
]
Leaky = Annotated[
    bool,
    typer.Option(
        "--report-leaky", help="Also what keeping the best epoch on the test subject would claim."
    ),
]


_SPOTTING: Final[Mapping[str, object]] = {
    "videos": None,
    "sensitivity": "normal",
    "score_by": "strength",
}
_RECOGNITION: Final[Mapping[str, object]] = {
    "seed": 0, "apex": "annotated", "preset": None, "epochs": None, "early_stopping": False,
    "groups": None, "report_leaky": False, "labels": "three", "cache": None, "device": None,
    "tensorboard": False,
}  # fmt: skip
"""Options of `evaluate` of one kind of protocol, and what they are where nobody gives them."""


def _preparation(apex: str, preset: str | None = None) -> PrepareConfig:
    from micromimic.preparation.clip import ARTICLE, Apex, PrepareConfig

    if preset not in (None, "article"):
        raise typer.BadParameter(f"expected --preset article, got {preset!r}")
    if preset and apex == "robust":
        raise typer.BadParameter("expected --apex article with --preset article, got robust")
    return ARTICLE if preset else PrepareConfig(apex=cast("Apex", apex))


def _stop(wanted: bool) -> EarlyStopping | None:
    from micromimic.models.base import EarlyStopping

    return EarlyStopping() if wanted else None


@datasets.command("prepare")
@interruptible
def datasets_prepare(
    manifest: Manifest,
    cache: Cache = None,
    jobs: Jobs = 1,
    backend: BackendName = "loky",
    scheduler: Scheduler = None,
    apex: ApexRule = "annotated",
    preset: Preset = None,
) -> None:
    """Find the apex, crop the face and measure the motion of every clip; kept for later runs."""
    from micromimic.cli.recognition import run_prepare

    workers = workers_of(jobs, backend, scheduler)
    raise typer.Exit(run_prepare(manifest, cache, workers, _preparation(apex, preset)))


@datasets.command("figures")
@interruptible
def datasets_figures(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    clip: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="As DATABASE/SUBJECT/CLIP; the first if left out.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw the article's figures 2, 3 and 4 of one clip: cells, motion curve, steps."""
    from micromimic.cli.analyze import check_writable
    from micromimic.evaluation.report.clips import clip_figures

    check_writable(out)
    for file in clip_figures(manifest, out, clip):
        say(str(file))


@app.command()
@interruptible
def evaluate(
    manifest: Manifest,
    model: Models = ["flow-capsnet"],  # noqa: B006 - typer copies it
    protocol: ProtocolName = "loso",
    init: InitName = "default",
    out: Annotated[
        Path, typer.Option(help="The run's folder; a killed run continues in it.")
    ] = Path("micromimic-evaluation"),
    seed: Seed = 0,
    jobs: Jobs = 1,
    backend: BackendName = "loky",
    scheduler: Scheduler = None,
    apex: ApexRule = "annotated",
    preset: Preset = None,
    epochs: Epochs = None,
    early_stopping: Stopping = False,
    groups: Groups = None,
    report_leaky: Leaky = False,
    labels: Labels = "three",
    allow_overlap: Overlap = False,
    cache: Cache = None,
    device: Device = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves to OUT/tensorboard.")
    ] = False,
    videos: Videos = None,
    sensitivity: Sensitivity = "normal",
    score_by: ScoreBy = "strength",
) -> None:
    """Evaluate models without any leak from the tested subject.

    Writes predictions.csv, metrics.json, tables.md, confusion.png and confusion.svg; with several
    models each into OUT/<name>/, and one tables.md for all. Of spotting: tables.md, metrics.json,
    events.csv, curve.csv, curve.png and curve.svg, and submissions in megc/.
    """
    _refuse_useless(locals())
    if protocol == "spotting":
        from micromimic.cli.score import run_spotting

        named, workers = _spotting_model(model, init), workers_of(jobs, backend, scheduler)
        settings = sensitivity, score_by, workers, allow_overlap
        raise typer.Exit(run_spotting(manifest, out, videos, named, *settings))
    from micromimic.cli.recognition import run_evaluate
    from micromimic.evaluation.run import RunConfig

    config = RunConfig(
        model=model[0],
        protocol=cast("Protocol", protocol),
        init=init,
        seed=seed,
        epochs=epochs,
        stop=_stop(early_stopping),
        groups=groups,
        leaky=report_leaky,
        device=device,
        prepare=_preparation(apex, preset),
        article=preset == "article",
        allow_overlap=allow_overlap,
    )
    workers = workers_of(jobs, backend, scheduler)
    raise typer.Exit(
        run_evaluate(manifest, model, config, out, workers, cache, tensorboard, labels)
    )


def _refuse_useless(given: Mapping[str, object]) -> None:
    """Refuse options of `evaluate` that its protocol would pass over in silence."""
    protocol = given["protocol"]
    for name, default in (_RECOGNITION if protocol == "spotting" else _SPOTTING).items():
        if given[name] != default:
            raise typer.BadParameter(
                f"expected no --{name.replace('_', '-')} with protocol {protocol}, which has no "
                "use for it; leave it out"
            )


def _spotting_model(models: list[str], init: str) -> Path | None:
    """What names the events that are spotted; None is the shipped model."""
    if init not in ("default", "none", "download"):
        return Path(init)
    if models != ["flow-capsnet"] or init != "default":
        raise typer.BadParameter(
            "expected the shipped model, or --init FILE of another, with protocol spotting, got "
            f"--model {' --model '.join(models)} --init {init}"
        )
    return None


@app.command()
@interruptible
def train(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The model to write (.onnx).")],
    model: Annotated[str, typer.Option(metavar="NAME", help="A name of `micromimic models`.")] = (
        "flow-capsnet"
    ),
    labels: Labels = "three",
    init: InitName = "default",
    seed: Seed = 0,
    epochs: Epochs = None,
    jobs: Jobs = 1,
    cache: Cache = None,
    device: Device = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write curves there.", show_default=False)
    ] = None,
) -> None:
    """Train a model on all clips of a manifest, for `analyze --model` and `evaluate --init`."""
    from micromimic.cli.recognition import run_train
    from micromimic.models.base import FitRun

    raise typer.Exit(
        run_train(
            manifest,
            model,
            out,
            workers_of(jobs),
            labels=labels,
            init=init,
            seed=seed,
            epochs=epochs,
            stop=None,
            run=FitRun(log_dir=tensorboard, device=device),
            cache=cache,
        )
    )


@app.command()
@interruptible
def compare(
    first: Annotated[Path, typer.Argument(help="A run's folder or predictions.csv.")],
    second: Annotated[Path, typer.Argument(help="Another of the same clips.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the permutations.")] = 0,
) -> None:
    """Test whether two runs differ: paired, by subjects."""
    from micromimic.cli.recognition import run_compare

    raise typer.Exit(run_compare(first, second, seed))
