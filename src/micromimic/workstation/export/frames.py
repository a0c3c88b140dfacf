"""A recording frame by frame: score, limits, regions, action units, head, lids, landmarks.

Parquet, where pyarrow is installed, is a tenth of the CSV and keeps the types; CSV opens anywhere.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.track_file import NAME as TRACK_NAME, TrackTable
from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, INTEROCULAR, scale_of
from micromimic.core.errors import InputError, MissingExtraError
from micromimic.core.labels import CELLS, REGIONS
from micromimic.motion.spotting.dense.measure import UNITS_SEEN
from micromimic.workstation.export.codebook import FRAMES, columns_of

FrameFormat = Literal["parquet", "csv"]
FRAME_FORMATS: Final[tuple[FrameFormat, ...]] = get_args(FrameFormat)
_LIMITS: Final = tuple(f"limit_{region}" for region in REGIONS)
_CHUNK: Final = 5000

Columns = dict[str, NDArray[Any]]


def check_format(wanted: str) -> FrameFormat:
    """`InputError` where there is no such format, `MissingExtraError` where it needs pyarrow."""
    if wanted not in FRAME_FORMATS:
        raise InputError(f"expected frames as {' or '.join(FRAME_FORMATS)}, got {wanted!r}")
    if wanted == "parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError(
            "expected the package pyarrow for Parquet, got none; pip install 'micromimic[parquet]' "
            "or choose csv"
        )
    return "parquet" if wanted == "parquet" else "csv"


def frame_columns(folder: Path, review: Mapping[str, Any]) -> Columns:
    """The columns of ``codebook.FRAMES`` but the recording's id, NaN where nothing is known.

    ``folder`` is the recording's, ``review`` the content of its ``review.json``. What an older
    version did not write (lids, landmarks, units) is NaN; `InputError` where there is no curve.
    """
    own = curve_of(folder, review)
    n = len(own["time"])
    place = np.stack([own[f"t{k}"] for k in range(6)], axis=1).reshape(-1, 2, 3)
    found = own["segment"] >= 0
    with np.errstate(invalid="ignore"):
        eyes = np.mean([EYE_LEFT, EYE_RIGHT], axis=0)
        middle = place[:, :, :2] @ eyes + place[:, :, 2]
        columns: Columns = {
            "frame": np.arange(n, dtype=np.int32),
            "time_s": own["time"],
            "found": found.astype(np.int8),
            "score": own["score"],
            "head_roll_deg": np.degrees(np.arctan2(place[:, 1, 0], place[:, 0, 0])),
            "head_x_px": middle[:, 0],
            "head_y_px": middle[:, 1],
            "eyes_px": scale_of(place) * INTEROCULAR,
            **_tracked(folder, n),
            **{f"move_{cell}": own[cell] for cell in CELLS},
            **{k: np.where(np.isfinite(v), v, np.nan) for k, v in own.items() if k in _LIMITS},
        }
    unknown = np.full(n, np.nan, np.float32)
    return {c.name: columns.get(c.name, unknown) for c in columns_of(FRAMES)[1:]}


def curve_of(folder: Path, review: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The columns of a recording's ``frames.bin``."""
    about = review.get("frames_bin") or {}
    names, rows = about.get("columns", ()), about.get("rows", 0)
    try:
        table = np.frombuffer((folder / "frames.bin").read_bytes(), "<f4").reshape(-1, rows)
        return dict(zip(names, table, strict=True))
    except (OSError, ValueError) as error:
        raise InputError(
            "expected the curve of an analysis beside the recording, got none "
            f"({type(error).__name__}); analyse it again"
        ) from None


def _tracked(folder: Path, frames: int) -> Columns:
    """Lids, landmarks and units of ``track.npz``, from the version on that writes it."""
    if not (folder / TRACK_NAME).is_file():
        return {}
    track = TrackTable.read(folder)
    if len(track.times) != frames:
        raise InputError(
            f"expected a track of {frames} frames, got {len(track.times)}; analyse the recording "
            "again"
        )
    points, units = track.landmarks(0, frames), track.units_by_frame()
    return {
        "lids": track.lids,
        "brightness": track.brightness,
        **{f"au_{unit}": units[:, k] for k, unit in enumerate(UNITS_SEEN)},
        **{f"{axis}_{k}": points[:, k, a] for k in range(68) for a, axis in enumerate("xy")},
    }


def frames_file(recording_id: str, columns: Columns, format: FrameFormat) -> bytes:  # noqa: A002
    """The table as a file."""
    return _parquet(recording_id, columns) if format == "parquet" else _csv(recording_id, columns)


def _parquet(recording_id: str, columns: Columns) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415 - as above

    n = len(columns["frame"])
    ids = pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), [recording_id])
    arrays = {"recording_id": ids}
    for name, values in columns.items():
        plain = values.astype(np.float32) if values.dtype == np.float16 else values
        arrays[name] = pa.array(plain, from_pandas=True)  # NaN is "not known"
    target = io.BytesIO()
    parquet.write_table(pa.table(arrays), target, compression="zstd")
    return target.getvalue()


def _csv(recording_id: str, columns: Columns) -> bytes:
    line = ",".join("%d" if v.dtype.kind in "iu" else "%.5g" for v in columns.values())
    line = line.replace("%.5g", "%.6f", 1)  # the time, in microseconds
    parts = [",".join(["recording_id", *columns])]
    for start in range(0, len(columns["frame"]), _CHUNK):
        rows = zip(*(v[start : start + _CHUNK].tolist() for v in columns.values()), strict=True)
        text = "\n".join(f"{recording_id},{line % row}" for row in rows)
        parts.append(text.replace("nan", ""))
    return ("\n".join(parts) + "\n").encode()
