"""The one door to the records."""

from __future__ import annotations

from micromimic.media.closing import Closing
from micromimic.store.forget import ForgetRecords
from micromimic.store.jobs import JobRecords
from micromimic.store.people import PeopleRecords
from micromimic.store.recordings import RecordingRecords
from micromimic.store.retention import RetentionRecords
from micromimic.store.reviews import ReviewRecords


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
