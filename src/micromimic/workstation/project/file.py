"""A study as one portable file: everything that was recorded of it, with or without its videos.

A zip: ``project.json`` (schema ``micromimic.project/1``: the study, subjects, sessions, recordings,
decisions, markers), ``answers/ID.json`` the machine's answer to each recording, and the files of
its folder as ``recordings/ID/NAME``: the numbers, and with videos the pictures too. Rows are the
columns of the records by name, times as ISO 8601.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import methodcaller
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar, cast, get_args

import sqlalchemy as sa
from sqlalchemy import select

import micromimic
from micromimic.core.errors import InputError, NotFoundError, OutputError
from micromimic.core.files import write_pieces
from micromimic.core.results import Analysis
from micromimic.core.strict_json import json_text
from micromimic.workstation.export.zip import zip_pieces
from micromimic.workstation.records import recordings, reviews
from micromimic.workstation.records.database import Store, Transaction, reading
from micromimic.workstation.records.folder import IMPORTED, NUMBERS, PICTURES, owned_names
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Base,
    Decision,
    Marker,
    Moment,
    Recording,
    Session,
    Study,
    Subject,
)
from micromimic.workstation.records.payloads import ACTIONS, CodingMode
from micromimic.workstation.records.review import FrameTimes, reviewed
from micromimic.workstation.records.study import get_study
from micromimic.workstation.records.values import coder, known_id, moment

SCHEMA: Final = "micromimic.project/1"
CONTENT: Final = "project.json"
ENDING: Final = ".micromimic.zip"
LARGEST_JSON: Final = 128 << 20
"""Bytes of one JSON file in a project, unpacked: more is no study."""
_ISO: Final = methodcaller("isoformat")
_ID_LENGTH: Final = 32
_ANSWER: Final = re.compile(r"answers/([0-9a-f]{32})\.json")
_INSIDE: Final = rf"(?:{PICTURES}/(?:[\w-]+/){{1,2}})?\w[\w.-]*"
_FILE: Final = re.compile(rf"recordings/([0-9a-f]{{32}})/({_INSIDE})")

R = TypeVar("R", bound=Base)


@dataclass(frozen=True)
class Packed:
    """What goes into a project file: its content, whose answers, and where its files are."""

    store: Store
    content: str
    answered: tuple[str, ...]
    files: Mapping[str, Path]
    title: str

    def entries(self) -> Iterator[tuple[str, str | Path]]:
        """Every file by name; answers, which are large and never change, are read one by one."""
        yield CONTENT, self.content
        for recording_id in self.answered:
            answer = reviews.get_analysis(self.store, recording_id)
            if answer is not None:
                yield f"answers/{recording_id}.json", json_text(values_of(answer), default=_ISO)
        yield from self.files.items()


@reading
def gather_project(
    transaction: Transaction, *, videos: bool = False, reader: str | None = None
) -> Packed:
    """Everything of the study; with ``reader``, what that coder may see.

    A coder's project leaves out what others decided on recordings that this coder has not marked
    done: `ConflictError` where the study is coded blind and the machine's answer to one is not open
    yet. Without a reader, for who leads the study, it is whole. Videos are those still kept.
    """
    reader = None if reader is None else coder(reader)
    rows: dict[str, list[dict[str, Any]]] = {
        kind.__tablename__: [
            values_of(row)
            for row in transaction.scalars(select(kind).order_by(*kind.__table__.primary_key))
        ]
        for kind in (Subject, Session, Recording, Decision, Marker)
    }
    files: dict[str, Path] = {}
    answered, hidden = [], set()
    for recording in recordings.list_recordings(transaction, limit=None):
        found = _files(transaction.store.folder(recording.id), recording, videos=videos)
        if reader is not None:
            reviews.check_machine_open(transaction, recording.id, reader)
            if not reviews.is_open_to(transaction, recording.id, reader):
                hidden.add(recording.id)
            if not reviews.is_import_open(transaction, recording.id, reader):
                found.pop(IMPORTED, None)
        if recording.events is not None:
            answered.append(recording.id)
        files |= {f"recordings/{recording.id}/{name}": path for name, path in found.items()}
    rows["decisions"] = [
        row
        for row in rows["decisions"]
        if row["recording_id"] not in hidden or row["coder"] == reader
    ]
    study = get_study(transaction)
    content = {
        "schema": SCHEMA,
        "version": micromimic.__version__,
        "written_at": transaction.now.isoformat(),
        "videos": videos,
        "study": values_of(study),
        **rows,
    }
    text = json_text(content, default=_ISO)
    return Packed(transaction.store, text, tuple(answered), files, study.title)


def write_project(packed: Packed, path: Path) -> None:
    """A new file, whole or not at all; `OutputError` where there is one already."""
    if path.exists():
        raise OutputError(
            f"expected a new file, got one that is there, {path}; choose another --out or remove it"
        )
    # Private: what the records are, and people's faces with --videos.
    write_pieces(path, zip_pieces(packed.entries()), private=True)


class Project:
    """A project file that was opened: its rows as records that are in no database yet."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.name = name
        self._archive = archive
        self._sizes = _members(archive, name)
        content = self._json(CONTENT)
        if content.get("schema") != SCHEMA:
            raise InputError(
                f"expected a project of {SCHEMA} in {name}, got {str(content.get('schema'))[:40]}; "
                "update micromimic, or choose another file"
            )
        self.study = self._row(Study, content["study"])
        self.subjects = self._rows(Subject, content)
        self.sessions = self._rows(Session, content)
        self.recordings = self._rows(Recording, content)
        self.decisions = self._rows(Decision, content)
        self.markers = self._rows(Marker, content)
        self._check_references()
        self._trails: dict[str, dict[str, list[Decision]]] = {}
        for row in sorted(self.decisions, key=lambda d: d.number):
            own = self._trails.setdefault(row.recording_id, {}).setdefault(row.coder, [])
            own.append(row)
            known = row.action in ACTIONS and row.mode in get_args(CodingMode)
            if not known or row.number != len(own):
                raise InputError(
                    f"expected whole trails of decisions in {name}, got {row.action} as number "
                    f"{row.number} of {row.coder} ({row.mode}); export it again"
                )
            if not isinstance(row.payload, dict):
                raise InputError(f"expected what {row.coder} decided in {name}, got no object")
        self._files: dict[str, dict[str, int]] = {}
        for member, size in self._sizes.items():
            if match := _FILE.fullmatch(member):
                self._files.setdefault(match[1], {})[match[2]] = size

    def answer(self, recording_id: str) -> AnalysisRecord | None:
        """The machine's own to a recording; read anew each time, since it is large."""
        name = f"answers/{recording_id}.json"
        if name not in self._sizes:
            return None
        found = self._row(AnalysisRecord, self._json(name))
        Analysis.from_dict(found.payload)  # raises where it is a part, or another's
        reviewed(found.payload["events"], (), FrameTimes.of(found.review))
        for key in ("threshold", "blinks", "rejected"):
            found.review[key]
        return found

    def trails(self, recording_id: str) -> Mapping[str, list[Decision]]:
        """Each coder's decisions on a recording, by number."""
        return self._trails.get(recording_id, {})

    def files(self, recording_id: str) -> Mapping[str, int]:
        """Bytes, unpacked, of the files of a recording's folder by name."""
        return self._files.get(recording_id, {})

    def extract(self, recording: Recording, folder: Path, *, media: bool) -> None:
        """A recording's files into a new folder; `InputError` where its video is another."""
        allowed = owned_names(recording.extension, "kept" if media else "none", answered=True)
        video = f"video{recording.extension}"
        for name in self.files(recording.id):
            if PurePosixPath(name).parts[0] not in allowed:
                continue
            for inside in reversed(PurePosixPath(name).parents):
                (folder / inside).mkdir(mode=0o700, exist_ok=True)
            with (
                self._archive.open(f"recordings/{recording.id}/{name}") as source,
                (folder / name).open("x+b") as file,
            ):
                (folder / name).chmod(0o600)
                shutil.copyfileobj(source, file)
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256") if name == video else None
            if digest is not None and digest.hexdigest() != recording.sha256:
                raise InputError(
                    f"expected the video of {recording.name} in {self.name}, got another or a part "
                    "of it; export the project again"
                )

    def _json(self, name: str) -> Any:
        if self._sizes.get(name, 0) > LARGEST_JSON:
            raise InputError(f"expected {name} in {self.name}, got more than a study can hold")
        try:
            return json.loads(self._archive.read(name))
        except KeyError:
            raise InputError(
                f"expected a project of micromimic in {self.name}, got a zip without {name}; "
                "choose another file"
            ) from None

    def _rows(self, kind: type[R], content: Mapping[str, Any]) -> list[R]:
        return [self._row(kind, row) for row in content[kind.__tablename__]]

    def _row(self, kind: type[R], row: Mapping[str, Any]) -> R:
        """`RefusedError` where a value is none that the records take."""
        columns = kind.__table__.columns
        strange = set(row) - set(columns.keys())
        if strange:
            raise InputError(
                f"expected columns that this version knows in {self.name}, got {min(strange)} of "
                f"{kind.__tablename__}; update micromimic"
            )
        return kind(**{name: _value(columns[name].type, value) for name, value in row.items()})

    def _check_references(self) -> None:
        """Every row must hang on one that is in the file, every decision be a person's."""
        for name in {row.coder for row in self.decisions}:
            if coder(name) != name:
                raise InputError(f"expected a coder's name in {self.name}, got {name!r}")
        subjects = {row.id for row in self.subjects}
        sessions = {row.id for row in self.sessions}
        videos = {row.id for row in self.recordings}
        for rows, key, known in (
            (self.sessions, "subject_id", subjects),
            (self.recordings, "session_id", sessions | {None}),
            (self.decisions, "recording_id", videos),
            (self.markers, "recording_id", videos),
        ):
            if any(getattr(row, key) not in known for row in cast("Sequence[Base]", rows)):
                raise InputError(
                    f"expected a whole project in {self.name}, got a row without its {key[:-3]}; "
                    "export it again"
                )


