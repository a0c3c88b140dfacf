"""The review: what the machine found, what each coder decided, and how far two agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from micromimic.core.errors import ConflictError
from micromimic.core.results import labels_in
from micromimic.core.summary import advice, summary
from micromimic.evaluation.agreement import Agreement, CodedEvent, event_agreement
from micromimic.workstation.context import Here
from micromimic.workstation.errors import NOT_ANALYSED, answers
from micromimic.workstation.export.agreement import other_classes
from micromimic.workstation.export.readers import MACHINE, coded_events
from micromimic.workstation.records import markers, recordings, reviews
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.models import AnalysisRecord
from micromimic.workstation.records.review import FrameTimes, Review, reviewed
from micromimic.workstation.records.study import get_study
from micromimic.workstation.schemas import (
    Coder,
    CoderQuery,
    DecisionIn,
    DecisionList,
    Id,
    Marker,
    MarkerIn,
    MarkerList,
    Reader,
    ReviewView,
    StepIn,
)

router = APIRouter(prefix="/recordings/{recording_id}", tags=["review"])


@router.get("/review", responses=answers(404, 409))
def get_review(recording_id: Id, coder: Coder, here: Here, reader: Reader = None) -> ReviewView:
    """Everything the review page shows; nulls until the machine has answered."""
    with here.store.read() as transaction:
        recording = recordings.get_recording(transaction, recording_id)
        reader = coder if reader is None else reader
        reviews.check_open(transaction, recording_id, reader, coder)
        found = reviews.get_shown(transaction, recording_id, coder, reader=reader)
        rows = markers.list_markers(transaction, recording_id)
        known = {"recording": recording, "study": get_study(transaction), "markers": rows}
    answer: dict[str, Any] = dict.fromkeys(
        ("labels", "machine_labels", "analysis", "review", "shown")
    )
    if found is not None:
        answer = {
            "summary": summary(countable(found.analysis)),
            "advice": advice(countable(found.analysis)),
            "labels": list(found.labels),
            "machine_labels": list(labels_in(found.analysis)),
            "analysis": dict(found.analysis),
            "review": found.review,
            "shown": dict(found.shown),
        }
    return ReviewView.model_validate({**known, **answer})


def countable(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``events.json`` where hidden events are counted, and nothing more is said."""
    return {**analysis, "events": [event or {} for event in analysis["events"]]}


@router.post("/decisions", status_code=201, responses=answers(404, 409, 413))
def decide(recording_id: Id, body: DecisionIn, here: Here) -> Review:
    """Add a decision; 409 if ``expected`` is no longer the coder's last number."""
    return reviews.decide(here.store, recording_id, **body.model_dump(exclude_none=True))


@router.post("/undo", status_code=201, responses=answers(404, 409, 413))
def undo(recording_id: Id, body: StepIn, here: Here) -> Review:
    """Take the coder's last decision back; the trail keeps both."""
    return reviews.decide(here.store, recording_id, **body.model_dump(), action="undo")


@router.post("/redo", status_code=201, responses=answers(404, 409, 413))
def redo(recording_id: Id, body: StepIn, here: Here) -> Review:
    """Bring back what was undone last."""
    return reviews.decide(here.store, recording_id, **body.model_dump(), action="redo")


@router.get("/history", responses=answers(404, 409))
def get_history(
    recording_id: Id,
    here: Here,
    coder: CoderQuery = None,
    reader: Reader = None,
) -> DecisionList:
    """The audit trail: of one coder, or of all once who asks is done (see ``reader``)."""
    of = reviews.coders(here.store, recording_id) if coder is None else (coder,)
    reviews.check_open(here.store, recording_id, coder if reader is None else reader, *of)
    return DecisionList.model_validate(
        {"decisions": reviews.history(here.store, recording_id, coder)}
    )


@router.get("/markers", responses=answers(404))
def list_markers(recording_id: Id, here: Here) -> MarkerList:
    """Moments and stretches that are no expressions: stimuli, trials, conditions."""
    return MarkerList.model_validate({"markers": markers.list_markers(here.store, recording_id)})


@router.post("/markers", status_code=201, responses=answers(404, 413))
def add_marker(recording_id: Id, body: MarkerIn, here: Here) -> Marker:
    """A marker in a row of the timeline."""
    given = body.model_dump(exclude={"origin"})
    (made,) = markers.add_markers(here.store, recording_id, [given], origin=body.origin)
    return Marker.model_validate(made)


@router.delete(
    "/markers/{marker_id}", status_code=204, responses=answers(404), response_class=Response
)
def remove_marker(recording_id: Id, marker_id: Id, here: Here) -> None:
    """Remove a marker."""
    markers.remove_marker(here.store, marker_id, recording_id=recording_id)


@router.get("/agreement", responses=answers(404, 409))
def get_agreement(
    recording_id: Id, coder: Coder, other: Coder, here: Here, reader: Reader = None
) -> Agreement:
    """Cohen's kappa and event-wise F1 of two coders on micro-expressions; or of ``machine``."""
    recordings.get_recording(here.store, recording_id)
    found = reviews.get_analysis(here.store, recording_id)
    if found is None:
        raise ConflictError(NOT_ANALYSED)
    if reader is None and coder != MACHINE:
        reader = coder
    reviews.check_open(here.store, recording_id, reader, coder, other)
    if MACHINE in (coder, other):
        reviews.check_machine_open(here.store, recording_id, reader)
    study = get_study(here.store)
    coded = {name: _coded(here.store, found, name) for name in (coder, other)}
    agreement = event_agreement(coded[coder], coded[other], min_iou=study.overlap)
    machine = [event.label for event in coded.get(MACHINE, ())]
    notes = other_classes(machine, study.coding(labels_in(found.payload)).labels)
    return replace(agreement, note=" ".join([agreement.note, *notes]))


def _coded(store: Store, found: AnalysisRecord, coder: str) -> list[CodedEvent]:
    """Micro-expressions as a coder sees them."""
    if coder == MACHINE:
        events = reviewed(found.payload["events"], (), FrameTimes.of(found.review))
    else:
        events = reviews.get_review(store, found.recording_id, coder).events
    return coded_events(coder, (event for event in events if event.kind == "micro"))
