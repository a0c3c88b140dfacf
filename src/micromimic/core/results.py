"""The result of one analysis: what `analyze` returns and the reports write down."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import scale_of
from micromimic.core.errors import InputError
from micromimic.core.labels import CELLS, REGIONS, THREE
from micromimic.core.types import (
    Amplitude,
    AnalysisWarning,
    DetectionLimits,
    ExpressionKind,
    FaceTrack,
    Interval,
    MediaTimes,
    MicroExpression,
    MotionCurve,
    SourceInfo,
    UnitEvidence,
)

if TYPE_CHECKING:
    import pandas as pd

EVENTS_SCHEMA = "micromimic.events/1"

STATED_UNITS: Final = 0.3
"""The size in canonical units of which results say in how much of the time it would be found: that
of a real micro-expression (published maps peak at .14 to .42)."""
OPEN_UNITS: Final = 0.6
"""A moment is judged if a movement of so many units somewhere on the face is found half the time,
however the ten cells are gated."""
_PERCENT: Final = (10, 50, 90)


@dataclass(frozen=True)
class ModelInfo:
    """Which model answered, on what it was trained, and the classes that it tells, in its order."""

    name: str
    version: str
    trained_on: str
    labels: tuple[str, ...] = THREE.names

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> ModelInfo:
        """Of ``model`` in ``events.json``; where no classes stand there, they are the composite's.

        >>> ModelInfo.from_dict({"name": "mine", "version": "1", "trained_on": "x"}) == ModelInfo(
        ...     "mine", "1", "x")
        True
        """
        return cls(
            entry["name"], entry["version"], entry["trained_on"], labels_in({"model": entry})
        )

    def to_dict(self) -> dict[str, Any]:
        """``model`` of ``events.json``: classes stand there unless they are the composite's."""
        own = {} if self.labels == THREE.names else {"labels": list(self.labels)}
        return {"name": self.name, "version": self.version, "trained_on": self.trained_on, **own}