@contextlib.contextmanager
def opened_project(path: Path) -> Iterator[Project]:
    """A project file for reading; `InputError` where it is none, or a part of one."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Project(archive, path.name)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(
            f"expected a project file of micromimic in {path.name}, got: {error}; export it again"
        ) from None
    except (
        *(KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError),
        NotFoundError,
    ) as error:
        raise InputError(
            f"expected a whole project of micromimic in {path.name}, got {type(error).__name__}: "
            f"{error}; export it again"
        ) from error
    except FileNotFoundError:
        raise InputError(f"expected a project file at {path}, got none; check the path") from None


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, int]:
    """Names and sizes; nothing that a project has not, and no path that leads elsewhere."""
    sizes = {item.filename: item.file_size for item in archive.infolist()}
    for member in sizes:
        if not (member == CONTENT or _ANSWER.fullmatch(member) or _FILE.fullmatch(member)):
            raise InputError(
                f"expected a project file of micromimic in {name}, got a zip with {member[:60]!r}; "
                "choose another file"
            )
    return sizes


def _files(folder: Path, recording: Recording, *, videos: bool) -> dict[str, Path]:
    """What is there of a recording's files, by name."""
    owned = owned_names(recording.extension, recording.media, answered=recording.events is not None)
    names = owned if videos else owned & NUMBERS
    pictures = sorted((folder / PICTURES).rglob("*")) if PICTURES in names else ()
    found = (*(folder / name for name in sorted(names)), *pictures)
    return {
        path.relative_to(folder).as_posix(): path
        for path in found
        if path.is_file() and not path.is_symlink()
    }


def values_of(row: Base) -> dict[str, Any]:
    """By column."""
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}


def _value(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    """As the column takes it: times from text, and ids of 32 hex digits."""
    if value is None:
        return None
    if isinstance(kind, Moment):
        return moment(datetime.fromisoformat(value), "a moment")
    if isinstance(kind, sa.Date):
        return date.fromisoformat(value)
    if isinstance(kind, sa.String) and kind.length == _ID_LENGTH:
        return known_id(value, "row")
    return value
