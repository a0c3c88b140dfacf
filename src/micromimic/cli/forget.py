"""`micromimic forget`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import Interrupted, count_of, needs_web, note, say


def forget(
    subject: Annotated[str, options.argument("The person's code.", "SUBJECT")],
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a person's every trace.

    Sessions, videos, results and decisions go, and it cannot be undone. Exports and backups that
    lie elsewhere are not touched.
    """
    with needs_web():
        from micromimic.workstation.records import people, privacy
    with options.open_records(data, database, database_file) as store:
        known = people.find_subject(store, subject)
        owned = (
            f"{count_of(known.sessions, 'session')} and {count_of(known.recordings, 'recording')}"
        )
        if not yes and not _confirmed(f"Remove {known.code}, {owned}? It cannot be undone."):
            say("nothing was removed")
            raise typer.Exit(1)
        counts = privacy.forget_subject(store, known.code)
        foreign = privacy.foreign_files(store)
    removed = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
    say(f"removed every trace of {known.code} here ({removed})")
    for path in foreign:
        note(f"{path} is not micromimic's and stays; look whether it shows the person")
    note("exports and backups made earlier are not touched; remove them yourself")


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise typer.BadParameter("expected --yes, as there is no terminal to ask on")
    try:
        return typer.confirm(question, default=False)
    except typer.Abort:
        raise Interrupted("interrupted; nothing was removed") from None