def labels_in(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of the model that made an ``events.json``, in its order.

    >>> labels_in({"model": {"labels": ["calm", "tense"]}}), labels_in({}) == THREE.names
    (('calm', 'tense'), True)
    """
    return tuple(content.get("model", {}).get("labels") or THREE.names)


@dataclass(frozen=True)
class Blink:
    """One blink: start, middle and end in seconds."""

    start: float
    peak: float
    end: float


@dataclass(frozen=True)
class Rejected:
    """A movement that was seen and not reported."""

    peak: float  # seconds
    # ``blink``, ``head``, ``light``, ``speech``, ``macro``, ``short``, ``crowded`` or ``lost``
    reason: str
    frames: tuple[int, int, int] | None = None  # onset, apex, offset; None where not known
    strength: float = 0.0  # multiples of the noise
    units: float | None = (
        None  # how far the skin moved by the dense flow; None where it saw nothing
    )


@dataclass(frozen=True)
class HeldBack:
    """One of the strongest movements that were seen and not reported, for a person to judge."""

    interval: Interval
    onset_frame: int
    apex_frame: int
    offset_frame: int
    reason: str  # as in `Rejected`
    strength: float  # multiples of the noise
    units: float | None  # how far the skin moved, canonical units; None where not known
    pixels: float | None  # the same in pixels of the picture
    onset_face: NDArray[np.uint8] | None = None  # (H, W, 3) RGB; None without evidence
    apex_face: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class GatedSpan:
    """A stretch in which no event could have been reported: start and end in seconds, cause."""

    start: float
    end: float
    cause: str


@dataclass(frozen=True)
class Spotting:
    """What the spotter saw beside the events."""

    threshold: float  # the score above which a movement counts
    blinks: tuple[Blink, ...]  # eyelid closures found
    rejected: tuple[Rejected, ...]  # movements not reported, each with its reason
    # seconds of found face in which the ten cells report nothing and the dense flow only large
    # movements, by cause
    gated_s: Mapping[str, float]
    observed_s: float  # all other seconds in which the face was found
    # where the gated time lies, by start; may be empty where only sums are known
    gated_spans: tuple[GatedSpan, ...] = ()

    def rejected_counts(self) -> dict[str, int]:
        """How many movements were rejected for each reason."""
        return dict(sorted(Counter(item.reason for item in self.rejected).items()))


@dataclass(frozen=True)
class RegionLimit:
    """How small a movement of one part of the face would have been found half the time."""

    # canonical units, at the best tenth of the face's time, at half and at nine tenths of it; inf
    # where the region is closed by then
    units: tuple[float, float, float]
    pixels: tuple[float, float, float]  # the same in pixels of the picture
    seconds: float  # in which a movement of ``STATED_UNITS`` would have been found half the time...
    share: float  # ...and their share of the face's time


@dataclass(frozen=True, repr=False)
class Analysis:
    """Everything that one video gave.

    Parameters
    ----------
    source : SourceInfo
        What was read.
    found_ratio : float
        Frames with the face over all frames.
    others_seen : int
        Further people counted.
    warnings : tuple[AnalysisWarning, ...]
        Limits of the input.
    model : ModelInfo
        Which model named the events.
    events : tuple[MicroExpression, ...]
        Candidates and longer expressions by onset; see ``micro`` and ``macro``.
    indicators : Mapping[str, Any]
        Plain numbers with intervals and caveats, ready for JSON (``analysis.indicators``).
    curve : MotionCurve
        Motion over time.
    track : FaceTrack
        The face through the video.
    spotting : Spotting
        Thresholds, blinks, rejections, gated time.
    media : MediaTimes or None
        Where a player of the file shows what; None where its seconds are the analysis's.
    limits : DetectionLimits or None
        How small a movement would have been found, moment by moment and by region.
    held_back : tuple[HeldBack, ...]
        The strongest movements that were not reported, by onset.
    settings : Mapping[str, Any]
        What was asked for, as far as the result depends on it.
    """

    source: SourceInfo
    found_ratio: float
    others_seen: int
    warnings: tuple[AnalysisWarning, ...]
    model: ModelInfo
    events: tuple[MicroExpression, ...]
    indicators: Mapping[str, Any]
    curve: MotionCurve
    track: FaceTrack
    spotting: Spotting
    media: MediaTimes | None = None
    limits: DetectionLimits | None = None
    held_back: tuple[HeldBack, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        source, counts = self.source, Counter(event.label for event in self.micro)
        named = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        return (
            f"<Analysis of {source.path}: {source.duration_s:.1f} s, {source.frames} frames at "
            f"{source.fps:.4g} frames/s, face in {self.found_ratio:.0%}\n"
            f" {len(self.micro)} candidates{f' ({named})' if named else ''}, "
            f"{len(self.macro)} longer expressions, {len(self.warnings)} warnings\n"
            f" by {self.model.name} {self.model.version}; see events, indicators, to_frame()>"
        )

    @property
    def micro(self) -> tuple[MicroExpression, ...]:
        """The candidates: micro-expressions, the only events that are counted."""
        return tuple(event for event in self.events if event.kind == "micro")

    @property
    def macro(self) -> tuple[MicroExpression, ...]:
        """The longer expressions."""
        return tuple(event for event in self.events if event.kind == "macro")

    def media_seconds(self, seconds: float) -> float:
        """Where a player of the file shows a moment of the analysis."""
        return seconds if self.media is None else self.media.at(seconds)

    def pixels_per_unit(self) -> float:
        """Pixels of the picture in a canonical unit, at the middle of all frames with the face."""
        scales = scale_of(self.track.transforms[self.track.found])
        return float(np.median(scales)) if len(scales) else float("nan")

    def region_limits(self) -> dict[str, RegionLimit]:
        """The detection limits by region, summed up; empty where there are none."""
        limits = self.limits
        if limits is None or len(limits.times) < 2:
            return {}
        scale = self.pixels_per_unit()
        steps = np.diff(limits.times)
        typical = float(np.median(steps))
        seconds = np.append(np.minimum(steps, 1.5 * typical), typical)
        return {
            name: _region_limit(np.asarray(values, np.float64), seconds, scale)
            for name, values in limits.regions.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """The content of ``events.json`` (schema ``micromimic.events/1``)."""
        source = self.source
        events = [event_to_dict(event, self.media) for event in self.events]
        return {
            "schema": EVENTS_SCHEMA,
            "source": {
                "path": source.path,
                "fps": source.fps,
                "frames": source.frames,
                "duration_s": source.duration_s,
                "width": source.width,
                "height": source.height,
            },
            "face": {"found_ratio": self.found_ratio, "others_seen": self.others_seen},
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
            "model": self.model.to_dict(),
            "events": events,
            "counts": kind_counts(events),
            "indicators": dict(self.indicators),
            "limits": _limits_to_dict(self.region_limits()),
            "held_back": [held_back_to_dict(item, self.media) for item in self.held_back],
            "settings": dict(self.settings),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Analysis:
        """What ``to_dict`` gave: events, model, warnings, indicators.

        Curve, track, limits and the file's own timeline are not in it: they are empty, or None.
        """
        empty = np.zeros(0)
        return cls(
            source=SourceInfo(**content["source"]),
            found_ratio=content["face"]["found_ratio"],
            others_seen=content["face"]["others_seen"],
            warnings=tuple(AnalysisWarning(w["code"], w["message"]) for w in content["warnings"]),
            model=ModelInfo.from_dict(content["model"]),
            events=tuple(event_from_dict(entry) for entry in content["events"]),
            indicators=dict(content["indicators"]),
            curve=MotionCurve(empty, empty, np.zeros((0, len(CELLS)))),
            track=FaceTrack(empty, np.zeros(0, bool), np.zeros((0, 2, 3)), np.zeros(0, int), {}),
            spotting=Spotting(
                float("nan"),
                (),
                (),
                dict(content["indicators"].get("gated_s", {}).get("value", {})),
                float(content["indicators"].get("observed_s", {}).get("value", 0.0)),
            ),
            held_back=tuple(held_back_from_dict(item) for item in content.get("held_back", ())),
            settings=dict(content.get("settings", {})),
        )

    @classmethod
    def read(cls, path: str | Path) -> Analysis:
        """Open a result again.

        Parameters
        ----------
        path : str or Path
            ``events.json``, or the folder that holds it; the curve and the detection limits
            come from ``curve.csv`` beside it, where it is there. The track and what was
            rejected are in no file.

        Raises
        ------
        InputError
            There is no such file, or it is no ``events.json``.
        """
        file = Path(path)
        file = file / "events.json" if file.is_dir() else file
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            schema = content["schema"]
            if schema != EVENTS_SCHEMA:
                raise InputError(
                    f"expected {EVENTS_SCHEMA}, got {schema} in {file}; analyse the video again"
                )
            analysis = cls.from_dict(content)
        except OSError as error:
            raise InputError(
                f"expected a result at {file}, got: {error.strerror}; pass an events.json"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"expected the result of an analysis in {file}, got another file "
                f"({type(error).__name__}: {error}); pass an events.json"
            ) from None
        beside = file.with_name("curve.csv")
        if not beside.is_file():
            return analysis
        curve, limits = _read_curve(beside)
        return replace(analysis, curve=curve, limits=limits)

    def to_frame(self) -> pd.DataFrame:
        """One row an event: ``video``, then the columns of ``events.csv``.

        Types are the same without any event, so that tables of many recordings can be stacked.
        """
        import pandas as pd  # noqa: PLC0415 - pandas takes 0.3 s; only tables need it

        types = {"video": "object", **_column_types(self.model.labels)}
        rows = [event_row(event_to_dict(event), self.model.labels) for event in self.events]
        frame = pd.DataFrame(rows, columns=list(types)).assign(video=self.source.path)
        return frame.astype(types)


def table_columns(labels: Iterable[str]) -> tuple[str, ...]:
    """Columns of ``events.csv``; ``Analysis.to_frame()`` has ``video`` before them."""
    return (
        "onset_s",
        "apex_s",
        "offset_s",
        "onset_frame",
        "apex_frame",
        "offset_frame",
        "label",
        *(f"p_{name}" for name in labels),
        "uncertain",
        "strength",
        "top_region",
        "action_units",
        "amplitude_units",
        "amplitude_sd",
        "amplitude_px",
        "false_alarm_rate_per_hour",
        "kind",
    )


def _column_types(labels: Iterable[str]) -> dict[str, str]:
    """What pandas makes of each column of `table_columns`."""
    texts = {"label", "top_region", "action_units", "kind"}
    return {
        name: "object"
        if name in texts
        else "bool"
        if name == "uncertain"
        else "int64"
        if name.endswith("_frame")
        else "float64"
        for name in table_columns(labels)
    }


def event_row(entry: Mapping[str, Any], labels: Iterable[str]) -> dict[str, Any]:
    """One entry of ``events`` by the columns of `table_columns`, and what else it has."""
    probabilities, regions = entry["probabilities"] or {}, entry["regions"] or {}
    amplitude = entry.get("amplitude") or {}
    return {
        **entry,
        **{f"p_{name}": probabilities.get(name) for name in labels},
        "top_region": max(regions, key=lambda cell: regions[cell]) if regions else "",
        "action_units": unit_names(entry.get("action_units") or ()),
        "amplitude_units": amplitude.get("units"),
        "amplitude_sd": amplitude.get("deviation"),
        "amplitude_px": amplitude.get("px"),
        "false_alarm_rate_per_hour": entry.get("false_alarm_rate_per_hour"),
        "kind": kind_of(entry),
    }


def event_to_dict(event: MicroExpression, media: MediaTimes | None = None) -> dict[str, Any]:
    """One entry of ``events`` in ``events.json``."""
    return {
        "kind": event.kind,
        **_seconds(event.interval, media),
        "onset_frame": event.onset_frame,
        "apex_frame": event.apex_frame,
        "offset_frame": event.offset_frame,
        "label": event.label,
        "probabilities": {name: round(value, 4) for name, value in event.probabilities.items()},
        "uncertain": event.uncertain,
        "strength": round(event.strength, 3),
        "regions": {cell: round(share, 4) for cell, share in event.regions.items()},
        "action_units": [_unit_to_dict(found) for found in event.action_units],
        "amplitude": _amplitude_to_dict(event.amplitude),
        "false_alarm_rate_per_hour": _rounded(event.false_alarms_per_hour),
    }


def _seconds(interval: Interval, media: MediaTimes | None) -> dict[str, float]:
    seconds = {"onset_s": interval.onset, "apex_s": interval.apex, "offset_s": interval.offset}
    if media is not None:
        seconds |= {f"media_{name}": media.at(value) for name, value in seconds.items()}
    return {name: round(value, 6) for name, value in seconds.items()}


def held_back_to_dict(item: HeldBack, media: MediaTimes | None = None) -> dict[str, Any]:
    """One entry of ``held_back`` in ``events.json``; its pictures are in no JSON."""
    return {
        **_seconds(item.interval, media),
        "onset_frame": item.onset_frame,
        "apex_frame": item.apex_frame,
        "offset_frame": item.offset_frame,
        "reason": item.reason,
        "strength": round(item.strength, 3),
        "size_units": _rounded(item.units),
        "size_px": _rounded(item.pixels),
    }


def held_back_from_dict(entry: Mapping[str, Any]) -> HeldBack:
    """What ``held_back_to_dict`` gave."""
    return HeldBack(
        Interval(entry["onset_s"], entry["apex_s"], entry["offset_s"]),
        entry["onset_frame"],
        entry["apex_frame"],
        entry["offset_frame"],
        entry["reason"],
        entry["strength"],
        entry["size_units"],
        entry["size_px"],
    )


def event_from_dict(entry: Mapping[str, Any]) -> MicroExpression:
    """What ``event_to_dict`` gave; what a coder added has nothing of the machine's."""
    amplitude = entry.get("amplitude")
    return MicroExpression(
        interval=Interval(entry["onset_s"], entry["apex_s"], entry["offset_s"]),
        onset_frame=entry["onset_frame"],
        apex_frame=entry["apex_frame"],
        offset_frame=entry["offset_frame"],
        label=entry["label"],
        probabilities=entry["probabilities"],
        uncertain=entry["uncertain"],
        strength=entry["strength"],
        regions=entry["regions"],
        # answers from before action units were named have none
        action_units=tuple(unit_from_dict(found) for found in entry.get("action_units", ())),
        amplitude=None
        if amplitude is None
        else Amplitude(amplitude["units"], amplitude["deviation"], amplitude["px"]),
        false_alarms_per_hour=entry.get("false_alarm_rate_per_hour"),
        kind=kind_of(entry),
    )


def _read_curve(path: Path) -> tuple[MotionCurve, DetectionLimits | None]:
    """The content of ``curve.csv``; an empty limit is one that is not known, or a closed region."""
    import pandas as pd  # noqa: PLC0415 - as above

    try:
        table = pd.read_csv(path, dtype=np.float64)
        times = table["time_s"].to_numpy()
        curve = MotionCurve(times, table["score"].to_numpy(), table[list(CELLS)].to_numpy())
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"expected the curve of an analysis in {path}, got another file ({error}); remove it"
        ) from None
    regions = {r: table[f"limit_{r}"].to_numpy() for r in REGIONS if f"limit_{r}" in table}
    return curve, DetectionLimits(times, regions) if regions else None


