"""The commands. Everything heavy is imported inside them: `--help` answers at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, ParamSpec, cast

import typer

import micromimic
from micromimic.cli.console import Interrupted, note, say

if TYPE_CHECKING:
    from micromimic.core.workers import Backend, Workers

P = ParamSpec("P")

app = typer.Typer(
    name="micromimic",
    help="Find candidate micro-expressions in video, say what they show, and show why.",
    epilog="Results assist a trained human coder. They are no lie detector and no diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help starts in half the time
    pretty_exceptions_enable=False,
)
synth = typer.Typer(help="Make synthetic data with known truth.", no_args_is_help=True)
app.add_typer(synth, name="synth")
datasets = typer.Typer(help="Read databases of micro-expressions.", no_args_is_help=True)
app.add_typer(datasets, name="datasets")


def interruptible(command: Callable[P, None]) -> Callable[P, None]:
    """Take Ctrl-C before typer does, which treats it differently from version to version."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; nothing was left half-written") from None

    return run


def _version(wanted: bool) -> None:
    if wanted:
        say(f"micromimic {micromimic.__version__}")
        raise typer.Exit


def workers_of(jobs: int, backend: str = "loky", scheduler: str | None = None) -> Workers:
    """Where tasks run; of a cluster, its dashboard's address is printed.

    Raises:
        InputError, MissingExtraError: as of `workers.on_workers`, before any work.
    """
    from micromimic.core.workers import Workers

    workers = Workers(jobs, cast("Backend", backend), scheduler)
    if address := workers.dashboard():
        note(f"dask dashboard: {address}")
    return workers


def above_zero(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"expected a number above 0, got {value:g}")
    return value


Fps = Annotated[
    float | None,
    typer.Option(
        callback=above_zero,
        help="Frames a second: needed for folders of frames; for a video file it overrides the "
        "file's own times.",
        show_default=False,
    ),
]
Track = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Which video track of a file that has several, from 1; if left out, the file's "
        "default, then the one with the most frames.",
        show_default=False,
    ),
]
Sensitivity = Literal["low", "normal", "high"]
Model = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A model that `micromimic train` wrote; the shipped one if left out.",
        show_default=False,
    ),
]


BackendName = Annotated[str, typer.Option(metavar="loky|dask", help="This machine or a cluster.")]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of the dask scheduler.", show_default=False),
]


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
@interruptible
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the clip and its report.")] = Path(
        "micromimic-demo"
    ),
) -> None:
    """Plant micro-expressions in a public-domain face, find them, and compare."""
    from micromimic.cli.demo import run

    raise typer.Exit(run(out))


@app.command()
@interruptible
def analyze(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="Video files, folders of frames (with --fps), or folders of videos.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Results go to OUT/<name of the input>/.")] = Path(
        "micromimic-results"
    ),
    fps: Fps = None,
    track: Track = None,
    jobs: Annotated[int, typer.Option(min=1, help="Inputs analysed at the same time.")] = 1,
    backend: BackendName = "loky",
    scheduler: Scheduler = None,
    go_on: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="Leave inputs alone whose results lie whole in OUT, as after a killed run of the "
            "same command.",
        ),
    ] = False,
    model: Model = None,
    sensitivity: Annotated[
        Sensitivity,
        typer.Option(
            help="How many movements chance may make of a face's own movement: at most .2, 1 or 4 "
            "a minute."
        ),
    ] = "normal",
    inject: Annotated[
        str,
        typer.Option(
            metavar="SIZES",
            help="Then plant movements of these sizes in copies of each input, as `sensitivity` "
            "does.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Find candidate micro-expressions in videos.

    Writes events.json, events.csv, events.eaf (ELAN), curve.csv and report.html for each input.
    Exit code: 0 all done, 1 some inputs failed (the others are complete), 2 wrong usage,
    130 interrupted.
    """
    from micromimic.analysis.inputs import NameClashError, expand_inputs
    from micromimic.cli.analyze import Job, run
    from micromimic.cli.sensitivity import sizes_of

    sizes = sizes_of(inject)
    try:
        expanded = expand_inputs(inputs)
    except NameClashError as error:
        raise typer.BadParameter(str(error)) from None
    workers = workers_of(jobs, backend, scheduler)
    job = Job(out, fps, model, track, sizes, sensitivity)
    raise typer.Exit(run(expanded, job, workers, go_on=go_on))


@app.command()
@interruptible
def models() -> None:
    """List the models by name."""
    from micromimic.cli.summary import text_table
    from micromimic.models.registry import entry, list_models, list_shipped

    known = [entry(name) for name in list_models()]
    shipped = list_shipped()
    rows = [
        (model.name, model.view, "yes" if model.name in shipped else "", model.about)
        for model in known
    ]
    say(text_table(("name", "looks at", "ready to use", "what it is"), rows, indent=0))
