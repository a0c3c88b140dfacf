"""The files that the micro-expression grand challenges (MEGC) take, written and read.

- **Spotting** (MEGC 2022; 2023 took the same): ``vid,pred_onset,pred_offset,type``, a row a found
  interval, type ``me`` for a micro- and ``mae`` for a macro-expression, one file a database.
- **Spot-then-recognise** (input of the published STRS metric, which an entry of 2024 follows too):
  ``subject,video,onset,offset,emotion``, micro-expressions only.

The challenges' pages of submission are behind a login; columns and codes here are those of public
entries (2022, 2023, 2024) and of the published metric. Compare with the page of the year that you
hand in to. Frames are as the database numbers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from micromimic.core.errors import InputError
from micromimic.datasets.table import read_table
from micromimic.evaluation.spotting.matching import SpottedVideo

if TYPE_CHECKING:
    import pandas as pd

_TYPES: Final[Mapping[str, str]] = {"micro": "me", "macro": "mae"}
_SPOTTING: Final = ("vid", "pred_onset", "pred_offset", "type")
_STRS: Final = ("subject", "video", "onset", "offset", "emotion")
_OURS: Final[Mapping[str, str]] = {
    "vid": "video",
    "pred_onset": "onset",
    "pred_offset": "offset",
    "type": "kind",
    "emotion": "label",
}
"""Their columns and ours."""
_KNOWN: Final = ("dataset", "subject", "apex", "score")


def submission_csv(videos: Sequence[SpottedVideo]) -> str:
    """The text of a spotting submission, of the videos of one database.

    Where people have videos of the same name, a column ``subject`` before theirs says whose.
    """
    rows = [
        (video.subject, video.video, span.onset, span.offset, _TYPES[span.kind])
        for video in videos
        for span in video.found
    ]
    if len({video.video for video in videos}) < len(videos):
        return _text(("subject", *_SPOTTING), rows)
    return _text(_SPOTTING, [row[1:] for row in rows])


def strs_csv(videos: Sequence[SpottedVideo]) -> str:
    """The text of a spot-then-recognise submission, of the videos of one database."""
    rows = [
        (video.subject, video.video, span.onset, span.offset, span.label or "")
        for video in videos
        for span in video.found
        if span.kind == "micro"
    ]
    return _text(_STRS, rows)


def read_found(path: str | Path, what: str = "found events") -> pd.DataFrame:
    """A table of found events, ours (``events.csv``) or either of theirs, as text with our columns.

    ``video``, ``onset``, ``offset``, and of ``dataset``, ``subject``, ``apex``, ``kind``, ``label``
    and ``score`` what is there; its index the line of the file.
    """
    table = read_table(path, (), known=(*_OURS, *_OURS.values(), *_KNOWN), what=what)
    renamed = {old: new for old, new in _OURS.items() if old in table and new not in table}
    table = table.rename(columns=renamed)
    missing = [name for name in ("video", "onset", "offset") if name not in table]
    if missing:
        raise InputError(
            f"expected columns video, onset and offset in {path}, or those of a MEGC submission, "
            f"got none named {', '.join(missing)}; add them"
        )
    if "kind" in table:
        ours = {theirs: kind for kind, theirs in _TYPES.items()}
        table["kind"] = [ours.get(text.casefold(), text) for text in table["kind"]]
    return table


def _text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    import pandas as pd  # noqa: PLC0415 - slow to import

    return str(pd.DataFrame(rows, columns=list(header)).to_csv(index=False, lineterminator="\n"))
