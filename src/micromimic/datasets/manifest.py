"""The manifest: one CSV row a clip, the only thing that preparation and evaluation read.

Columns ``dataset,subject,clip,label,kind,path`` and, where they exist, ``onset,apex,offset,fps``.
Paths are relative to the manifest; subjects and clips are text (006 stays 006); further columns are
kept and ignored. Frame numbers are those in the pictures' names (``img46.jpg`` is 46) for kind
``frames``, and count decoded frames from 0 for kind ``video``.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

from micromimic.datasets.cells import row_text, text_cells
from micromimic.datasets.columns import check_columns
from micromimic.errors import InputError
from micromimic.files import write_whole
from micromimic.labels import EMOTIONS, Emotion

Kind = Literal["frames", "video", "image", "flow_map"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
REQUIRED: Final = ("dataset", "subject", "clip", "label", "kind", "path")
OPTIONAL: Final = ("onset", "apex", "offset", "fps")


@dataclass(frozen=True)
class Clip:
    """One clip that holds one micro-expression.

    Args:
        dataset, subject, clip: names; a clip's name is unique within its subject.
        label: class.
        kind: what ``path`` is: a folder of frames, a video, a picture of the apex, or a flow map.
        path: absolute, or relative to the working directory.
        onset, apex, offset: frame numbers; None where unknown.
        fps: frames a second; None where unknown.
        extra: further columns.

    Raises:
        ValueError: if onset, apex and offset are out of order.
    """

    dataset: str
    subject: str
    clip: str
    label: Emotion
    kind: Kind
    path: Path
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    fps: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [n for n in (self.onset, self.apex, self.offset) if n is not None]
        if known != sorted(known):
            raise ValueError(
                f"expected onset <= apex <= offset, got {self.onset}, {self.apex}, {self.offset}"
            )

    @property
    def who(self) -> str:
        """The subject, qualified: ``samm/006``."""
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> str:
        """The clip, qualified: ``samm/006/006_1_2``."""
        return f"{self.who}/{self.clip}"


def read_manifest(path: Path, *, check_files: bool = True) -> tuple[Clip, ...]:
    """Read and check a manifest.

    Args:
        path: the CSV file.
        check_files: look whether each clip's file or folder is there.

    Raises:
        InputError: a missing column, an unknown label or kind, a clip listed twice, a path that is
            gone, one subject's name in two databases, frame numbers that are none or out of order.
    """
    if not path.is_file():
        raise InputError(f"expected a manifest at {path}, found no file; check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected a manifest as UTF-8 text, got {error}; check {path}") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    check_columns(reader.fieldnames, REQUIRED, path, "add them")
    clips = tuple(_clip(row_text(row), path, reader.line_num) for row in reader)
    if not clips:
        raise InputError(f"expected clips in {path}, got only a header; list some")
    _check_names(clips, path)
    if check_files:
        _check_files(clips, path)
    return clips


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Write a manifest; paths become relative to it.

    Raises:
        InputError: a path or a name that is no UTF-8.
        OutputError: if it cannot be written.
    """
    write_whole(path, manifest_text(clips, path.absolute().parent))


def manifest_text(clips: Iterable[Clip], folder: Path | None = None) -> str:
    """The content of a manifest.

    Args:
        clips: its rows.
        folder: where it will lie, for paths relative to it; None where they are that already.

    Raises:
        InputError: a path or a name that is no UTF-8.
    """
    rows = list(clips)
    extra = sorted({name for clip in rows for name in clip.extra})
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*REQUIRED, *OPTIONAL, *text_cells(extra)])
    for clip in rows:
        place = clip.path if folder is None else Path(os.path.relpath(clip.path.absolute(), folder))
        numbers = (clip.onset, clip.apex, clip.offset, clip.fps)
        writer.writerow(
            text_cells(
                [clip.dataset, clip.subject, clip.clip, clip.label, clip.kind, place.as_posix()]
            )
            + ["" if n is None else f"{n:g}" if isinstance(n, float) else str(n) for n in numbers]
            + text_cells(clip.extra.get(name, "") for name in extra)
        )
    text = out.getvalue()
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        start = text.rfind("\n", 0, error.start) + 1
        line = text[start : text.find("\n", error.start)]
        raise InputError(
            f"expected names that are UTF-8 in a manifest, got {line!r}; rename the file or folder"
        ) from None
    return text


def frame_number(name: str) -> int | None:
    """The last run of digits of a picture's name.

    >>> frame_number("reg_img46.jpg"), frame_number("006_05562.jpg"), frame_number("a.png")
    (46, 5562, None)
    """
    digits = re.findall(r"\d+", Path(name).stem)
    return int(digits[-1]) if digits else None


def _clip(row: Mapping[str, str | None], path: Path, line: int) -> Clip:
    def text(name: str) -> str:
        return (row.get(name) or "").strip()

    where = f"line {line} of {path}"
    for name in ("dataset", "subject", "clip", "path"):
        if not text(name):
            raise InputError(f"expected a {name} in {where}, got nothing; fill it in")
    if text("label") not in EMOTIONS:
        raise InputError(
            f"expected a label among {', '.join(EMOTIONS)}, got {text('label')!r} "
            f"for clip {text('clip')} in {where}; correct it"
        )
    if text("kind") not in KINDS:
        raise InputError(
            f"expected a kind among {', '.join(KINDS)}, got {text('kind')!r} "
            f"for clip {text('clip')} in {where}; correct it"
        )
    numbers = {name: _number(text(name), name, where) for name in OPTIONAL}
    fps = numbers["fps"]
    if fps is not None and fps <= 0:
        raise InputError(f"expected fps above 0, got {fps:g} in {where}; correct it")
    try:
        return Clip(
            dataset=text("dataset"),
            subject=text("subject"),
            clip=text("clip"),
            label=text("label"),
            kind=cast("Kind", text("kind")),
            path=path.parent / text("path"),
            onset=_whole(numbers["onset"], "onset", where),
            apex=_whole(numbers["apex"], "apex", where),
            offset=_whole(numbers["offset"], "offset", where),
            fps=fps,
            extra={
                name: value or ""
                for name, value in row.items()
                if isinstance(name, str) and name not in (*REQUIRED, *OPTIONAL)
            },
        )
    except ValueError as error:
        raise InputError(f"{error} in {where}; correct them") from None


def _number(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise InputError(f"expected {name} to be a number or empty, got {text!r} in {where}")
    return value


def _whole(value: float | None, name: str, where: str) -> int | None:
    if value is None:
        return None
    if value < 0 or value != int(value):
        raise InputError(f"expected {name} to be a frame number, got {value:g} in {where}")
    return int(value)


def _check_names(clips: Sequence[Clip], path: Path) -> None:
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


def _check_files(clips: Sequence[Clip], path: Path) -> None:
    gone = []
    for clip in clips:
        there = clip.path.is_dir() if clip.kind == "frames" else clip.path.is_file()
        if not there:
            gone.append(clip)
    if gone:
        kind = "folder of frames" if gone[0].kind == "frames" else "file"
        rest = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
        raise InputError(
            f"expected a {kind} at {gone[0].path} for clip {gone[0].key}, found none{rest}; "
            f"correct the paths in {path}, they are relative to it"
        )
