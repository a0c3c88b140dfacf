"""How well movements are found in long videos: matching, the challenges' scores, curves, leaks."""

from micromimic.evaluation.spotting.matching import (
    OracleSpotter,
    Span,
    SpottedVideo,
    SpottingScore,
    frame_iou,
    interval_iou,
    match_events,
    match_spans,
    pool,
    spotting_metrics,
)
from micromimic.evaluation.spotting.megc import read_found
from micromimic.evaluation.spotting.scores import score_spotting, strs_metrics
from micromimic.evaluation.spotting.thresholds import (
    above_thresholds,
    chosen_thresholds,
    spotting_leaks,
    threshold_curve,
)

__all__ = [
    "OracleSpotter",
    "Span",
    "SpottedVideo",
    "SpottingScore",
    "above_thresholds",
    "chosen_thresholds",
    "frame_iou",
    "interval_iou",
    "match_events",
    "match_spans",
    "pool",
    "read_found",
    "score_spotting",
    "spotting_leaks",
    "spotting_metrics",
    "strs_metrics",
    "threshold_curve",
]