def kind_of(entry: Mapping[str, Any]) -> ExpressionKind:
    """Of an event of ``events.json``; those of 0.1 have none and are micro-expressions.

    >>> kind_of({"label": "mine"})
    'micro'
    """
    return "macro" if entry.get("kind") == "macro" else "micro"


def kind_counts(entries: Iterable[Mapping[str, Any]]) -> dict[ExpressionKind, int]:
    """How many events of ``events.json`` are micro-expressions, and how many longer ones."""
    kinds = [kind_of(entry) for entry in entries]
    return {"micro": kinds.count("micro"), "macro": kinds.count("macro")}


def _amplitude_to_dict(amplitude: Amplitude | None) -> dict[str, float | None] | None:
    if amplitude is None:
        return None
    return {
        "units": _rounded(amplitude.units),
        "deviation": _rounded(amplitude.deviation),
        "px": _rounded(amplitude.pixels),
    }


def _region_limit(
    values: NDArray[np.float64], seconds: NDArray[np.float64], scale: float
) -> RegionLimit:
    """Of one region: (n,) limits, each for so many seconds; what is unknown counts as not found."""
    order = np.argsort(values)  # closed moments last, and unknown ones after them
    passed = np.cumsum(seconds[order])
    at = np.searchsorted(passed, np.array(_PERCENT) / 100 * passed[-1])
    low, half, high = np.nan_to_num(values[order][at], nan=np.inf, posinf=np.inf).tolist()
    found = float(seconds[values <= STATED_UNITS].sum())
    pixels = (low * scale, half * scale, high * scale)
    return RegionLimit((low, half, high), pixels, found, found / float(passed[-1]))


