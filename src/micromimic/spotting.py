"""Finding movements in video, and how well that is done: what is public of both."""

from micromimic.analysis.long_videos.run import audit_events, evaluate_spotting, score_events
from micromimic.evaluation.spotting import (
    OracleSpotter,
    Span,
    SpottedVideo,
    SpottingScore,
    match_events,
    score_spotting,
    spotting_metrics,
    strs_metrics,
    threshold_curve,
)
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.joined import Found, find

__all__ = [
    "Found",
    "OracleSpotter",
    "Span",
    "SpottedVideo",
    "SpottingConfig",
    "SpottingScore",
    "audit_events",
    "evaluate_spotting",
    "find",
    "match_events",
    "score_events",
    "score_spotting",
    "spotting_metrics",
    "strs_metrics",
    "threshold_curve",
]
