"""`micromimic export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import count_of, note, say
from micromimic.cli.options import unset
from micromimic.cli.outputs import check_writable
from micromimic.core.files import new_folder, write_whole

if TYPE_CHECKING:
    from micromimic.workstation.records.database import Store


What = Annotated[
    str | None,
    typer.Argument(
        metavar="[study|project]",
        help="A whole study's tables, or its portable file; training data if left out.",
    ),
]


def export(
    out: Annotated[
        Path, typer.Option(metavar="DIR|FILE", help="A new or empty folder; of a project a file.")
    ],
    what: What = None,
    coder: Annotated[
        str | None,
        unset("Training data: whose accepted and added events are exported.", metavar="NAME"),
    ] = None,
    subject: Annotated[
        str | None, unset("Training data: only this person's.", metavar="CODE")
    ] = None,
    frames: Annotated[
        str | None, unset("A study: every frame as well, a file each.", metavar="csv|parquet")
    ] = None,
    videos: Annotated[
        bool, typer.Option("--videos", help="A project: with videos and pictures.")
    ] = False,
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
) -> None:
    """Write a study as tables for statistics, or what a coder decided as training data.

    `export study` writes events.csv, recordings.csv, markers.csv, decisions.csv, agreement.csv,
    conditions.csv and a codebook of their columns, without videos: pandas, R and SPSS read each in
    one line. It is for who leads the study: every coder's decisions are in it.

    `export project` writes one file to go on with on another machine, or to be joined there:
    `micromimic import project`.

    Without either: a manifest, which `micromimic train` and `micromimic evaluate` read, and copies
    of its videos.
    """
    if what not in (None, "study", "project"):
        raise typer.BadParameter(f"expected study, project or nothing, got {what}")
    given = {"--coder": coder, "--subject": subject, "--frames": frames, "--videos": videos or None}
    fitting = {"study": ("--frames",), "project": ("--videos",)}.get(
        what or "", ("--coder", "--subject")
    )
    if wrong := [
        name for name, value in given.items() if value is not None and name not in fitting
    ]:
        raise typer.BadParameter(f"expected no {wrong[0]} for {what or 'training data'}, got one")
    if what is None and coder is None:
        raise typer.BadParameter("expected study, project or --coder NAME, got neither")
    check_writable(out.parent if what == "project" else out)
    with options.open_records(data, database, database_file) as store:
        if what is None:
            _training_data(store, out, str(coder), subject)
        elif what == "project":
            _project(store, out, videos=videos)
        else:
            _study(store, out, frames)


def _study(store: Store, out: Path, frames: str | None) -> None:
    from micromimic.workstation.export.frames import check_format
    from micromimic.workstation.export.readers import LEAD
    from micromimic.workstation.export.study import README, study_entries

    wanted = None if frames is None else check_format(frames)
    with new_folder(out, last=README) as staging:
        names = []
        for name, content in study_entries(store, LEAD, frames=wanted):
            write_whole(staging / name, content)
            names.append(name)
    say(f"{count_of(len(names), 'file')} in {out}; what each column is: {out / 'codebook.csv'}")
    say(f'next: pandas.read_csv("{out / "events.csv"}", dtype={{"subject": str}})')


def _project(store: Store, out: Path, *, videos: bool) -> None:
    from micromimic.workstation.project.file import gather_project, write_project

    packed = gather_project(store, videos=videos)
    write_project(packed, out)
    say(f"{packed.title or 'the study'} in {out}")
    say(f"next, on the other machine: micromimic import project {out.name} --look")
    note("this copy is yours to look after: `forget` and retention do not reach it")


def _training_data(store: Store, out: Path, coder: str, subject: str | None) -> None:
    from micromimic.workstation.export.manifest import LEFT_OUT, MANIFEST, gather, write_gathered
    from micromimic.workstation.records.people import find_subject

    subject_id = None if subject is None else find_subject(store, subject).id
    found = gather(store, coder=coder, subject_id=subject_id)
    write_gathered(found, out)
    people = count_of(found.subjects, "subject")
    say(f"{count_of(len(found.clips), 'event')} of {people} in {out / MANIFEST}")
    if found.left_out:
        say(f"{len(found.left_out)} left out, with reasons in {out / LEFT_OUT}")
    say(f"next: micromimic train {out / MANIFEST} --model flow-svm --out model.onnx")
    note("these copies of videos are yours to look after: `forget` and retention do not reach them")
