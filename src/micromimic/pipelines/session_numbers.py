"""What each recording and session adds to the course of one person over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import INTEROCULAR
from micromimic.pipelines.indicators import block_levels, poisson_interval
from micromimic.results import Blink, kind_of
from micromimic.types import MotionCurve


@dataclass(frozen=True)
class Reviewed:
    """What one coder, having decided every candidate of a recording, holds to be there."""

    events: int
    positive: int
    negative: int


@dataclass(frozen=True)
class RecordingNumbers:
    """What one recording adds to its session.

    Args:
        candidates: the machine's.
        observed_s: seconds in which one could be seen.
        positive, negative: candidates of these classes of which the model is not uncertain.
        blinks, found_s: blinks, and seconds with the face found; None where unknown.
        reviewed: by a coder who has finished; None where nobody has.
        movement: levels of 2 s blocks (``movement_levels``); None where unknown.
    """

    candidates: int
    observed_s: float
    positive: int
    negative: int
    blinks: int | None = None
    found_s: float | None = None
    reviewed: Reviewed | None = None
    movement: Sequence[float] | None = None


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
    """How much the face moved, block by block, ready to be kept with a recording.

    Args:
        curve: motion over time.
        found: (T,) where the face was found.
        blinks: left out.

    Returns:
        Per 2 s of usable face, the 90th percentile of the ten cells' displacement from their own
        local rest, in percent of the distance between the eyes.
    """
    levels = block_levels(curve, found, blinks) * (100.0 / INTEROCULAR)
    return tuple(round(float(level), 4) for level in levels)


def recording_numbers(
    payload: Mapping[str, Any],
    review: Mapping[str, Any],
    coded: Iterable[tuple[str, str]] | None = None,
) -> RecordingNumbers:
    """The numbers of one recording from what is kept of its analysis.

    Args:
        payload: the content of ``events.json``.
        review: the content of ``review.json``; ``blinks`` and ``movement_levels`` are read.
        coded: (status, label) of each micro-expression of a coder; None where no coder has been at
            it. A review with one still pending does not count.
    """
    events = [event for event in payload["events"] if kind_of(event) == "micro"]
    sure = [event["label"] for event in events if not event["uncertain"]]
    blinks = review.get("blinks")
    return RecordingNumbers(
        candidates=len(events),
        observed_s=float(payload["indicators"]["observed_s"]["value"] or 0.0),
        positive=sure.count("positive"),
        negative=sure.count("negative"),
        blinks=None if blinks is None else len(blinks),
        found_s=None if blinks is None else _found_seconds(payload, len(blinks)),
        reviewed=None if coded is None else _reviewed(list(coded)),
        movement=review.get("movement_levels"),
    )


def _reviewed(coded: Sequence[tuple[str, str]]) -> Reviewed | None:
    if any(status == "pending" for status, _ in coded):
        return None
    held = [label for status, label in coded if status == "accepted"]
    return Reviewed(len(held), held.count("positive"), held.count("negative"))


def _found_seconds(payload: Mapping[str, Any], blinks: int) -> float | None:
    """Seconds with the face found, from the blink rate and its interval.

    The upper end is that of the count's exact interval over the minutes, so the minutes follow
    even where no blink was seen.
    """
    high = payload["indicators"]["blinks_per_minute"]["high"]
    return 60.0 * poisson_interval(blinks)[1] / high if high else None
