"""Numbers about a whole recording, each with its interval and its caveat.

Nothing here is a score of stress, honesty or character: rates are counted events over the time in
which events could be seen, and movement is compared only with the same person's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

from micromimic.core.canonical import scale_of
from micromimic.core.errors import LabelError
from micromimic.core.labels import THREE
from micromimic.core.notices import cannot_tell
from micromimic.core.results import STATED_UNITS, Blink, Spotting
from micromimic.core.types import (
    DetectionLimits,
    FaceTrack,
    MicroExpression,
    MotionCurve,
    SourceInfo,
)

CONFIDENCE: Final = 0.95
BLOCK_SECONDS: Final = 2.0
BLINK_MARGIN_S: Final = 0.15
MIN_BLOCKS: Final = 4
RESAMPLES: Final = 2000
BELOW, ABOVE = THREE.names[:2]  # the ends of the valence balance
VALENCE_UNIT: Final = f"\N{MINUS SIGN}1 all {BELOW} to 1 all {ABOVE}"
VALENCE_FORMULA: Final = f"({ABOVE} \N{MINUS SIGN} {BELOW}) / ({ABOVE} + {BELOW})"

Entry = dict[str, Any]


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact (Garwood) interval of a Poisson mean from one count.

    Garwood, Fiducial limits for the Poisson distribution, Biometrika 1936.

    >>> tuple(round(x, 3) for x in poisson_interval(0))
    (0.0, 3.689)
    >>> tuple(round(x, 3) for x in poisson_interval(6))
    (2.202, 13.059)
    """
    if count < 0:
        raise ValueError(f"expected a count >= 0, got {count}")
    tail = (1 - confidence) / 2
    # Quantiles of chi-squared and beta, by what scipy.stats takes 0.5 s to import for.
    low = float(scipy.special.gammaincinv(count, tail)) if count else 0.0
    return low, float(scipy.special.gammaincinv(count + 1, 1 - tail))


