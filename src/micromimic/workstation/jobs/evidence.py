"""What the machine makes of one stretch of a recording that a person points at: nothing is tracked
again, the frames of the stretch alone are read, and looked at as those of any event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import AnalyzeConfig, event_of
from micromimic.analysis.second_pass import second_pass
from micromimic.core.errors import InputError
from micromimic.core.files import write_whole
from micromimic.core.results import event_to_dict
from micromimic.core.strict_json import tidy
from micromimic.face.signals import N_CELLS, FaceSignals
from micromimic.media.video import open_source
from micromimic.models.action_units import shipped_unit_model
from micromimic.models.onnx import opened_model
from micromimic.motion.spotting.cells import Spotted
from micromimic.workstation.jobs.artifacts import event_document, times_of
from micromimic.workstation.jobs.clips import write_clips
from micromimic.workstation.jobs.frame_index import use_index

SCHEMA: Final = "micromimic.evidence/1"
DOCUMENT: Final = "evidence.json"


def write_evidence(
    video: Path,
    results: Path,
    folder: Path,
    stretch: tuple[int, ...],
    *,
    fps: float | None = None,
    config: AnalyzeConfig | None = None,
    decoder_threads: int | None = None,
) -> None:
    """Write ``evidence.json``, pictures and clips of a stretch (its onset, apex and offset, frames)
    to ``0`` in an empty folder.

    ``results`` is where the recording's ``review.json`` and ``frames.bin`` are, ``fps`` as in its
    analysis. InputError where the face was not followed through the stretch, or the video is not
    what was analysed.
    """
    config = config or AnalyzeConfig()
    review, columns = _read(results)
    signals = _signals(review, columns)
    onset, apex, offset = stretch
    _check_followed(signals, stretch)
    score = float(np.nan_to_num(columns["score"][apex]))
    item = Spotted(onset, apex, offset, score)
    model, units = opened_model(config.model), shipped_unit_model()
    with open_source(video, fps, threads=decoder_threads) as frames:
        use_index(frames, results)
        [pictures] = second_pass(frames, signals, [item], config, model.view)
        event, track = event_of(item, pictures, signals, model, units), signals.track()
        rate = float(review["fps"])
        write_clips(frames, event, track, rate, folder / "0")
    content = tidy(event_document(0, event, track, rate))
    content |= {"schema": SCHEMA, "machine": event_to_dict(event)}
    write_whole(folder / "0" / DOCUMENT, json.dumps(content, allow_nan=False))


def _read(results: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """The content of ``review.json``, and the columns of ``frames.bin``."""
    try:
        review = json.loads((results / "review.json").read_text(encoding="utf-8"))
        names, rows = review["frames_bin"]["columns"], review["frames_bin"]["rows"]
        numbers = np.frombuffer((results / "frames.bin").read_bytes(), "<f4")
        return review, dict(zip(names, numbers.reshape(len(names), rows), strict=True))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "expected review.json and frames.bin of the recording's analysis, got a damaged file "
            f"({type(error).__name__}); remove both, and the next start of the server makes them"
        ) from None


def _signals(review: Mapping[str, Any], columns: Mapping[str, NDArray[np.float32]]) -> FaceSignals:
    """Where the face was on each frame, as the analysis left it; what it measured there is not
    needed again."""
    count = len(columns["segment"])
    unknown = np.full(count, np.nan, np.float32)
    transform = np.stack([columns[f"t{k}"] for k in range(6)], axis=1).astype(np.float64)
    return FaceSignals(
        times=times_of(review, count),
        segments=columns["segment"].astype(np.int_),
        displacement=np.broadcast_to(np.float32(np.nan), (count, N_CELLS, 2)),
        eye_change=unknown,
        brightness=unknown,
        similarity=unknown,
        transform=transform.reshape(count, 2, 3),
        landmarks={
            int(segment): np.asarray(face["landmarks"], np.float64)
            for segment, face in review["segments"].items()
        },
    )


def _check_followed(signals: FaceSignals, stretch: tuple[int, ...]) -> None:
    segments = signals.segments[list(stretch)]
    if segments.min() < 0 or len(set(segments.tolist())) > 1:
        onset, apex, offset = stretch
        raise InputError(
            f"expected a face that is followed from onset to offset, got one that is lost between "
            f"frames {onset}, {apex} and {offset}; choose a stretch in which it is seen throughout"
        )
