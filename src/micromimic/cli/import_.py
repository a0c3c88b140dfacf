"""`micromimic import`: what other tools and other machines have."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import count_of, needs_web, note, say
from micromimic.cli.options import unset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from micromimic.workstation.imports.markers_and_codings import Imported

Files = Annotated[
    list[Path], options.argument("ELAN, BORIS (.boris or exported table), or CSV.", "FILE...")
]
RecordingId = Annotated[
    str | None,
    unset("The recording it belongs to; by the name of the video if left out.", metavar="ID"),
]
Tier = Annotated[list[str] | None, unset("A tier of the file; again for more.", metavar="NAME")]
AnyMedia = Annotated[
    bool, typer.Option("--any-media", help="Take a file that names another video.")
]


def import_markers(
    files: Files,
    recording: RecordingId = None,
    tier: Tier = None,
    any_media: AnyMedia = False,
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
) -> None:
    """Stimuli, trials and conditions as rows of the timeline.

    A file that is imported again takes the place of what it brought before.
    """
    with needs_web():
        from micromimic.workstation.imports import markers_and_codings
    with options.open_records(data, database, database_file) as store:
        for path in files:
            done = markers_and_codings.import_markers(
                store, path, recording_id=recording, tiers=tier or (), any_media=any_media
            )
            _say_imported(path, done, "marker")


def import_coding(
    files: Files,
    coder: Annotated[str, typer.Option(metavar="NAME", help="Whose coding it is.")],
    recording: RecordingId = None,
    tier: Tier = None,
    label: Annotated[
        list[str] | None,
        unset("Which class a label of the file is, as smile=happiness.", metavar="LABEL=CLASS"),
    ] = None,
    any_media: AnyMedia = False,
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
) -> None:
    """Somebody's coding made elsewhere, as a coder's, to compare with."""
    with needs_web():
        from micromimic.workstation.imports import markers_and_codings
    classes = _pairs(label, "--label LABEL=CLASS, as smile=happiness")
    with options.open_records(data, database, database_file) as store:
        for path in files:
            done = markers_and_codings.import_coding(
                store,
                path,
                coder=coder,
                recording_id=recording,
                tiers=tier or (),
                classes=classes,
                any_media=any_media,
            )
            _say_imported(path, done, "event")


def import_assignments(
    table: Annotated[Path, options.argument("video,subject,session,condition,date", "TABLE")],
    new_subjects: Annotated[
        bool, typer.Option("--new-subjects", help="Subjects that are not known are added.")
    ] = False,
    consent_by: Annotated[
        str | None,
        unset(
            "Everybody in it has agreed, as this person notes; for new sessions.", metavar="NAME"
        ),
    ] = None,
    consent_note: Annotated[str, typer.Option(metavar="TEXT", help="On what ground.")] = "",
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
) -> None:
    """Whose each recording is, from a table: subject, session, condition and date."""
    with needs_web():
        from micromimic.datasets.assignments import read_assignments
        from micromimic.workstation.imports import assignments
        from micromimic.workstation.records.models import Consent
    noted = datetime.now(UTC)
    consent = (
        None
        if consent_by is None
        else Consent(given=True, noted_by=consent_by, note=consent_note, noted_at=noted)
    )
    with options.open_records(data, database, database_file) as store:
        rows = read_assignments(table)
        done = assignments.assign(store, rows, consent=consent, new_subjects=new_subjects)
    sessions = count_of(len({item.session_id for item in done}), "session")
    say(f"{count_of(len(done), 'recording')} in {sessions}")


def import_project(
    file: Annotated[Path, options.argument("A project file.", "FILE")],
    look: Annotated[
        bool, typer.Option("--look", help="Only say what it would bring, and what differs.")
    ] = False,
    resolve: Annotated[
        list[str] | None, unset("The answer to a conflict.", metavar="KEY=CHOICE")
    ] = None,
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
) -> None:
    """A study's portable file from another machine, joined with what is here: all or nothing.

    Where no records are yet, they are made.
    """
    with needs_web():
        from micromimic.workstation.project.merge import look_into, merge_project
        from micromimic.workstation.records.database import open_store
        from micromimic.workstation.records.folder import DATABASE_NAME, default_data_dir
    answers = _pairs(resolve, "--resolve KEY=CHOICE, as `--look` names them")
    if not file.is_file():
        raise typer.BadParameter(f"expected a project file at {file}, got none")
    url = options.database_of(database, database_file)
    folder = default_data_dir() if data is None else data
    with ExitStack() as stack:
        if look and not (folder / DATABASE_NAME).is_file():
            folder = Path(stack.enter_context(TemporaryDirectory()))  # looking makes no records
        store = stack.enter_context(open_store(folder, url))
        done = look_into(store, file) if look else merge_project(store, file, answers)
    added = ", ".join(count_of(n, kind.removesuffix("s")) for kind, n in done.added.items() if n)
    say(f"{file}: {'would bring' if look else 'brought'} {added or 'nothing new'}")
    for text in done.notes:
        note(f"note: {text}")
    if look:
        for conflict in done.conflicts:
            say(f"differs: {conflict.text}")
            for choice, words in conflict.choices.items():
                say(f'  --resolve "{conflict.key}={choice}"  {words}')


def _pairs(texts: Sequence[str] | None, wanted: str) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in texts or ()]
    if not all(name and value for name, _, value in pairs):
        raise typer.BadParameter(f"expected {wanted}")
    return {name: value for name, _, value in pairs}


def _say_imported(path: Path, done: Sequence[Imported], what: str) -> None:
    for item in done:
        tiers = f" ({', '.join(item.tiers)})" if item.tiers else ""
        say(f"{path}: {count_of(item.count, what)} in {item.recording}{tiers}")
        if item.note:
            note(f"note: {item.note}")
