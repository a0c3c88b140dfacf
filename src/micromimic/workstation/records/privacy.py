"""What goes: by retention, on demand, a person's every trace, and what no record owns.

Files go first, rows last: a full disk refuses every change of the rows until there is room, and
what ends in between leaves rows, so the same call can be made again and finishes. A file without
content says what was begun, so that the next start finishes it too; another, from before a person's
first row goes, that overwriting free pages and emptying the write-ahead log is due.

In ``incoming/`` and ``recordings/`` everything that carries an id was made here. It stays where a
record owns it or this process is writing it, and goes otherwise, whatever its name. What carries no
id, or lies elsewhere in the data folder, is somebody else's: it is left, and named.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, select, update

from micromimic.core.errors import NotFoundError, UnavailableError
from micromimic.workstation.records import values
from micromimic.workstation.records.database import Store, Transaction
from micromimic.workstation.records.folder import (
    DATABASE_NAME,
    INCOMING,
    LOCK_NAME,
    RECORDINGS,
    content,
    ids_in,
    is_folder,
    media_of,
    owned_names,
    remove_paths,
)
from micromimic.workstation.records.folder_lock import folder_lock, ids_being_written
from micromimic.workstation.records.jobs import cancel_active
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Base,
    Decision,
    Job,
    Marker,
    Owner,
    Recording,
    Session,
    Subject,
)
from micromimic.workstation.records.people import find_subject, get_session
from micromimic.workstation.records.recordings import get_recording, recordings_of

_OWNERS: Final[dict[str, Owner]] = {
    kind.__tablename__: kind for kind in (Recording, Session, Subject)
}
_BEGUN: Final = re.compile(rf"remove-({'|'.join(_OWNERS)})-([0-9a-f]{{32}})\.due")
_TOP: Final = re.compile(
    rf"{re.escape(DATABASE_NAME)}(-wal|-shm|-journal)?|{re.escape(LOCK_NAME)}|.*\.due"
    rf"|{INCOMING}|{RECORDINGS}"
)
_OVERWRITE: Final = "overwrite.due"
_OVER: Final = "the video's retention is over"


def remove_recording(store: Store, recording_id: str) -> dict[str, int]:
    """A recording with its files, jobs, answer and decisions; how many of each kind went."""
    return _remove(store, Recording, get_recording(store, recording_id).id)


def remove_session(store: Store, session_id: str) -> dict[str, int]:
    """A session with its recordings; how many rows of each kind, and files, went."""
    return _remove(store, Session, get_session(store, session_id).id)


def forget_subject(store: Store, code: str) -> dict[str, int]:
    """A person's every trace: sessions, recordings, files, decisions, and their free pages.

    Whatever no record owns goes too, for it may show this person. So does the video of another
    recording of the same file, if several people are seen in it. On PostgreSQL its write-ahead log
    and backups are left to who runs it. How many rows of each kind, and files, went;
    `UnavailableError` where something could not be removed: call it again; or not yet overwritten:
    the next call or `expire` does it.
    """
    try:
        subject = find_subject(store, code)
    except NotFoundError:
        _overwrite_if_due(store)
        raise
    inside = recordings_of(Subject, subject.id)
    with store.read() as transaction:
        files = set(transaction.scalars(select(Recording.sha256).where(Recording.id.in_(inside))))
    with contextlib.suppress(UnavailableError):  # first and last: what ends in between is finished
        _end_retention(store, files, inside)
    counts = _remove(store, Subject, subject.id)
    _end_retention(store, files, inside)
    sweep(store)
    expire(store)
    _overwrite(store)
    return counts


def _end_retention(store: Store, files: set[str], forgotten: Select[Any]) -> None:
    """Let the media of other recordings of these files go in which several people are seen."""
    several = (Recording.person.is_not(None)) | (Recording.others > 0)
    shown = Recording.sha256.in_(files) & Recording.id.not_in(forgotten) & several
    with store.write() as transaction:
        transaction.execute(
            update(Recording)
            .where(shown, Recording.media == "kept")
            .values(expires_at=transaction.now)
        )


def finish_removals(store: Store) -> int:
    """Finish what was to be removed when a process ended or a disk was full; how many that was."""
    begun = [match for path in content(store.data) if (match := _BEGUN.fullmatch(path.name))]
    for match in begun:
        # Rows that are gone already leave nothing but the mark.
        with contextlib.suppress(NotFoundError):
            _remove(store, _OWNERS[match[1]], match[2])
    _overwrite_if_due(store)
    return len(begun)


def expire(store: Store, now: datetime | None = None) -> list[str]:
    """Remove video and pictures of recordings whose time is over; what runs is cancelled.

    Numbers and decisions stay. The ids of recordings whose media are now gone; `UnavailableError`
    where some files could not be removed, or what was forgotten not yet overwritten: this is tried
    again next time.
    """
    at = now or store.clock()
    over = select(Recording.id).where(Recording.media == "kept", Recording.expires_at <= at)
    with store.read() as transaction:
        ids = transaction.scalars(over).all()
    if ids:
        _cancel_if_possible(store, over, _OVER)
    expired: list[str] = []
    failure: UnavailableError | None = None
    for recording_id in ids:
        try:
            remove_paths(media_of(store.folder(recording_id)))
            with store.write() as transaction:
                this = Recording.id == recording_id
                cancel_active(transaction, select(Recording.id).where(this), _OVER)
                transaction.execute(update(Recording).where(this).values(media="expired"))
        except UnavailableError as error:
            failure = failure or error
            continue
        expired.append(recording_id)
    _overwrite_if_due(store)
    if failure:
        raise failure
    return expired


def sweep(store: Store) -> int:
    """Remove what no record owns and this process is not writing; how many files went.

    Where another process, a server, has the data folder nothing is done: it knows best.
    """
    try:
        with folder_lock(store.data) as locked:
            return remove_paths(_unowned(store)) if locked else 0
    except OSError as error:
        raise UnavailableError(
            f"expected a data folder that can be written, got {store.data}: {error.strerror}; "
            "check its permissions"
        ) from error


def foreign_files(store: Store) -> list[Path]:
    """What lies in the data folder and was not made here: nothing of it is ever removed."""
    inside = [*content(store.incoming), *content(store.data / RECORDINGS)]
    return [
        *(path for path in content(store.data) if not _TOP.fullmatch(path.name)),
        *(path for path in inside if not ids_in(path)),
    ]


def restrict_access(store: Store) -> list[Path]:
    """Take the data folder, and all that was made here, from everybody but its owner.

    What could not be changed, since it belongs to somebody else, is returned.
    """
    if os.name != "posix":  # elsewhere the user's own folders are private by themselves
        return []
    foreign = set(foreign_files(store))
    failed = []
    places = [store.data, *(path for path in content(store.data) if path not in foreign)]
    for folder in (store.incoming, store.data / RECORDINGS):
        for top in content(folder):
            if top not in foreign:
                places += [top, *(top.rglob("*") if is_folder(top) else ())]
    for path in places:
        try:
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & 0o077:
                path.chmod(0o700 if stat.S_ISDIR(mode) else 0o600)
        except FileNotFoundError:  # moved or removed meanwhile
            continue
        except OSError:
            failed.append(path)
    return failed


def _remove(store: Store, kind: Owner, key: str) -> dict[str, int]:
    inside = recordings_of(kind, key)
    with store.read() as transaction:
        ids = set(transaction.scalars(inside))
    due = store.data / f"remove-{kind.__tablename__}-{key}.due"
    notes = (due, store.data / _OVERWRITE) if kind is Subject else (due,)
    _make(notes)
    _cancel_if_possible(store, inside, "its recording is being removed")
    files = remove_paths(map(store.folder, sorted(ids)))
    _make(notes)  # the disk may have had no room for their names before
    try:
        with store.write() as transaction:
            late = set(transaction.scalars(inside))
            counts = _delete(transaction, kind, key, inside)
    except NotFoundError:
        remove_paths([due])
        raise
    # A worker that was still writing, or an upload that came in between.
    files += remove_paths(map(store.folder, sorted(ids | late)))
    remove_paths([due])
    return {**counts, "files": files}


def _make(notes: Iterable[Path]) -> None:
    with contextlib.suppress(OSError):  # the rows are a note of their own
        for note in notes:
            note.touch()


def _cancel_if_possible(store: Store, recording_ids: Select[Any], why: str) -> None:
    """Cancel what writes into the folders that go; where the disk is full it hears later."""
    with contextlib.suppress(UnavailableError), store.write() as transaction:
        cancel_active(transaction, recording_ids, why)


def _delete(transaction: Transaction, kind: Owner, key: str, inside: Select[Any]) -> dict[str, int]:
    """Delete a row and, by cascade, all that hangs on it; how many rows of each table that is."""
    hanging: dict[type[Base], ColumnElement[bool]] = {Recording: Recording.id.in_(inside)}
    for of_one in (Job, AnalysisRecord, Decision, Marker):
        hanging[of_one] = of_one.recording_id.in_(inside)
    if kind is Subject:
        hanging[Session] = Session.subject_id == key
    counts = {
        table.__tablename__: transaction.scalars(select(func.count()).where(of_it)).one()
        for table, of_it in hanging.items()
    }
    done = transaction.connection().execute(delete(kind).where(kind.id == key)).rowcount
    if done == 0:  # somebody else removed it meanwhile
        raise values.not_found(kind.__name__.lower(), key)
    return {**counts, kind.__tablename__: done}


def _unowned(store: Store) -> list[Path]:
    # In this order: what is seen in a folder was being written then, or is in the records by the
    # time that nobody writes it any more.
    incoming = content(store.incoming)
    folders = [(path, content(path)) for path in content(store.data / RECORDINGS)]
    in_use = ids_being_written()
    query = select(Recording.id, Recording.extension, Recording.media, Recording.events)
    with store.read() as transaction:
        owned = {
            row.id: owned_names(row.extension, row.media, answered=row.events is not None)
            for row in transaction.execute(query)
        }
    left = [path for path in incoming if not in_use.intersection(ids_in(path))]
    for path, inside in folders:
        if in_use.intersection(ids_in(path)):
            continue
        if path.name not in owned or not is_folder(path):
            left.append(path)
        else:
            left += [item for item in inside if item.name not in owned[path.name]]
    return [path for path in left if ids_in(path) or path.parent.parent != store.data]


def _overwrite_if_due(store: Store) -> None:
    if (store.data / _OVERWRITE).exists():
        _overwrite(store)


def _overwrite(store: Store) -> None:
    """Rewrite the tables and empty the log, so that no byte can be read from the database's files.

    Where somebody reads or writes all the time, or there is no room, it stays due.
    """
    try:
        with store.bare() as connection:
            if store.kind == "postgresql":
                # The statistics too: they hold the commonest values.
                for table in Base.metadata.sorted_tables:
                    connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table.name}")
            else:
                connection.exec_driver_sql("VACUUM")
                # Waits for readers as long as for a lock.
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
                if busy:
                    raise UnavailableError(
                        "expected to empty the database's log, got: another program is reading; "
                        "end it"
                    )
    except UnavailableError as error:
        raise UnavailableError(
            f"expected to overwrite what was deleted, got trouble ({error}); the records are "
            "gone, the rest is tried again within the hour while the server runs"
        ) from error
    remove_paths([store.data / _OVERWRITE])
