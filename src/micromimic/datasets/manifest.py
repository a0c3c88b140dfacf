"""The manifest: one CSV row a clip, the only thing that preparation and evaluation read.

Columns ``dataset,subject,clip,label,kind,path`` and, where they exist, ``onset,apex,offset,fps``.
Labels of other schemes have columns of their own (``label5``...); a cell without a label leaves the
clip out of that scheme. Paths are relative to the manifest, with slashes or backslashes; subjects
and clips are text (006 stays 006); further columns are kept and ignored. Frame numbers are those in
the pictures' names (``img46.jpg`` is 46) for kind ``frames``, and count decoded frames from 0 for
kind ``video``. How the table may be written: `datasets.table`.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from micromimic.core.errors import InputError, ManifestWarning
from micromimic.core.files import write_whole
from micromimic.core.labels import LabelSet
from micromimic.datasets.base import normalized_name
from micromimic.datasets.clip import KINDS, Clip, Kind, frame_number
from micromimic.datasets.schemes import scheme
from micromimic.datasets.table import (
    check_names,
    frame_of,
    number,
    plain_name,
    read_table,
    records,
    table_text,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "KINDS", "OPTIONAL", "REQUIRED", "Clip", "Kind", "frame_number", "labels_of_manifest",
    "manifest_clips", "manifest_notes", "manifest_text", "read_manifest", "write_manifest",
]  # fmt: skip

REQUIRED: Final = ("dataset", "subject", "clip", "label", "kind", "path")
OPTIONAL: Final = ("onset", "apex", "offset", "fps")


def read_manifest(
    path: str | Path, labels: str | LabelSet = "three", *, check_files: bool = True
) -> tuple[Clip, ...]:
    """Read and check a manifest.

    Parameters
    ----------
    path : str | Path
        the table.
    labels : str | LabelSet
        the scheme, as `datasets.schemes.scheme` takes it; clips without a label in its column are
        left out (`manifest_notes` counts them).
    check_files : bool
        look whether each clip's file or folder is there.

    Raises
    ------
    InputError
        a missing column, an unknown kind, a clip listed twice, a path that is gone, one subject's
        name in two databases, frame numbers that are none or out of order.
    LabelError
        an unknown label or scheme, or databases whose schemes of one name differ.

    Warns
    -----
    ManifestWarning
        subjects that lost leading zeros, or whose names differ in little.
    """
    path = Path(path)
    frame, chosen = _open(path, labels)
    column = _column(frame, chosen, path)
    for note in _doubts(frame):
        warnings.warn(f"{note} in {path}", ManifestWarning, stacklevel=2)
    rows = ((where, row) for where, row in records(frame, path) if row[column])
    clips = tuple(_clip(row, row[column], chosen, path, where) for where, row in rows)
    if not clips:
        without = f"{len(frame)} without a label in its column {column}"
        got = "only a header" if frame.empty else without
        remedy = "list some, or spot in long videos: evaluate EVENTS --protocol spotting"
        raise InputError(f"expected clips in {path}, got {got}; {remedy}")
    return _checked(clips, path, check_files)


def manifest_clips(
    path: str | Path, *, labelled: bool = False, check_files: bool = True
) -> tuple[Clip, ...]:
    """Every row of a manifest, by whichever scheme it may have a label or by none.

    ``labelled`` leaves those out that have a label by no scheme; the rest is as `read_manifest`.
    """
    path = Path(path)
    frame = read_table(path, REQUIRED, known=OPTIONAL, what="a manifest")
    clips = tuple(
        _clip(row, row["label"], None, path, where)
        for where, row in records(frame, path)
        if not labelled or any(t for n, t in row.items() if re.fullmatch(r"label\d*", n, re.I))
    )
    if labelled and not clips:
        raise InputError(f"expected clips with a label in {path}, got none; list some")
    return _checked(clips, path, check_files)


def labels_of_manifest(path: str | Path, labels: str | LabelSet = "three") -> LabelSet:
    """The label set that `read_manifest` reads a manifest by."""
    return _open(Path(path), labels)[1]


def manifest_notes(path: str | Path, labels: str | LabelSet = "three") -> tuple[str, ...]:
    """What to know of a manifest beside its warnings, a line each: clips that are left out."""
    frame, chosen = _open(Path(path), labels)
    column = _column(frame, chosen, path)
    without = sum(not label for label in frame[column])
    text = f"{without} of {len(frame)} clips have no label in column {column}: left out"
    return (text,) if without else ()


def write_manifest(path: str | Path, clips: Iterable[Clip]) -> None:
    """Write a manifest; paths become relative to it.

    Examples
    --------
    >>> import tempfile
    >>> clip = Clip("mine", "006", "1", "positive", "image", Path("a.png"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_manifest(Path(folder, "clips.csv"), [clip])
    ...     [read.key for read in read_manifest(Path(folder, "clips.csv"), check_files=False)]
    ['mine/006/1']
    """
    write_whole(Path(path), manifest_text(clips, Path(path).absolute().parent))


def manifest_text(clips: Iterable[Clip], folder: Path | None = None) -> str:
    """The content of a manifest that will lie in ``folder``; None: paths are relative already."""
    import pandas as pd  # noqa: PLC0415 - slow to load

    rows = list(clips)
    extra = sorted({name for clip in rows for name in clip.extra})
    columns = [*REQUIRED, *OPTIONAL, *extra]
    cells = [
        [c.dataset, c.subject, c.clip, c.label, c.kind, _place(c.path, folder)]
        + [c.onset, c.apex, c.offset, None if c.fps is None else f"{c.fps:g}"]
        + [c.extra.get(name, "") for name in extra]
        for c in rows
    ]
    return table_text(pd.DataFrame(cells, columns=columns, dtype=object))


def _place(path: Path, folder: Path | None) -> str:
    """A path as a manifest has it; one with a backslash in a name says that it is none."""
    text = (path if folder is None else Path(os.path.relpath(path.absolute(), folder))).as_posix()
    return f"./{text}" if "\\" in text and not text.startswith("/") else text


def _file(text: str) -> str:
    """A path as this system has it: backslashes separate, unless it begins with ``./`` or ``/``."""
    return text if text.startswith(("./", "/")) else text.replace("\\", "/")


def _open(path: Path, labels: str | LabelSet) -> tuple[pd.DataFrame, LabelSet]:
    frame = read_table(path, REQUIRED, known=OPTIONAL, what="a manifest")
    if isinstance(labels, LabelSet):
        return frame, labels
    return frame, scheme(labels, sorted(set(frame["dataset"]) - {""}), found=frame["label"])


def _column(frame: pd.DataFrame, labels: LabelSet, path: object) -> str:
    """The column of a scheme; sets that somebody made up may stand in ``label``."""
    spelled = {plain_name(name): str(name) for name in frame.columns}
    if labels.column in spelled:
        return spelled[labels.column]
    if labels.merges:
        raise InputError(
            f"expected a column {labels.column} in {path} for the labels {labels}, got none; "
            f"index the databases with --labels {labels.name}"
        )
    return "label"


def _doubts(frame: pd.DataFrame) -> list[str]:
    """Subjects whose leading zeros a spreadsheet took, and pairs that may be one person."""
    lost: Counter[tuple[str, str]] = Counter()
    for _, row in records(frame, ""):
        subject = row["subject"]
        places = [row["clip"].split("_")[0], *re.split(r"[/\\]", row["path"])]
        longer = next((p for p in places if p.isdecimal() and p.lstrip("0") == subject != p), None)
        if longer and subject.isdecimal():
            lost[subject, longer] += 1
    doubts = [
        f"subject {subject} may have lost leading zeros: its clips or folders say {longer} "
        f"({count} row{'' if count == 1 else 's'})"
        for (subject, longer), count in lost.items()
    ]
    same = frame["subject"].groupby(
        [frame["dataset"], frame["subject"].map(normalized_name)], sort=False
    )
    return doubts + [
        f"subjects {' and '.join(sorted(set(subjects)))} of {dataset} may be one person"
        for (dataset, _), subjects in same
        if subjects.nunique() > 1
    ]


def _clip(
    row: Mapping[str, str], label: str, labels: LabelSet | None, path: Path, where: str
) -> Clip:
    check_names(row, ("dataset", "subject", "clip", "path"), where)
    parts = label.split("+") if labels and labels.several else [label]
    if labels and not set(parts) <= set(labels):
        raise InputError(
            f"expected a label among {labels}, got {label!r} for clip {row['clip']} in {where}; "
            "correct it, or name another scheme of labels"
        )
    if row["kind"] not in KINDS:
        raise InputError(
            f"expected a kind among {', '.join(KINDS)}, got {row['kind']!r} "
            f"for clip {row['clip']} in {where}; correct it"
        )
    onset, apex, offset = (
        frame_of(row[name], name, where) if row.get(name) else None for name in OPTIONAL[:3]
    )
    fps = number(row.get("fps", ""))
    if row.get("fps") and (fps is None or fps <= 0):
        raise InputError(
            f"expected fps above 0 or empty, got {row['fps']!r} in {where}; correct it"
        )
    names = row["dataset"], row["subject"], row["clip"]
    classes = "+".join(name for name in labels or parts if name in parts)
    file = path.parent / _file(row["path"])
    extra = {k: text for k, text in row.items() if k not in (*REQUIRED, *OPTIONAL)}
    try:
        return Clip(*names, classes, row["kind"], file, onset, apex, offset, fps, extra)
    except ValueError as error:
        raise InputError(f"{error} in {where}; correct them") from None


def _checked(clips: tuple[Clip, ...], path: Path, files: bool) -> tuple[Clip, ...]:
    seen: set[str] = set()
    homes: dict[str, str] = {}
    for clip in clips:
        if clip.key in seen:
            raise InputError(
                f"expected each clip once, got {clip.key} twice in {path}; remove one row"
            )
        seen.add(clip.key)
        home = homes.setdefault(clip.subject, clip.dataset)
        if home != clip.dataset:
            raise InputError(
                f"expected each subject in one database, got {clip.subject!r} in {home} and "
                f"{clip.dataset} in {path}; if they are two people rename one, if one person give "
                "their clips one dataset"
            )
    gone = [clip for clip in clips if files and not _is_there(clip)]
    if gone:
        kind = "folder of frames" if gone[0].kind == "frames" else "file"
        rest = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
        raise InputError(
            f"expected a {kind} at {gone[0].path} for clip {gone[0].key}, found none{rest}; "
            f"correct the paths in {path}, they are relative to it"
        )
    return clips


def _is_there(clip: Clip) -> bool:
    return clip.path.is_dir() if clip.kind == "frames" else clip.path.is_file()
