"""Options that several commands have, and what is made of them."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer

from micromimic.cli.console import needs_web, note

if TYPE_CHECKING:
    from micromimic.core.workers import Backend, Workers
    from micromimic.preparation.clip import PrepareConfig
    from micromimic.workstation.records.database import Store

TOKEN_VARIABLE: Final = "MICROMIMIC_TOKEN"
DATABASE_VARIABLE: Final = "MICROMIMIC_DATABASE_URL"
_LONGEST_SECRET: Final = 4096


def above_zero(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"expected a number above 0, got {value:g}")
    return value


def unset(text: str, **how: Any) -> Any:
    """An option that has no value unless it is given."""
    return typer.Option(help=text, show_default=False, **how)


def argument(text: str, metavar: str) -> Any:
    return typer.Argument(help=text, metavar=metavar, show_default=False)


# --- videos --------------------------------------------------------------------------------------

Fps = Annotated[
    float | None,
    unset(
        "Frames a second: needed for folders of frames; for a video file it overrides the file's "
        "own times.",
        callback=above_zero,
    ),
]
Track = Annotated[
    int | None,
    unset(
        "Which video track of a file that has several, from 1; if left out, the file's default, "
        "then the one with the most frames.",
        min=1,
        metavar="N",
    ),
]
Person = Annotated[
    str,
    typer.Option(
        help="Whom to analyse where several people are seen: N, from 1 for the one seen largest "
        "and longest, found again through the video; all, with results in OUT/<name>/person1/ and "
        "so on; or largest, whoever is it as it goes.",
        metavar="N|largest|all",
    ),
]
Sensitivity = Literal["low", "normal", "high"]
Model = Annotated[
    Path | None,
    unset("A model that `micromimic train` wrote; the shipped one if left out.", metavar="FILE"),
]


Inputs = Annotated[
    list[str] | None,
    argument(
        "Video files, folders of frames (with --fps), or folders with videos in them or in their "
        "subfolders.",
        "INPUT",
    ),
]
Table = Annotated[
    Path | None,
    unset(
        "Whose each video is: a table with the columns video, subject, session, condition and "
        "date. Without INPUT its videos are analysed.",
        metavar="FILE",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        help="Analyse anew what is complete in OUT; if left out, inputs are skipped whose results "
        "were made of the same file by the same model and settings.",
    ),
]
Inject = Annotated[
    str,
    typer.Option(
        metavar="SIZES",
        help="Then plant movements of these sizes in copies of each input, as `sensitivity` does.",
        show_default=False,
    ),
]


def parse_sizes(text: str) -> tuple[float, ...]:
    """Numbers between commas or spaces.

    >>> parse_sizes(".15, .3 .6")
    (0.15, 0.3, 0.6)
    """
    try:
        sizes = tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        sizes = ()
    if text and not sizes:
        raise typer.BadParameter(f"expected numbers as .15,.3,.6, got {text!r}")
    return sizes


# --- where it runs -------------------------------------------------------------------------------

Jobs = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]
BackendName = Annotated[str, typer.Option(metavar="loky|dask", help="This machine or a cluster.")]
Scheduler = Annotated[str | None, unset("Of the dask scheduler.", metavar="ADDRESS")]
Device = Annotated[str | None, unset("cpu, cuda...; what is there if left out.")]


def workers_of(jobs: int, backend: str = "loky", scheduler: str | None = None) -> Workers:
    """Where tasks run; of a cluster, its dashboard's address is printed."""
    from micromimic.core.workers import Workers

    workers = Workers(jobs, cast("Backend", backend), scheduler)
    if address := workers.dashboard():
        note(f"dask dashboard: {address}")
    return workers


# --- recognition ---------------------------------------------------------------------------------

