"""What coders say of a study set side by side: agreement of two, and rates by condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from micromimic.analysis.conditions import ConditionRates, Counted, rates_by_condition
from micromimic.core.errors import RefusedError
from micromimic.evaluation.agreement import CodedEvent
from micromimic.evaluation.study_agreement import (
    CodedRecording,
    Estimate,
    StudyAgreement,
    Tier,
    study_agreement,
)
from micromimic.workstation.export_records import MACHINE, Reader, Studied, studied
from micromimic.workstation.records.database import Transaction, reading
from micromimic.workstation.records.study import get_study

Measure = Literal["micro-expressions", "longer expressions", "blinks"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
_ESTIMATES: Final = ("observed", "kappa", "ac1", "f1", "label_kappa", "label_ac1")


@dataclass(frozen=True)
class CodedOne:
    """One recording: the events of each coder who has done it, and what rates need."""

    id: str
    name: str
    subject: str
    condition: str
    observed_s: float
    found_s: float
    blinks: int | None
    events: Mapping[str, Sequence[CodedEvent]]


@dataclass
class Coded:
    """Recordings as they are compared, without the machine's large answers."""

    recordings: list[CodedOne] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, found: Studied) -> None:
        recording, answer = found.recording, found.answer
        self.labels += [label for label in found.labels if label not in self.labels]
        if answer is None:
            return
        blinks = answer.review.get("blinks")
        share = answer.payload.get("face", {}).get("found_ratio") or 0.0
        self.recordings.append(
            CodedOne(
                id=recording.id,
                name=recording.name,
                subject=recording.subject_code or "",
                condition=recording.condition or "",
                observed_s=recording.observed_s or 0.0,
                found_s=share * (recording.duration_s or 0.0),
                blinks=None if blinks is None else len(blinks),
                events={c: found.coded(c) for c in found.coders if found.is_done(c)},
            )
        )

    @property
    def coders(self) -> list[str]:
        """Who has done any of them."""
        return sorted({coder for one in self.recordings for coder in one.events} - {MACHINE})


@reading
def coded_study(transaction: Transaction, reader: Reader) -> tuple[Coded, float]:
    """What a reader may see compared, and the study's threshold of overlap."""
    coded = Coded()
    for found in studied(transaction, reader):
        coded.add(found)
    return coded, get_study(transaction).overlap


def compare(
    coded: Coded, first: str, second: str, *, overlap: float, tier: Tier = "micro"
) -> StudyAgreement:
    """Two coders on the recordings that both have done; either may be the machine."""
    if first == second:
        raise RefusedError(f"expected two coders, got {first} twice; choose another")
    both = [
        CodedRecording(one.id, one.name, one.subject, one.events[first], one.events[second])
        for one in coded.recordings
        if first in one.events and second in one.events
    ]
    return study_agreement(
        both, coders=(first, second), labels=coded.labels, overlap=overlap, tier=tier
    )


def agreement_rows(found: StudyAgreement) -> Iterator[dict[str, Any]]:
    """As ``agreement.csv`` has them; none where nothing was compared."""
    for row in found.rows if found.recordings else ():
        flat = {k: v for k, v in vars(row).items() if k not in (*_ESTIMATES, "timing")}
        for name in _ESTIMATES:
            flat |= _estimate(name, getattr(row, name))
        for boundary, timing in row.timing.items():
            flat |= _estimate(f"icc_{boundary}", timing.icc)
            flat |= {f"{boundary}_mean_s": timing.mean_s, f"{boundary}_sd_s": timing.sd_s}
        yield {"first": found.first, "second": found.second, "overlap": found.overlap, **flat}


def _estimate(name: str, value: Estimate) -> dict[str, float | None]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def conditions_of(coded: Coded, measure: Measure, coder: str) -> ConditionRates:
    """Rates in recordings that a coder has done; blinks are counted by the machine alone."""
    counted = []
    for one in coded.recordings:
        if coder not in one.events or (measure == "blinks" and coder != MACHINE):
            continue
        if measure == "blinks":
            count, seconds = one.blinks, one.found_s
        else:
            kind = "micro" if measure == "micro-expressions" else "macro"
            held = [e for e in one.events[coder] if e.status == "accepted" and e.kind == kind]
            count, seconds = len(held), one.observed_s
        if count is not None:
            counted.append(Counted(one.subject, one.condition, count, seconds))
    return rates_by_condition(counted)


def condition_rows(coded: Coded, measure: Measure, coder: str) -> Iterator[dict[str, Any]]:
    """As ``conditions.csv`` has them: each condition's rate, then each two compared."""
    found = conditions_of(coded, measure, coder)
    about = {"measure": measure, "coder": coder}
    for rate in found.conditions:
        yield {**about, **vars(rate), "value": rate.rate}
    for compared in found.comparisons:
        yield {
            **about,
            **vars(compared),
            "condition": compared.first,
            "compared_with": compared.second,
            "value": compared.difference,
        }
