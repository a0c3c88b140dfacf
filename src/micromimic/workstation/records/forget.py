"""Removing for good: a recording, a session, a person's every trace.

Files go first, rows last: a full disk refuses every change of the rows until there is room, and
what ends in between leaves rows, so the same call can be made again and finishes. A file without
content says what was begun, so that the next start finishes it too. Then free pages are overwritten
and the write-ahead log is emptied.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, delete, func, select

from micromimic.core.errors import NotFoundError, UnavailableError
from micromimic.workstation.records import rows, values
from micromimic.workstation.records.jobs import cancel_active
from micromimic.workstation.records.people import find_subject
from micromimic.workstation.records.removal import remove_paths
from micromimic.workstation.records.sweep import SweepRecords
from micromimic.workstation.records.tables import (
    analyses,
    decisions,
    jobs,
    recordings,
    sessions,
    subjects,
)

_REMOVABLE: Final = {table.name: table for table in (recordings, sessions, subjects)}
_BEGUN: Final = re.compile(rf"remove-({'|'.join(_REMOVABLE)})-([0-9a-f]{{32}})\.due")


class ForgetRecords(SweepRecords):
    """What is to be gone."""

    def remove_recording(self, recording_id: str) -> dict[str, int]:
        """A recording with its files, jobs, answer and decisions.

        Returns:
            How many rows of each kind, and files, were removed.

        Raises:
            NotFoundError: no such recording.
            UnavailableError: files or rows could not be removed; call it again.
        """
        with self.database.read() as connection:
            rows.read_recording(connection, recording_id)
        return self._remove(recordings, recording_id)

    def remove_session(self, session_id: str) -> dict[str, int]:
        """A session with its recordings.

        Returns:
            How many rows of each kind, and files, were removed.

        Raises:
            NotFoundError: no such session.
            UnavailableError: files or rows could not be removed; call it again.
        """
        with self.database.read() as connection:
            rows.read_session(connection, session_id)
        return self._remove(sessions, session_id)

    def forget_subject(self, code: str) -> dict[str, int]:
        """A person's every trace: sessions, recordings, files, decisions, and their free pages.

        Whatever no record owns goes too, for it may show this person (see ``sweep``). On PostgreSQL
        its write-ahead log and backups are left to who runs it.

        Args:
            code: the pseudonym.

        Returns:
            How many rows of each kind, and files, were removed.

        Raises:
            NotFoundError: nobody has this code.
            UnavailableError: something could not be removed: call it again; or not yet
                overwritten: see `scrub`.
        """
        try:
            with self.database.read() as connection:
                subject = find_subject(connection, code)
        except NotFoundError:
            self._overwrite_if_due()
            raise
        counts = self._remove(subjects, subject.id)
        self.sweep()
        self._overwrite()
        return counts

    def finish_removals(self) -> int:
        """Finish what was to be removed when a process ended or a disk was full.

        Returns:
            How many there were.

        Raises:
            UnavailableError: files or rows could not be removed.
        """
        found = self.data.iterdir() if self.data.is_dir() else ()
        begun = [match for path in found if (match := _BEGUN.fullmatch(path.name))]
        for match in begun:
            # Rows that are gone already leave nothing but the mark.
            with contextlib.suppress(NotFoundError):
                self._remove(_REMOVABLE[match[1]], match[2])
        self._overwrite_if_due()
        return len(begun)

    def _remove(self, table: Table, key: str) -> dict[str, int]:
        held = _recordings_of(table, key)
        with self.database.read() as connection:
            ids = _ids(connection, held)
        with self._begun(table, key) as mark:
            # Who runs writes into these folders; where the disk is full it hears later.
            with contextlib.suppress(UnavailableError), self.database.write() as connection:
                cancel_active(connection, held, "its recording is being removed", self.clock())
            files = self._remove_files(ids)
            mark()
            with self.database.write() as connection:
                counts = _counts(connection, held)
                late = _ids(connection, held)
                counts |= _delete(connection, table, key)
            # A worker that was still writing, or an upload that came in between.
            files += self._remove_files(ids | late)
        return {**counts, "files": files}

    @contextmanager
    def _begun(self, table: Table, key: str) -> Iterator[Callable[[], None]]:
        """Note on the disk that a removal has begun, and that it is done.

        Yields:
            Makes the note once more, for where the disk had no room for its name before.
        """
        due = self.data / f"remove-{table.name}-{key}.due"

        def mark() -> None:
            with contextlib.suppress(OSError):  # the rows are a note of their own
                due.touch()
                if table is subjects:
                    self._due.touch()

        mark()
        try:
            yield mark
        except NotFoundError:
            remove_paths([due])
            raise
        remove_paths([due])

    def _remove_files(self, ids: Iterable[str]) -> int:
        return remove_paths(self.folder(recording_id) for recording_id in sorted(ids))


def _ids(connection: Connection, held: Select[Any]) -> set[str]:
    return set(connection.execute(held).scalars())


def _recordings_of(table: Table, key: str) -> Select[Any]:
    query = select(recordings.c.id)
    if table is recordings:
        return query.where(recordings.c.id == key)
    if table is sessions:
        return query.where(recordings.c.session_id == key)
    inside = select(sessions.c.id).where(sessions.c.subject_id == key)
    return query.where(recordings.c.session_id.in_(inside))


def _counts(connection: Connection, held: Select[Any]) -> dict[str, int]:
    """Rows that will go with these recordings."""

    def count(table: Table, column: Any) -> int:
        query = select(func.count()).select_from(table).where(column.in_(held))
        return int(connection.execute(query).scalar_one())

    return {
        "recordings": count(recordings, recordings.c.id),
        "jobs": count(jobs, jobs.c.recording_id),
        "analyses": count(analyses, analyses.c.recording_id),
        "decisions": count(decisions, decisions.c.recording_id),
    }


def _delete(connection: Connection, table: Table, key: str) -> dict[str, int]:
    """Delete a row and, by cascade, all that hangs on it."""
    counts: dict[str, int] = {}
    if table is subjects:
        inside = select(func.count()).select_from(sessions).where(sessions.c.subject_id == key)
        counts["sessions"] = int(connection.execute(inside).scalar_one())
    done = connection.execute(delete(table).where(table.c.id == key))
    if done.rowcount == 0:  # somebody else removed it meanwhile
        raise values.not_found(table.name[:-1], key)
    if table is not recordings:
        counts[table.name] = done.rowcount
    return counts
