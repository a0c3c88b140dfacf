"""A study compared: how far two coders agree, and rates by condition."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.responses import Response

from micromimic.analysis.conditions import ConditionRates
from micromimic.evaluation.agreement import Tier
from micromimic.evaluation.study_agreement import StudyAgreement
from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
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
from micromimic.workstation.export.readers import MACHINE, Reader
from micromimic.workstation.export.study import table_text
from micromimic.workstation.routes.files import attachment, file_answers
from micromimic.workstation.schemas import PRINTABLE, Coder, Reader as ReaderQuery

router = APIRouter(tags=["agreement"])


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


def _compared(
    coder: Coder,
    other: Coder,
    here: Here,
    reader: ReaderQuery = None,
    overlap: Annotated[
        float | None,
        Query(gt=0, le=1, description="Least overlap over union; the study's own if left out."),
    ] = None,
    tier: Tier = "micro",
) -> StudyAgreement:
    coded, own = coded_study(here.store, Reader(reader))
    return compare(coded, coder, other, overlap=overlap or own, tier=tier)


Compared = Annotated[StudyAgreement, Depends(_compared)]


@router.get("/agreement", responses=answers(409))
def get_study_agreement(compared: Compared) -> StudyAgreement:
    """Two coders on all recordings that both have done: pooled, by tier, class, mode, recording."""
    return compared


@router.get(
    "/agreement.csv",
    responses=file_answers(".csv", also=(409,), description="A table."),
    response_class=Response,
)
def get_agreement_table(compared: Compared) -> Response:
    """The same as a table; its columns are those of the study's ``agreement.csv``."""
    rows = agreement_rows(compared)
    return attachment(table_text(columns_of("agreement.csv"), rows), "agreement.csv")


@router.get(
    "/agreement.svg",
    responses=file_answers(".svg", also=(409,), description="A figure."),
    response_class=Response,
)
def get_agreement_figure(compared: Compared) -> Response:
    """The same as a figure: each value with its interval."""
    return attachment(agreement_svg(compared), "agreement.svg")


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
