"""Overwriting what was deleted, so that no byte of it can be read from the database's files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from micromimic.core.errors import UnavailableError
from micromimic.workstation.records.base import Records
from micromimic.workstation.records.removal import remove_paths
from micromimic.workstation.records.tables import metadata

_PAUSE_S: Final = 0.05


class ScrubRecords(Records):
    """Free pages and logs.

    A file without content in the data folder says that overwriting is due, from before the first
    row goes until it is done: where it fails (a backup is reading), the next `forget_subject` or
    `expire` does it.
    """

    @property
    def _due(self) -> Path:
        return self.data / "overwrite.due"

    def _overwrite_if_due(self) -> None:
        if self._due.exists():
            self._overwrite()

    def _overwrite(self) -> None:
        """Rewrite the tables, empty the log.

        Raises:
            UnavailableError: somebody else is reading or writing all the time, or there is no
                room; it stays due.
        """
        try:
            if self.database.kind == "postgresql":
                self._rewrite_tables()
            else:
                self._rewrite_file()
        except UnavailableError as error:
            raise UnavailableError(
                f"expected to overwrite what was deleted, got trouble ({error}); the records are "
                "gone, the rest is tried again within the hour while the server runs"
            ) from error
        remove_paths([self._due])

    def _rewrite_tables(self) -> None:
        # The statistics too: they hold the commonest values.
        with self.database.bare() as connection:
            for table in metadata.sorted_tables:
                connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {table.name}")

    def _rewrite_file(self) -> None:
        with self.database.bare() as connection:
            connection.exec_driver_sql("VACUUM")
        end = time.monotonic() + self.database.busy_s
        while not self._emptied_log():
            if time.monotonic() > end:
                raise UnavailableError(
                    "expected to empty the database's log, got: another program is reading; end it"
                )
            time.sleep(_PAUSE_S)

    def _emptied_log(self) -> bool:
        with self.database.bare() as connection:
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        return bool(busy == 0)