def balance_interval(above: int, below: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Jeffreys interval of (above - below) / (above + below), in [-1, 1].

    Brown, Cai, DasGupta, Interval estimation for a binomial proportion, 2001; the end points are
    -1 with no event above and 1 with none below.

    >>> tuple(round(x, 2) for x in balance_interval(2, 2))
    (-0.75, 0.75)
    >>> balance_interval(0, 3)[0]
    -1.0
    """
    if above < 0 or below < 0 or above + below == 0:
        raise ValueError(f"expected at least one event, got {above} and {below}")
    tail = (1 - confidence) / 2
    a, b = above + 0.5, below + 0.5
    low = 0.0 if above == 0 else float(scipy.special.betaincinv(a, b, tail))
    high = 1.0 if below == 0 else float(scipy.special.betaincinv(a, b, 1 - tail))
    return 2 * low - 1, 2 * high - 1


@dataclass(frozen=True)
class Valence:
    """On which side of the balance each class of a model stands, as the composite merges them.

    >>> sorted(Valence.of(["Disgust", "happiness", "tense"]).neither)
    ['tense']
    """

    above: tuple[str, ...]  # classes of either side
    below: tuple[str, ...]
    neither: tuple[str, ...]  # the others

    @classmethod
    def of(cls, labels: Iterable[str]) -> Valence:
        sides: dict[str | None, list[str]] = {ABOVE: [], BELOW: []}
        rest: list[str] = []
        for label in labels:
            try:
                side = THREE.label_of(label)
            except LabelError:  # a class that the composite does not know
                side = None
            sides.get(side, rest).append(label)
        return cls(tuple(sides[ABOVE]), tuple(sides[BELOW]), tuple(rest))

    def counts(self, found: Iterable[str]) -> tuple[int, int] | None:
        """How many labels are above and below; None where the classes have but one side."""
        if not (self.above and self.below):
            return None
        labels = list(found)
        above, below = (sum(x in side for x in labels) for side in (self.above, self.below))
        return above, below


def _entry(  # one shape for all entries, so that a reader needs no special case
    label: str,
    value: float | int | dict[str, Any] | None,
    unit: str,
    caveat: str,
    interval: tuple[float, float] | None = None,
    events: int | None = None,
) -> Entry:
    low, high = interval if interval is not None else (None, None)
    return {
        "label": label,
        "value": value,
        "low": low,
        "high": high,
        "unit": unit,
        "caveat": caveat,
        "events": events,
    }


def _rate(count: int, seconds: float, label: str, unit: str, caveat: str) -> Entry:
    if not seconds > 0:
        return _entry(label, None, unit, f"No time was observed. {caveat}")
    minutes = seconds / 60
    low, high = poisson_interval(count)
    return _entry(label, count / minutes, unit, caveat, (low / minutes, high / minutes), count)


def _valence(events: Sequence[MicroExpression], labels: Sequence[str]) -> Entry:
    label, unit = "Valence balance", VALENCE_UNIT
    classes = Valence.of(labels)
    sure = Counter(event.label for event in events if not event.uncertain)
    counts = classes.counts(sure.elements())
    if counts is None:
        known = f"The model's classes ({', '.join(labels)}) do not stand for {BELOW} and {ABOVE}."
        return _entry(label, None, unit, known)
    uncertain = sum(event.uncertain for event in events)
    left = ", ".join(f"{sure[name]} {name}" for name in classes.neither)
    caveat = (
        f"{VALENCE_FORMULA} from "
        f"{_counted(counts[0], ABOVE, classes.above)} and "
        f"{_counted(counts[1], BELOW, classes.below)}; "
        f"{f'{left} and ' if left else ''}{uncertain} of which the model is unsure left "
        "out. The interval "
        "covers chance only, not the model's errors."
    )
    if sum(counts) == 0:
        return _entry(label, None, unit, caveat)
    value = (counts[0] - counts[1]) / sum(counts)
    return _entry(label, value, unit, caveat, balance_interval(*counts), sum(counts))


def _counted(count: int, side: str, classes: tuple[str, ...]) -> str:
    return f"{count} {side}" + ("" if classes == (side,) else f" ({', '.join(classes)})")


def _frame_seconds(times: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T,) how long each frame stands for: a gap in the recording is nobody's time."""
    if len(times) < 2:
        return np.zeros(len(times))
    step = np.diff(np.asarray(times, dtype=np.float64))
    typical = float(np.median(step))
    return np.append(np.clip(step, 0.0, 3 * typical), typical)


def block_levels(
    curve: MotionCurve, found: NDArray[np.bool_], blinks: Sequence[Blink]
) -> NDArray[np.float64]:
    """(B,) 90th percentile of the cells' RMS displacement in 2 s blocks of observed time.
    ``found``: (T,) where the face was found."""
    usable = found & np.isfinite(curve.cells).all(1)
    for blink in blinks:
        usable &= ~(
            (curve.times >= blink.start - BLINK_MARGIN_S)
            & (curve.times <= blink.end + BLINK_MARGIN_S)
        )
    clock = np.cumsum(_frame_seconds(curve.times)[usable])
    if not len(clock):
        return np.zeros(0)
    size = np.sqrt((np.asarray(curve.cells, dtype=np.float64)[usable] ** 2).mean(1))
    count = int(clock[-1] // BLOCK_SECONDS)
    block = np.minimum((clock / BLOCK_SECONDS).astype(int), count)
    levels = [np.percentile(size[block == b], 90) for b in range(count) if (block == b).any()]
    return np.asarray(levels, dtype=np.float64)


def _movement(
    curve: MotionCurve, found: NDArray[np.bool_], blinks: Sequence[Blink], seed: int
) -> Entry:
    label, unit = "Movement, last third against first", "ratio (1: no change)"
    caveat = (
        "Facial movement outside blinks, the person compared with themselves: median of 2 s "
        "blocks, interval by block bootstrap. Speech, fatigue and a changed position move it too."
    )
    levels = block_levels(curve, found, blinks)
    third = len(levels) // 3
    if third < MIN_BLOCKS:
        need = 3 * MIN_BLOCKS * BLOCK_SECONDS
        got = len(levels) * BLOCK_SECONDS
        return _entry(label, None, unit, f"Needs {need:.0f} s of usable face, got {got:.0f} s.")
    first, last = levels[:third], levels[-third:]
    base = float(np.median(first))
    if base <= 0:
        return _entry(label, None, unit, "The first third shows no movement at all.")
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, third, size=(2, RESAMPLES, third))
    bottom = np.median(first[picks[0]], axis=1)
    ratios = np.median(last[picks[1]], axis=1) / np.where(bottom > 0, bottom, np.nan)
    low, high = np.nanpercentile(ratios, [2.5, 97.5])
    return _entry(label, float(np.median(last)) / base, unit, caveat, (float(low), float(high)))


def _noise(curve: MotionCurve, track: FaceTrack) -> Entry:
    label = "This face's own noise"
    caveat = (
        "Half of the time the ten face regions lie within this of their own past and future "
        "(median of all regions and frames); movements need several times as much to stand out."
    )
    cells = np.asarray(curve.cells, dtype=np.float64)
    good = np.isfinite(cells).all(1)
    scales = scale_of(track.transforms[track.found])
    if not good.any() or not len(scales):
        return _entry(label, None, "px", caveat)
    spread = np.median(np.abs(cells[good]))
    return _entry(label, float(spread) * float(np.nanmedian(scales)), "px", caveat)


def _stated(events: Sequence[MicroExpression], limits: DetectionLimits) -> Entry:
    """The rate of movements of at least the stated size, over the time that shows such."""
    size = f"{STATED_UNITS:g} units"
    seen = np.zeros(0)
    if len(limits.times) > 1:
        smallest = np.min([np.nan_to_num(v, nan=np.inf) for v in limits.regions.values()], axis=0)
        seen = _frame_seconds(limits.times)[smallest <= STATED_UNITS]
    seconds = float(seen.sum())
    large = [e for e in events if e.amplitude is not None and e.amplitude.units >= STATED_UNITS]
    caveat = (
        f"{len(large)} in {seconds:.1f} s in which half of the movements of {size} would have been "
        "found somewhere on the face; exact Poisson interval. Counts candidates, false ones "
        "included, and none that was missed."
    )
    label = f"Candidates of {size} and more a minute"
    return _rate(len(large), seconds, label, f"per minute that shows {size}", caveat)


def _quality(
    spotting: Spotting, curve: MotionCurve, source: SourceInfo, track: FaceTrack
) -> dict[str, Entry]:
    gated = {cause: round(float(s), 3) for cause, s in sorted(spotting.gated_s.items())}
    ratio = float(np.mean(track.found)) if len(track.found) else None
    return {
        "observed_s": _entry(
            "Time that could be judged",
            float(spotting.observed_s),
            f"s of {source.duration_s:.1f} s",
            "Face found, and nothing in the way: or movements of 0.6 units found half the time.",
        ),
        "found_ratio": _entry(
            "Frames with the face", ratio, "share of frames", "Lost frames are gaps, never guessed."
        ),
        "noise_px": _noise(curve, track),
        "gated_s": _entry(
            "Time that could not be judged",
            gated,
            "s by cause",
            "Here only movements above 0.6 units are found, if any.",
        ),
        "rejected": _entry(
            "Movements seen and not reported",
            spotting.rejected_counts(),
            "count by reason",
            "Seen, and not reported; a micro-expression under a blink is among them.",
        ),
    }


def indicators(
    events: Sequence[MicroExpression],
    spotting: Spotting,
    curve: MotionCurve,
    source: SourceInfo,
    track: FaceTrack,
    *,
    labels: Sequence[str] = THREE.names,
    limits: DetectionLimits | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Indicators of one recording, ready for JSON. ``limits``: how small a movement would have been
    found; None where that is not known. Returns by name, entries of one shape: ``label``, ``value``
    (None where it cannot be computed), ``low`` and ``high`` (95 % interval, or None), ``unit``,
    ``caveat``, ``events`` (how many it rests on, or None where it counts none); and
    ``cannot_tell``, a list of sentences."""
    events = [event for event in events if event.kind == "micro"]
    found = np.asarray(track.found, dtype=bool)
    found_s = float(_frame_seconds(track.times)[found].sum())
    return {
        "candidates_per_minute": _rate(
            len(events),
            spotting.observed_s,
            "Candidates a minute",
            "per minute that could be judged",
            f"{len(events)} in {spotting.observed_s:.1f} s; exact Poisson interval. Counts "
            "candidates, false ones included; in some of this time only large movements are found.",
        ),
        **({} if limits is None else {"stated_size_per_minute": _stated(events, limits)}),
        "valence_balance": _valence(events, labels),
        "blinks_per_minute": _rate(
            len(spotting.blinks),
            found_s,
            "Blinks a minute",
            "per minute with the face found",
            f"{len(spotting.blinks)} in {found_s:.1f} s; exact Poisson interval, too narrow where "
            "blinks come in bursts. Varies with light, screens and speech.",
        ),
        "movement_vs_baseline": _movement(curve, found, spotting.blinks, seed),
        **_quality(spotting, curve, source, track),
        "cannot_tell": [f"{heading}: {text}" for heading, text in cannot_tell(len(labels))],
    }
