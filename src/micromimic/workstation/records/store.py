"""The one door to the records."""

from __future__ import annotations

from micromimic.core.closing import Closing
from micromimic.workstation.records.forget import ForgetRecords
from micromimic.workstation.records.jobs import JobRecords
from micromimic.workstation.records.people import PeopleRecords
from micromimic.workstation.records.recordings import RecordingRecords
from micromimic.workstation.records.retention import RetentionRecords
from micromimic.workstation.records.reviews import ReviewRecords


class Store(
    PeopleRecords,
    RecordingRecords,
    JobRecords,
    ReviewRecords,
    RetentionRecords,
    ForgetRecords,
    Closing,
):
    """Everything that is kept, by theme in its bases; made by `database.open_store`.

    Safe to use from many threads: each call is one short transaction. Every call may raise
    `UnavailableError` where the database is locked, gone, damaged or its disk full.
    """

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()
