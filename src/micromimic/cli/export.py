"""`micromimic export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import count_of, needs_web, note, say
from micromimic.cli.options import unset
from micromimic.cli.outputs import check_writable


def export(
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder.")],
    coder: Annotated[
        str, typer.Option(metavar="NAME", help="Whose accepted and added events are exported.")
    ],
    subject: Annotated[str | None, unset("Only this person's.", metavar="CODE")] = None,
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
) -> None:
    """Write what a coder decided as training data.

    Writes a manifest, which `micromimic train` and `micromimic evaluate` read, and copies of its
    videos.
    """
    with needs_web():
        from micromimic.workstation.export_manifest import (
            LEFT_OUT,
            MANIFEST,
            gather,
            write_gathered,
        )
        from micromimic.workstation.records.people import find_subject

    check_writable(out)
    with options.open_records(data, database, database_file) as store:
        subject_id = None if subject is None else find_subject(store, subject).id
        found = gather(store, coder=coder, subject_id=subject_id)
    write_gathered(found, out)
    people = count_of(found.subjects, "subject")
    say(f"{count_of(len(found.clips), 'event')} of {people} in {out / MANIFEST}")
    if found.left_out:
        say(f"{len(found.left_out)} left out, with reasons in {out / LEFT_OUT}")
    say(f"next: micromimic train {out / MANIFEST} --model flow-svm --out model.onnx")
    note("these copies of videos are yours to look after: `forget` and retention do not reach them")
