"""Retention: videos and pictures go when their time is over, numbers and decisions stay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select, update

from micromimic.errors import UnavailableError
from micromimic.store import values
from micromimic.store.base import RECORDINGS
from micromimic.store.jobs import cancel_active
from micromimic.store.removal import remove_paths
from micromimic.store.scrub import ScrubRecords
from micromimic.store.tables import recordings

NUMBERS: Final = frozenset(
    {"events.json", "events.csv", "events.eaf", "curve.csv", "review.json", "frames.bin"}
)
"""Files that outlive the video; everything else in a recording's folder may show the face."""


class RetentionRecords(ScrubRecords):
    """What is kept no longer than it may be."""

    def expire(self, now: datetime | None = None) -> list[str]:
        """Remove video and pictures of recordings whose time is over; what runs is cancelled.

        Args:
            now: with its zone; None for the clock's.

        Returns:
            Ids of recordings whose media are now gone.

        Raises:
            UnavailableError: some files could not be removed, or what was forgotten not yet
                overwritten; this is tried again next time.
        """
        at = now or self.clock()
        over = select(recordings.c.id).where(
            recordings.c.media == "kept", recordings.c.expires_at <= at
        )
        with self.database.write() as connection:
            ids = list(connection.execute(over).scalars())
            cancel_active(connection, over, "the video's retention is over", at)
        expired: list[str] = []
        failure: UnavailableError | None = None
        for recording_id in ids:
            try:
                remove_paths(_media(self.folder(recording_id)))
            except UnavailableError as error:
                failure = failure or error
                continue
            with self.database.write() as connection:
                connection.execute(
                    update(recordings)
                    .where(recordings.c.id == recording_id)
                    .values(media="expired")
                )
            expired.append(recording_id)
        self._overwrite_if_due()
        if failure:
            raise failure
        return expired

    def sweep(self, *, older_than_s: float = 3600.0) -> int:
        """Remove what no record knows: parts of broken uploads, folders left by a crash.

        Only what is named by an id, or begins with one: who points at a folder that has an
        ``incoming`` or ``recordings`` of its own loses nothing.

        Args:
            older_than_s: younger ones may belong to an upload in progress. A server that has just
                started, and is the only one, may say 0.

        Returns:
            Files removed.

        Raises:
            UnavailableError: some could not be removed.
        """
        with self.database.read() as connection:
            rows = connection.execute(select(recordings.c.id, recordings.c.media)).all()
        # Age is of the files, so it is the system's clock that counts.
        before = values.now_utc().timestamp() - older_than_s
        kept = {row.id for row in rows}
        stray = [
            path
            for folder, known in ((self.incoming, set()), (self.data / RECORDINGS, kept))
            for path in _inside(folder)
            if values.is_id(path.name[:32])
            and path.name[:32] not in known
            and _changed(path) <= before
        ]
        late = [path for row in rows if row.media != "kept" for path in _media(self.folder(row.id))]
        return remove_paths([*stray, *late])


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _media(folder: Path) -> Iterator[Path]:
    return (path for path in _inside(folder) if path.name not in NUMBERS)


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # moved into its place meanwhile: no longer a stray
        return float("inf")
