"""The study that this server holds: its mode, coding scheme and threshold of overlap."""

from __future__ import annotations

from fastapi import APIRouter

from micromimic.workstation.context import Here
from micromimic.workstation.errors import answers
from micromimic.workstation.records import study
from micromimic.workstation.records.scheme import BUILT_IN
from micromimic.workstation.schemas import SchemeList, Study, StudyChange

router = APIRouter(prefix="/study", tags=["study"])


@router.get("", responses=answers())
def get_study(here: Here) -> Study:
    """The study as it is now."""
    return Study.model_validate(study.get_study(here.store))


@router.patch("", responses=answers(409, 413))
def change_study(body: StudyChange, here: Here) -> Study:
    """Another title, mode, scheme or overlap; 409 where the scheme lacks what is coded already."""
    changes = body.model_dump(exclude_unset=True)  # a scheme of null takes it away
    return Study.model_validate(study.change_study(here.store, **changes))


@router.get("/schemes", responses=answers())
def list_schemes(here: Here) -> SchemeList:
    """Schemes to begin with."""
    return SchemeList(schemes=[scheme.to_dict() for scheme in BUILT_IN.values()])
