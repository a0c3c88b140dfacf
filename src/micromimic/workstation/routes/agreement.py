"""A study compared: how far two coders agree, and rates by condition."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from micromimic.analysis.conditions import ConditionRates
from micromimic.evaluation.study_agreement import StudyAgreement, Tier
from micromimic.workstation.context import Here, Workstation
from micromimic.workstation.errors import answers, file_content
from micromimic.workstation.export.agreement import (
    SESSION,
    Measure,
    agreement_rows,
    coded_study,
    compare,
    conditions_of,
    marker_tiers,
)
from micromimic.workstation.export.agreement_figure import agreement_svg
from micromimic.workstation.export.codebook import columns_of
from micromimic.workstation.export.records import MACHINE, Reader
from micromimic.workstation.export.study import table_text
from micromimic.workstation.schemas import PRINTABLE, Coder, Reader as ReaderQuery

router = APIRouter(tags=["agreement"])

Overlap = Annotated[
    float | None,
    Query(gt=0, le=1, description="Least overlap over union; the study's own if left out."),
]
_CSV: Final = "text/csv; charset=utf-8"


class TiersView(BaseModel):
    """Rows of markers with stretches, by which rates can be compared."""

    tiers: list[str]


class ConditionsView(BaseModel):
    """Rates of one measure of one coder by condition; ``machine`` is the machine's own answer.

    ``by`` is the row of markers whose labels are the conditions; empty for the sessions'.
    """

    measure: Measure
    coder: str
    by: str
    rates: ConditionRates


@router.get("/agreement", responses=answers(409))
def get_study_agreement(
    coder: Coder,
    other: Coder,
    here: Here,
    reader: ReaderQuery = None,
    overlap: Overlap = None,
    tier: Tier = "micro",
) -> StudyAgreement:
    """Two coders on all recordings that both have done: pooled, by tier, class, mode, recording."""
    return _compared(here, coder, other, reader, overlap, tier)


@router.get(
    "/agreement.csv",
    responses={**answers(409), 200: {"description": "A table.", "content": file_content(_CSV)}},
    response_class=Response,
)
def get_agreement_table(
    coder: Coder,
    other: Coder,
    here: Here,
    reader: ReaderQuery = None,
    overlap: Overlap = None,
    tier: Tier = "micro",
) -> Response:
    """The same as a table; its columns are those of the study's ``agreement.csv``."""
    rows = agreement_rows(_compared(here, coder, other, reader, overlap, tier))
    return _file(table_text(columns_of("agreement.csv"), rows), _CSV, "agreement.csv")


@router.get(
    "/agreement.svg",
    responses={
        **answers(409),
        200: {"description": "A figure.", "content": file_content("image/svg+xml")},
    },
    response_class=Response,
)
def get_agreement_figure(
    coder: Coder,
    other: Coder,
    here: Here,
    reader: ReaderQuery = None,
    overlap: Overlap = None,
    tier: Tier = "micro",
) -> Response:
    """The same as a figure: each value with its interval."""
    found = _compared(here, coder, other, reader, overlap, tier)
    return _file(agreement_svg(found), "image/svg+xml", "agreement.svg")


@router.get("/conditions/tiers")
def get_condition_tiers(here: Here) -> TiersView:
    """By what rates can be compared, beside the sessions' conditions."""
    return TiersView(tiers=marker_tiers(here.store))


@router.get("/conditions", responses=answers(409))
def get_conditions(
    here: Here,
    coder: Coder = MACHINE,
    measure: Measure = "micro-expressions",
    by: Annotated[str, Query(pattern=PRINTABLE, max_length=64)] = SESSION,
    reader: ReaderQuery = None,
) -> ConditionsView:
    """Rates a minute by condition, subjects as units, and each two conditions compared."""
    coded, _ = coded_study(here.store, Reader(reader))
    rates = conditions_of(coded, measure, coder, by)
    return ConditionsView(measure=measure, coder=coder, by=by, rates=rates)


def _compared(
    here: Workstation,
    coder: str,
    other: str,
    reader: str | None,
    overlap: float | None,
    tier: Tier,
) -> StudyAgreement:
    coded, own = coded_study(here.store, Reader(reader))
    return compare(coded, coder, other, overlap=overlap or own, tier=tier)


def _file(content: str, kind: str, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(content, media_type=kind, headers={"Content-Disposition": disposition})