Manifest = Annotated[Path, argument("CSV that lists the clips.", "MANIFEST")]
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
    unset(
        "Everything as the article has it, the apex rule too (docs/article.md).", metavar="article"
    ),
]
Cache = Annotated[
    Path | None,
    unset("Where prepared clips are kept; beside the manifest if left out.", metavar="DIR"),
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
Epochs = Annotated[int | None, unset("Passes; the model's own number if left out.", min=1)]
Groups = Annotated[int | None, unset("Leave groups of subjects out: fewer folds than LOSO.", min=2)]
Labels = Annotated[
    str,
    typer.Option(metavar="SCHEME", help="Of labels: three, five, ..., any, or names by commas."),
]
Scheme = Annotated[str, typer.Option(metavar="SCHEME", help="The scheme of the labels.")]
Videos = Annotated[
    Path | None,
    unset(
        "Of spotting: the videos of the table of events; looked for beside it if left out.",
        metavar="MANIFEST",
    ),
]


def preparation(apex: str, preset: str | None = None) -> PrepareConfig:
    from micromimic.preparation.clip import ARTICLE, Apex, PrepareConfig

    if preset not in (None, "article"):
        raise typer.BadParameter(f"expected --preset article, got {preset!r}")
    if preset and apex == "robust":
        raise typer.BadParameter("expected --apex article with --preset article, got robust")
    return ARTICLE if preset else PrepareConfig(apex=cast("Apex", apex))


# --- the workstation's records -------------------------------------------------------------------

Data = Annotated[
    Path | None,
    unset(
        "Where `micromimic serve` keeps its records; MICROMIMIC_DATA or the user's data folder if "
        "left out.",
        metavar="DIR",
    ),
]
DatabaseUrl = Annotated[
    str | None,
    unset(
        "Of PostgreSQL (postgresql://...), where the records are there; "
        "MICROMIMIC_DATABASE_URL if left out. A password is better there or in --database-file.",
        metavar="URL",
    ),
]
DatabaseFile = Annotated[
    Path | None, unset("Holds the URL of --database; nobody else may read it.", metavar="FILE")
]
TokenFile = Annotated[
    Path | None, unset("Holds what --token says; nobody else may read it.", metavar="FILE")
]


def open_records(data: Path | None, url: str | None, file: Path | None) -> Store:
    """The records, if there are any: a mistyped folder is no new, empty one."""
    from micromimic.core.errors import InputError

    database = database_of(url, file)
    with needs_web():
        from micromimic.workstation.records.database import open_store
        from micromimic.workstation.records.folder import DATABASE_NAME, default_data_dir
    folder = default_data_dir() if data is None else data
    if database is None and not (folder / DATABASE_NAME).is_file():
        raise InputError(f"expected records in {folder}, got none; check --data or --database")
    return open_store(folder, database)


def token_of(given: str | None, file: Path | None) -> str | None:
    return _secret("--token", given, file, TOKEN_VARIABLE)


def database_of(given: str | None, file: Path | None) -> str | None:
    return _secret("--database", given, file, DATABASE_VARIABLE)


def _secret(option: str, given: str | None, file: Path | None, variable: str) -> str | None:
    """From the command line, else a file, else the environment; None if from nowhere.

    A command line can be read in the list of processes.
    """
    if given is not None and file is not None:
        raise typer.BadParameter(f"expected {option} or {option}-file, got both")
    if file is not None:
        return _read_secret(option, file)
    return given if given is not None else os.environ.get(variable) or None


def _read_secret(option: str, file: Path) -> str:
    """The one line of a file that nobody else may read."""
    from micromimic.core.errors import InputError

    wanted = f"expected a file of one line for {option}-file"
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(_LONGEST_SECRET + 1).decode("utf-8")
    except OSError as error:
        raise InputError(f"{wanted}, got {file}: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{wanted}, got {file}, which is no text; write it anew") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o007:
        raise InputError(
            f"expected a file that only you can read for {option}-file, got {file}, open to "
            f"everybody on this machine; chmod 600 {file}"
        )
    lines = text.splitlines()
    if len(text) > _LONGEST_SECRET or len(lines) != 1 or not lines[0].strip():
        raise InputError(f"{wanted}, got {file} with {len(lines)} lines; write only the secret")
    return lines[0].strip()
