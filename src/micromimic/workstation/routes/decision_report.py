"""A coder's decisions on one recording as a page to read, print and put in a file."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from jinja2 import Template
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

import micromimic
from micromimic.core.errors import ConflictError
from micromimic.core.notices import cannot_tell
from micromimic.core.results import labels_in, unit_from_dict
from micromimic.core.summary import summary
from micromimic.report import words
from micromimic.report.page import style
from micromimic.report.rendering import environment
from micromimic.workstation.context import Here
from micromimic.workstation.errors import NOT_ANALYSED
from micromimic.workstation.pages import FOLDER
from micromimic.workstation.records import recordings, reviews
from micromimic.workstation.records.models import Recording
from micromimic.workstation.records.review import Review, ReviewedEvent
from micromimic.workstation.routes.files import file_answers
from micromimic.workstation.routes.media import REPORT_POLICY
from micromimic.workstation.routes.review import countable
from micromimic.workstation.schemas import Coder, Id, Reader

router = APIRouter(prefix="/recordings/{recording_id}", tags=["export"])

_STATUSES: Final = {"accepted": "accepted", "rejected": "rejected", "pending": "not decided"}
_MODES: Final = {
    "open": "after the machine's answer was shown",
    "blind": "before the machine's answer was shown",
    "imported": "made elsewhere and imported",
}


@router.get(
    "/decisions.html",
    responses=file_answers(".html", also=(404, 409), description="The page."),
    response_class=Response,
)
def get_decision_report(
    recording_id: Id, coder: Coder, here: Here, reader: Reader = None
) -> HTMLResponse:
    """What a coder decided, event by event, as a page that prints. 409 before the machine has
    answered, and where who asks may not see it yet."""
    with here.store.read() as transaction:
        recording = recordings.get_recording(transaction, recording_id)
        reviews.check_open(transaction, recording_id, coder if reader is None else reader, coder)
        shown = reviews.get_shown(transaction, recording_id, coder, reader=reader)
        made = reviews.history(transaction, recording_id, coder)
        if shown is None:
            raise ConflictError(NOT_ANALYSED)
        review, folder = shown.review, here.store.folder(recording_id)
        page = _template().render(
            recording=recording,
            session=_session_name(recording),
            review=review,
            sentences=summary(countable(shown.analysis)),
            counts=_counts(review),
            events=[_entry(event, folder) for event in review.events],
            undecided=sum(event.status == "pending" for event in review.events),
            decided=(made[0].decided_at, made[-1].decided_at) if made else None,
            statements=cannot_tell(len(labels_in(shown.analysis))),
            style=style(Markup("")),
            version=micromimic.__version__,
            media=shown.shown.get("media") is not None,  # a player is at other times
        )
    return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})


def _session_name(recording: Recording) -> str:
    """Whose it is, as everywhere: code, condition or title, day; empty without a session."""
    session = recording.session
    if session is None:
        return ""
    day = f"{session.held_on.day} {session.held_on:%b %Y}"
    parts = session.subject_code, session.condition or session.title, day
    return " - ".join(filter(None, parts))


def _counts(review: Review) -> dict[str, int]:
    """How many events there are of each kind of decision, longer ones apart."""
    found = Counter(
        "added" if event.added else _STATUSES[event.status]
        for event in review.events
        if event.kind == "micro" or event.masked
    )
    longer = sum(event.kind == "macro" and not event.masked for event in review.events)
    return {**found, **({"longer expressions": longer} if longer else {})}


def _entry(event: ReviewedEvent, folder: Path) -> dict[str, Any]:
    machine = event.machine
    return {
        "event": event,
        "status": "added" if event.added else _STATUSES[event.status],
        "mode": "" if event.mode is None else _MODES[event.mode],
        "units": [_coded_unit(unit) for unit in event.units],
        "machine": machine
        and {
            "label": machine["label"],
            "probability": machine["probabilities"][machine["label"]],
            "uncertain": machine["uncertain"],
            "units": [words.unit_text(unit_from_dict(u)) for u in machine.get("action_units", ())],
        },
        "pictures": None if event.masked or event.added else _pictures(folder, event.key),
    }


def _coded_unit(unit: Mapping[str, Any]) -> str:
    """As a person reads it: AU 12 left C, lip corner puller."""
    number = str(unit["au"])
    coded = " ".join(filter(None, (f"AU {number}", unit.get("side"), unit.get("intensity"))))
    name = words.UNIT_WORDS.get(number)
    return f"{coded}, {name}" if name else coded


def _pictures(folder: Path, key: str) -> dict[str, str] | None:
    """The face at onset and apex of an event of the machine's, while its pictures are kept."""
    found = {}
    for name in ("onset", "apex"):
        path = folder / "events" / key.removeprefix("m") / f"{name}.jpg"
        if not path.is_file():
            return None
        found[name] = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    return found


@cache
def _template() -> Template:
    templates = environment(FOLDER / "templates")
    templates.filters["clock"] = words.clock
    return templates.get_template("decisions.html.jinja")
