"""What each recording and session adds to the course of one person over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.indicators import Valence, block_levels, poisson_interval
from micromimic.core.canonical import INTEROCULAR
from micromimic.core.results import Blink, kind_of, labels_in
from micromimic.core.types import MotionCurve


@dataclass(frozen=True)
class Reviewed:
    """What one coder, having decided every candidate of a recording, holds to be there."""

    events: int  # how many
    # how many of them count above and below in the valence balance; None where the classes have but
    # one side
    balance: tuple[int, int] | None


@dataclass(frozen=True)
class RecordingNumbers:
    """What one recording adds to its session."""

    candidates: int  # the machine's
    observed_s: float  # seconds in which one could be seen
    # candidates above and below in the valence balance of which the model is not uncertain; None
    # where its classes have but one side
    balance: tuple[int, int] | None
    blinks: int | None = None  # blinks, and seconds with the face found; None where unknown
    found_s: float | None = None
    reviewed: Reviewed | None = None  # by a coder who has finished; None where nobody has
    # levels of 2 s blocks (``movement_levels``); None where unknown
    movement: Sequence[float] | None = None
    neither: tuple[str, ...] = ()  # the model's classes that the balance leaves out


@dataclass(frozen=True)
class SessionNumbers:
    """One session: its day, whether it belongs to the baseline, and its analysed recordings."""

    session_id: str
    title: str
    held_on: date
    baseline: bool
    recordings: Sequence[RecordingNumbers] = ()


def movement_levels(
    curve: MotionCurve, found: NDArray[np.bool_], blinks: Sequence[Blink]
) -> tuple[float, ...]:
    """How much the face moved, block by block, ready to be kept with a recording. ``found``: (T,)
    where the face was found."""
    levels = block_levels(curve, found, blinks) * (100.0 / INTEROCULAR)
    return tuple(round(float(level), 4) for level in levels)


def recording_numbers(
    payload: Mapping[str, Any],
    review: Mapping[str, Any],
    coded: Iterable[tuple[str, str]] | None = None,
) -> RecordingNumbers:
    """The numbers of one recording from what is kept of its analysis. ``coded``: (status, label) of
    each micro-expression of a coder; None where no coder has been at it. A review with one still
    pending does not count."""
    events = [event for event in payload["events"] if kind_of(event) == "micro"]
    valence = Valence.of(labels_in(payload))
    blinks = review.get("blinks")
    return RecordingNumbers(
        candidates=len(events),
        observed_s=float(payload["indicators"]["observed_s"]["value"] or 0.0),
        balance=valence.counts(event["label"] for event in events if not event["uncertain"]),
        blinks=None if blinks is None else len(blinks),
        found_s=None if blinks is None else _found_seconds(payload, len(blinks)),
        reviewed=None if coded is None else _reviewed(list(coded), valence),
        movement=review.get("movement_levels"),
        neither=valence.neither,
    )


def _reviewed(coded: Sequence[tuple[str, str]], valence: Valence) -> Reviewed | None:
    if any(status == "pending" for status, _ in coded):
        return None
    held = [label for status, label in coded if status == "accepted"]
    return Reviewed(len(held), valence.counts(held))


def _found_seconds(payload: Mapping[str, Any], blinks: int) -> float | None:
    """Seconds with the face found, from the blink rate and its interval.

    The upper end is that of the count's exact interval over the minutes, so the minutes follow even
    where no blink was seen.
    """
    high = payload["indicators"]["blinks_per_minute"]["high"]
    return 60.0 * poisson_interval(blinks)[1] / high if high else None
