"""The commands for kept records: forget a person, take a coder's events away as training data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli.app import app, interruptible
from micromimic.cli.console import Interrupted, note, say
from micromimic.cli.secrets import DatabaseFile, DatabaseUrl, database_of

if TYPE_CHECKING:
    from micromimic.workstation.records.store import Store

Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where `micromimic serve` keeps its records; MICROMIMIC_DATA or the user's data "
        "folder if left out.",
        show_default=False,
    ),
]


@app.command()
@interruptible
def forget(
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="The person's code.", show_default=False)
    ],
    data: Data = None,
    database: DatabaseUrl = None,
    database_file: DatabaseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a person's every trace.

    Sessions, videos, results and decisions go, and it cannot be undone. Exports and backups that
    lie elsewhere are not touched.
    """
    with _open_records(data, database_of(database, database_file)) as store:
        known = store.subject_by_code(subject)
        held = f"{_many(known.sessions, 'session')} and {_many(known.recordings, 'recording')}"
        if not yes and not _confirmed(f"Remove {known.code}, {held}? It cannot be undone."):
            say("nothing was removed")
            raise typer.Exit(1)
        counts = store.forget_subject(known.code)
        foreign = store.foreign()
    removed = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
    say(f"removed every trace of {known.code} here ({removed})")
    for path in foreign:
        note(f"{path} is not micromimic's and stays; look whether it shows the person")
    note("exports and backups made earlier are not touched; remove them yourself")


@app.command()
@interruptible
def export(
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder.")],
    coder: Annotated[
        str, typer.Option(metavar="NAME", help="Whose accepted and added events are exported.")
    ],
    subject: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Only this person's.", show_default=False),
    ] = None,
    data: Data = None,
    database: DatabaseUrl = None,
    database_file: DatabaseFile = None,
) -> None:
    """Write what a coder decided as training data.

    Writes a manifest, which `micromimic train` and `micromimic evaluate` read, and copies of its
    videos.
    """
    from micromimic.cli.analyze import check_writable
    from micromimic.workstation.records.manifest_export import (
        LEFT_OUT,
        MANIFEST,
        gather,
        write_gathered,
    )

    check_writable(out)
    with _open_records(data, database_of(database, database_file)) as store:
        subject_id = None if subject is None else store.subject_by_code(subject).id
        found = gather(store, coder=coder, subject_id=subject_id)
    write_gathered(found, out)
    people = _many(found.subjects, "subject")
    say(f"{_many(len(found.clips), 'event')} of {people} in {out / MANIFEST}")
    if found.left_out:
        say(f"{len(found.left_out)} left out, with reasons in {out / LEFT_OUT}")
    say(f"next: micromimic train {out / MANIFEST} --model flow-svm --out model.onnx")
    note("these copies of videos are yours to look after: `forget` and retention do not reach them")


def _open_records(data: Path | None, database: str | None) -> Store:
    """The records, if there are any: a mistyped folder is no new, empty one.

    Raises:
        InputError: there are none.
    """
    from micromimic.core.errors import InputError
    from micromimic.workstation.records.database import DATABASE_NAME, default_data_dir, open_store

    folder = default_data_dir() if data is None else data
    if database is None and not (folder / DATABASE_NAME).is_file():
        raise InputError(f"expected records in {folder}, got none; check --data or --database")
    return open_store(folder, database)


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise typer.BadParameter("expected --yes, as there is no terminal to ask on")
    try:
        return typer.confirm(question, default=False)
    except typer.Abort:
        raise Interrupted("interrupted; nothing was removed") from None


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
