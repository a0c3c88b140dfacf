"""What every part of the store has: the database, the data folder, a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from micromimic.workstation.records.engine import Database
from micromimic.workstation.records.values import known_id, now_utc

RECORDINGS: Final = "recordings"
INCOMING: Final = "incoming"


class Records:
    """Base of the store's parts.

    Args:
        data: the data folder.
        database: an open one, of the newest version.
        clock: what time it is; tests give their own.
    """

    def __init__(
        self, data: Path, database: Database, clock: Callable[[], datetime] = now_utc
    ) -> None:
        self.data = data
        self.database = database
        self.clock = clock

    @property
    def incoming(self) -> Path:
        """Where uploads in progress are."""
        return self.data / INCOMING

    def folder(self, recording_id: str) -> Path:
        """Where a recording's files are; it need not exist.

        Raises:
            NotFoundError: this is no id, so no path is made of it.
        """
        return self.data / RECORDINGS / known_id(recording_id, "recording")
