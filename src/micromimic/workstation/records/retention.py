"""Retention: videos and pictures go when their time is over, numbers and decisions stay.

Files go first, since a full disk refuses every change of the records until there is room.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Final

from sqlalchemy import select, update

from micromimic.core.errors import UnavailableError
from micromimic.workstation.records.jobs import cancel_active
from micromimic.workstation.records.removal import remove_paths
from micromimic.workstation.records.sweep import SweepRecords, media_of
from micromimic.workstation.records.tables import recordings

_OVER: Final = "the video's retention is over"


class RetentionRecords(SweepRecords):
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
        with self.database.read() as connection:
            ids = list(connection.execute(over).scalars())
        if ids:
            # What runs writes into these folders; where the disk is full that waits until the
            # files are gone.
            with contextlib.suppress(UnavailableError), self.database.write() as connection:
                cancel_active(connection, over, _OVER, at)
        expired: list[str] = []
        failure: UnavailableError | None = None
        for recording_id in ids:
            try:
                remove_paths(media_of(self.folder(recording_id)))
                with self.database.write() as connection:
                    one = recordings.c.id == recording_id
                    cancel_active(connection, select(recordings.c.id).where(one), _OVER, at)
                    connection.execute(update(recordings).where(one).values(media="expired"))
            except UnavailableError as error:
                failure = failure or error
                continue
            expired.append(recording_id)
        self._overwrite_if_due()
        if failure:
            raise failure
        return expired
