"""How well movements are found in long videos: matching, the challenges' scores, curves, leaks."""

from micromimic.evaluation.spotting.curve import (
    chosen_thresholds,
    have_scores,
    kept,
    threshold_curve,
)
from micromimic.evaluation.spotting.leaks import Leak, spotting_leaks
from micromimic.evaluation.spotting.matching import (
    Match,
    OracleSpotter,
    SpottingScore,
    interval_iou,
    match_events,
    pool,
)
from micromimic.evaluation.spotting.megc import read_found, strs_csv, submission_csv
from micromimic.evaluation.spotting.protocol import (
    KINDS,
    Span,
    SpottedVideo,
    frame_iou,
    match_spans,
    spotting_metrics,
)
from micromimic.evaluation.spotting.scores import score_spotting
from micromimic.evaluation.spotting.strs import strs_metrics

__all__ = [
    "KINDS",
    "Leak",
    "Match",
    "OracleSpotter",
    "Span",
    "SpottedVideo",
    "SpottingScore",
    "chosen_thresholds",
    "frame_iou",
    "have_scores",
    "interval_iou",
    "kept",
    "match_events",
    "match_spans",
    "pool",
    "read_found",
    "score_spotting",
    "spotting_leaks",
    "spotting_metrics",
    "strs_csv",
    "strs_metrics",
    "submission_csv",
    "threshold_curve",
]
