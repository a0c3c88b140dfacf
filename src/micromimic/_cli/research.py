"""The commands for research: databases, evaluation, training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from micromimic._cli.app import (
    BackendName,
    Scheduler,
    app,
    datasets,
    interruptible,
    synth,
    workers_of,
)
from micromimic._cli.console import say

if TYPE_CHECKING:
    from micromimic.evaluation.run import Protocol
    from micromimic.models.learner import EarlyStopping, Init
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
        metavar="NAME",
        help="A name of `micromimic models`; several times for one table of several.",
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        metavar="loso|hde|apply",
        help="Leave a subject out, hold a database out, or test a trained model as it is.",
    ),
]
Groups = Annotated[
    int | None,
    typer.Option(
        min=2, help="Leave groups of subjects out: fewer folds than LOSO.", show_default=False
    ),
]
Leaky = Annotated[
    bool,
    typer.Option(
        "--report-leaky", help="Also what keeping the best epoch on the test subject would claim."
    ),
]


def _preparation(apex: str) -> PrepareConfig:
    from micromimic.preparation.clip import Apex, PrepareConfig

    return PrepareConfig(apex=cast("Apex", apex))


def init_of(text: str) -> Init:
    """What --init says."""
    return cast("Init", text if text in ("default", "none", "download") else Path(text))


def _stop(wanted: bool) -> EarlyStopping | None:
    from micromimic.models.learner import EarlyStopping

    return EarlyStopping() if wanted else None


@synth.command("databases")
@interruptible
def synth_databases(
    out: Annotated[Path, typer.Option(help="Folder for smic/, casme2/ and samm/.")],
    clips_per_class: Annotated[
        int, typer.Option(min=1, help="Clips of each class in each database.")
    ] = 10,
    full: Annotated[
        bool, typer.Option("--full", help="As many clips as the composite has: 442.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same databases.")] = 0,
    jobs: Jobs = 1,
) -> None:
    """Make three databases of synthetic micro-expressions in the layouts of the real ones."""
    from micromimic._cli.analyze import check_writable
    from micromimic._cli.progress import show_progress
    from micromimic.synthesis.databases import synth_databases as write_databases

    check_writable(out)
    with show_progress("synthetic databases") as progress:
        result = write_databases(
            out,
            clips_per_class=clips_per_class,
            seed=seed,
            full=full,
            jobs=jobs,
            progress=progress,
        )
    used = [clip for clip in result.clips if clip.label is not None]
    people = len({(clip.dataset, clip.subject) for clip in used})
    say(
        f"{len(used)} clips of {people} subjects ({result.faces} faces), and "
        f"{len(result.clips) - len(used)} of classes that the composite leaves out, in {out}"
    )
    say(
        f"next: micromimic datasets index --smic {out / 'smic'} --casme2 {out / 'casme2'} "
        f"--samm {out / 'samm'} --out {out / 'composite.csv'}"
    )


@datasets.command("index")
@interruptible
def datasets_index(
    out: Annotated[Path, typer.Option(metavar="MANIFEST", help="The manifest to write.")],
    smic: Annotated[Path | None, typer.Option(metavar="DIR", help="SMIC (HS or HS-E).")] = None,
    casme2: Annotated[Path | None, typer.Option(metavar="DIR", help="CASME II.")] = None,
    samm: Annotated[Path | None, typer.Option(metavar="DIR", help="SAMM.")] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Further corrections by clip.", show_default=False),
    ] = None,
) -> None:
    """List the clips of the databases that are there, and print the article's table 1."""
    from micromimic._cli.datasets import run_index

    if smic is None and casme2 is None and samm is None:
        raise typer.BadParameter("expected --smic, --casme2 or --samm, got none of them")
    raise typer.Exit(run_index(smic, casme2, samm, out, corrections))


@datasets.command("prepare")
@interruptible
def datasets_prepare(
    manifest: Manifest,
    cache: Cache = None,
    jobs: Jobs = 1,
    backend: BackendName = "loky",
    scheduler: Scheduler = None,
    apex: ApexRule = "annotated",
) -> None:
    """Find the apex, crop the face and measure the motion of every clip; kept for later runs."""
    from micromimic._cli.recognition import run_prepare

    workers = workers_of(jobs, backend, scheduler)
    raise typer.Exit(run_prepare(manifest, cache, workers, _preparation(apex)))


@datasets.command("figures")
@interruptible
def datasets_figures(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    clip: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="As casme2/sub01/EP02_01f; the first if left out.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw the article's figures 2, 3 and 4 of one clip: cells, motion curve, steps."""
    from micromimic._cli.analyze import check_writable
    from micromimic.pipelines.figures import clip_figures

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
    epochs: Epochs = None,
    early_stopping: Stopping = False,
    groups: Groups = None,
    report_leaky: Leaky = False,
    cache: Cache = None,
    device: Device = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves to OUT/tensorboard.")
    ] = False,
) -> None:
    """Evaluate models without any leak from the tested subject.

    Writes predictions.csv, metrics.json, tables.md, confusion.png and confusion.svg; with several
    models each into OUT/<name>/, and one tables.md for all.
    """
    from micromimic._cli.recognition import run_evaluate
    from micromimic.evaluation.run import RunConfig

    config = RunConfig(
        model=model[0],
        protocol=cast("Protocol", protocol),
        init=init_of(init),
        seed=seed,
        epochs=epochs,
        stop=_stop(early_stopping),
        groups=groups,
        leaky=report_leaky,
        device=device,
        prepare=_preparation(apex),
    )
    workers = workers_of(jobs, backend, scheduler)
    raise typer.Exit(run_evaluate(manifest, model, config, out, workers, cache, tensorboard))


@app.command()
@interruptible
def train(
    manifest: Manifest,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The model to write (.onnx).")],
    model: Annotated[str, typer.Option(metavar="NAME", help="A name of `micromimic models`.")] = (
        "flow-capsnet"
    ),
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
    from micromimic._cli.recognition import run_train
    from micromimic.models.learner import FitOptions

    options = FitOptions(
        seed=seed, init=init_of(init), epochs=epochs, log_dir=tensorboard, device=device
    )
    raise typer.Exit(run_train(manifest, model, out, options, workers_of(jobs), cache))


@app.command()
@interruptible
def compare(
    first: Annotated[Path, typer.Argument(help="A run's folder or predictions.csv.")],
    second: Annotated[Path, typer.Argument(help="Another of the same clips.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the permutations.")] = 0,
) -> None:
    """Test whether two runs differ: paired, by subjects."""
    from micromimic._cli.recognition import run_compare

    raise typer.Exit(run_compare(first, second, seed))
