"""Another person of a video that is here: a recording of its own, with the same file.

Decisions, answer and retention of the first stay what they are. Whose the new one is, only whoever
asks for it can say: it is in no session unless one is named, and has the first one's consent then.
"""

from __future__ import annotations

import os
import shutil

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.workstation.records import recordings
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.models import Recording
from micromimic.workstation.settings import Settings
from micromimic.workstation.uploads import Incoming, Upload, keep


def analyse_person(
    store: Store, settings: Settings, recording_id: str, person: int, session_id: str | None
) -> Recording:
    """A new recording of the same video, with its job; RefusedError without consent or video."""
    first = recordings.get_recording(store, recording_id)
    if first.media != "kept":
        raise RefusedError(
            "expected a recording whose video is kept, got one whose video was removed; upload it "
            "again"
        )
    for other in recordings.same_file(store, first.sha256):
        if other.person == person:
            raise ConflictError(
                f"expected a person who is not analysed yet, got person {person}, who is, as "
                f"{other.name}; open that one"
            )
    noted = first.consent
    stem = first.name.removesuffix(first.extension)[:100]  # who it is must stay readable
    about = Upload(
        name=f"{stem} person {person}{first.extension}",
        session_id=session_id,
        consent=session_id is None and noted.given,
        noted_by=noted.noted_by,
        note=noted.note,
        fps=first.fps,
        person=person,
        retention_days=0,
    )
    video = store.folder(first.id) / f"video{first.extension}"
    incoming = Incoming(settings.data, first.extension)
    try:
        try:
            os.link(video, incoming.path)  # the same bytes, until the last of both goes
        except OSError:
            shutil.copyfile(video, incoming.path)
        incoming.adopt()
        made = keep(incoming, about, store, settings, origin=first.origin)
    finally:
        incoming.discard()
    return recordings.change_recording(store, made.id, expires_at=first.expires_at)