def _limits_to_dict(regions: Mapping[str, RegionLimit]) -> dict[str, Any] | None:
    """``limits`` of ``events.json``; sizes are None where the region is closed by then."""
    if not regions:
        return None
    return {
        name: {
            "median_units": _rounded(limit.units[1]),
            "median_px": _rounded(limit.pixels[1]),
            "p10_units": _rounded(limit.units[0]),
            "p10_px": _rounded(limit.pixels[0]),
            "p90_units": _rounded(limit.units[2]),
            "p90_px": _rounded(limit.pixels[2]),
            "open_share": _rounded(limit.share),
            "seconds": _rounded(limit.seconds),
        }
        for name, limit in regions.items()
    }


def _rounded(value: float | None) -> float | None:
    """Four decimals; None for what strict JSON cannot carry."""
    return None if value is None or not np.isfinite(value) else round(float(value), 4)


def _unit_to_dict(found: UnitEvidence) -> dict[str, Any]:
    return {
        "name": found.name,
        "unit": found.unit,
        "side": found.side,
        "probability": round(found.probability, 4),
        "strength": round(found.share, 4),
    }


def unit_from_dict(entry: Mapping[str, Any]) -> UnitEvidence:
    """The action unit of one entry of ``action_units`` in ``events.json``."""
    return UnitEvidence(entry["unit"], entry["side"], entry["strength"], entry["probability"])


def unit_names(entries: Iterable[Mapping[str, Any]]) -> str:
    """Action units in one cell of a table, joined as the databases' own tables join them.

    >>> unit_names([{"name": "L12"}, {"name": "6"}])
    'L12+6'
    """
    return "+".join(entry["name"] for entry in entries)
