"""A project file into the records: what is new joins, what differs is a conflict to be decided.

Recordings are the same by their id or the digest of their video; subjects by their id, or by their
code where they share a recording, or a sitting of which one side has no recording; sittings by
their id, or subject, title and day. Decisions join recording by recording: a coder's trail that
goes on where the other ends is one trail. Nothing is changed unless every conflict has its answer,
and then all of it or nothing.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from micromimic.core.errors import ConflictError, OutputError, RefusedError
from micromimic.core.files import sync_tree
from micromimic.workstation.project.file import Project, opened_project, values_of
from micromimic.workstation.records import people, recordings, reviews
from micromimic.workstation.records.database import Store, Transaction
from micromimic.workstation.records.folder_lock import folder_lock, writing_files
from micromimic.workstation.records.jobs import add_job
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Base,
    Decision,
    Marker,
    Recording,
    Session,
    Study,
    Subject,
)
from micromimic.workstation.records.study import change_study, get_study
from micromimic.workstation.records.values import LONGEST_LINE, new_id
from micromimic.workstation.uploads import RESERVE_BYTES

OURS, THEIRS, BOTH, SAME = "ours", "theirs", "both", "same"
_KEEP: Final = {OURS: "keep what is here"}
_EITHER: Final = {**_KEEP, THEIRS: "take what comes"}
_APART: Final = {OURS: "leave their decisions out", BOTH: "take it as a recording of its own"}
_SETTINGS: Final = ("title", "mode", "scheme", "overlap")
_KINDS: Final = ("subjects", "sessions", "recordings", "decisions", "markers")
_decided: Final = attrgetter("action", "event", "payload", "target", "mode", "decided_at")
_marked: Final = attrgetter("tier", "label", "onset_s", "offset_s", "origin")


@dataclass(frozen=True)
class Conflict:
    """What differs: one line for people, and the answers that there are, each in words.

    ``key`` names it in ``resolutions``: equal for equal files and records.
    """

    key: str
    text: str
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Merge:
    """What a project file brings, or brought: new rows by kind, conflicts, and what is left out."""

    title: str
    added: Mapping[str, int]
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...]


def look_into(store: Store, path: Path) -> Merge:
    """What merging a project file would do; nothing is changed."""
    with opened_project(path) as project, store.read() as transaction:
        return _Plan(transaction, project, {}).merge()


def merge_project(store: Store, path: Path, resolutions: Mapping[str, str] | None = None) -> Merge:
    """Join a project file, whole or not at all.

    ``resolutions`` answer the conflicts by their keys: `ConflictError` where one has none, as where
    the scheme lacks what is coded; `InputError` where the file is damaged, `RefusedError` where an
    answer is none of the choices. Videos whose retention is over are left out.
    """
    with (
        folder_lock(store.data) as held,
        opened_project(path) as project,
        ExitStack() as stack,
    ):
        if not held:
            raise ConflictError(
                "expected no server to be running on these records, got one; import the project on "
                "its page Study"
            )
        made: list[Path] = []
        try:
            with store.write() as transaction:
                plan = _Plan(transaction, project, resolutions or {})
                plan.check_resolved()
                _check_room(store, project, [source for _, source in plan.coming])
                for recording, source in plan.coming:
                    folder = store.folder(recording.id)
                    stack.enter_context(writing_files(recording.id))
                    made.append(folder)
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir(mode=0o700, parents=True)
                    project.extract(source, folder, media=recording.media == "kept")
                    sync_tree(folder)
                plan.write()
                return plan.merge()
        except BaseException:
            for folder in made:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _check_room(store: Store, project: Project, coming: Iterable[Recording]) -> None:
    """Refuse before the disk is full; what a zip unpacks to is in its own list."""
    needed = sum(sum(project.files(recording.id).values()) for recording in coming)
    free = shutil.disk_usage(store.data).free
    if free < needed + RESERVE_BYTES:
        raise OutputError(
            f"expected {needed / 1e6:.0f} MB of room for {project.name} in {store.data}, got "
            f"{free / 1e6:.0f} MB; free some"
        )


class _Plan:
    """What becomes of each row; looked at first, written afterwards."""

    def __init__(
        self, transaction: Transaction, project: Project, resolutions: Mapping[str, str]
    ) -> None:
        self.transaction, self.project, self.resolutions = transaction, project, resolutions
        self.conflicts: list[Conflict] = []
        self.notes: list[str] = []
        self.added: Counter[str] = Counter()
        # new recordings, each with the row of the file that it is made of
        self.coming: list[tuple[Recording, Recording]] = []
        # in their order; then what changes sessions, whose consent says what may move and wait
        self.writes: list[Callable[[], object]] = []
        self.session_changes: list[Callable[[], object]] = []
        self.settings: dict[str, Any] = {}
        self._newcomers: list[str] = []
        self._listed = recordings.list_recordings(transaction, limit=None)
        self._people = {person.id: person for person in people.list_subjects(transaction)}
        self._sittings = people.list_sessions(transaction)
        self._markers: dict[str, list[Marker]] = defaultdict(list)
        for marker in project.markers:
            self._markers[marker.recording_id].append(marker)
        self._study()
        self._subjects = {subject.id: self._subject(subject) for subject in project.subjects}
        self._sessions = {session.id: self._session(session) for session in project.sessions}
        for recording in project.recordings:
            self._recording(recording)
        if self._newcomers and self._listed:
            self.notes.append(
                f"new here: {', '.join(self._newcomers)}; whoever was forgotten here comes back "
                "with the file"
            )

    def merge(self) -> Merge:
        added = {kind: self.added[kind] for kind in _KINDS}
        title = self.project.study.title
        return Merge(title, added, tuple(self.conflicts), tuple(self.notes))

    def check_resolved(self) -> None:
        """Whether every conflict has an answer that there is."""
        for conflict in self.conflicts:
            chosen = self.resolutions.get(conflict.key)
            if chosen is not None and chosen not in conflict.choices:
                raise RefusedError(
                    f"expected {' or '.join(conflict.choices)} for {conflict.key}, got {chosen!r}"
                )
        left = [c for c in self.conflicts if c.key not in self.resolutions]
        if left:
            first = left[0]
            more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
            raise ConflictError(
                f"expected projects that agree, got one that differs: {first.text}{more}; answer "
                f"{first.key}={'|'.join(first.choices)}"
            )

    def write(self) -> None:
        for write in (*self.writes, *self.session_changes):
            write()
        # with the scheme as it is, too: it must hold what was coded elsewhere
        scheme = self.settings.pop("scheme", get_study(self.transaction).scheme)
        if self.added["decisions"] or self.settings or scheme is not None:
            change_study(self.transaction, scheme=scheme, **self.settings)

    def _add(self, *rows: Base) -> None:
        for row in rows:
            self.added[row.__tablename__] += 1
        self.writes.append(partial(self._write, rows))

    def _write(self, rows: Iterable[Base]) -> None:
        self.transaction.add_all(rows)
        self.transaction.flush()

    def _ask(self, key: str, text: str, choices: Mapping[str, str]) -> str:
        """The answer to a conflict, or the first of the choices until there is one."""
        self.conflicts.append(Conflict(key, text, choices))
        chosen = self.resolutions.get(key, "")
        return chosen if chosen in choices else next(iter(choices))

    def _study(self) -> None:
        ours, theirs = get_study(self.transaction), self.project.study
        differing = [name for name in _SETTINGS if getattr(ours, name) != getattr(theirs, name)]
        if not differing or _untouched(theirs):
            return
        if not _untouched(ours):
            text = (
                f"the study differs in {', '.join(differing)}: {_named(ours)} here, "
                f"{_named(theirs)} there"
            )
            if self._ask("study", text, _EITHER) == OURS:
                return
        self.settings = {name: getattr(theirs, name) for name in differing}

    def _subject(self, theirs: Subject) -> str:
        if theirs.id in self._people:
            return theirs.id
        ours = next((p for p in self._people.values() if p.code == theirs.code), None)
        code = theirs.code
        if ours is not None:
            if self._is_same_person(ours, theirs):
                return ours.id
            text = f"{code} is in both, with other recordings and sessions: one person, or two?"
            choices = {SAME: "one person", BOTH: f"two: who comes is {self._free_code(code)}"}
            if self._ask(f"subject {code}", text, choices) == SAME:
                return ours.id
            code = self._free_code(code)
        row = Subject(id=theirs.id, code=code, note=theirs.note, created_at=theirs.created_at)
        self._people[row.id] = row
        self._newcomers.append(code)
        self._add(row)
        return row.id

    def _is_same_person(self, ours: Subject, theirs: Subject) -> bool:
        """Told by digests, and by sittings where one side has no recording to tell by."""
        sittings = [s for s in self.project.sessions if s.subject_id == theirs.id]
        own = [s for s in self._sittings if s.subject_id == ours.id]
        if {s.id for s in sittings} & {s.id for s in own}:
            return True
        ids = {s.id for s in sittings}
        digests = {r.sha256 for r in self.project.recordings if r.session_id in ids}
        here = {r.sha256 for r in self._listed if r.subject_id == ours.id}
        if digests and here:
            return bool(digests & here)
        days = {(s.title, s.held_on) for s in sittings}
        return not days or not own or bool(days & {(s.title, s.held_on) for s in own})

    def _session(self, theirs: Session) -> str:
        subject_id = self._subjects[theirs.subject_id]
        ours = next(
            (
                s
                for s in self._sittings
                if s.id == theirs.id
                or (s.subject_id, s.title, s.held_on) == (subject_id, theirs.title, theirs.held_on)
            ),
            None,
        )
        if ours is None:
            self._add(_copy(theirs, subject_id=subject_id))
            return theirs.id
        changes: dict[str, Any] = {}
        if theirs.condition and ours.condition and theirs.condition != ours.condition:
            text = (
                f"{ours.subject_code}, {ours.title or ours.held_on} has condition {ours.condition} "
                f"here, {theirs.condition} there"
            )
            if self._ask(f"condition {ours.id[:8]}", text, _EITHER) == THEIRS:
                changes["condition"] = theirs.condition
        elif theirs.condition:
            changes["condition"] = theirs.condition
        if _noted(theirs) > _noted(ours) and theirs.consent != ours.consent:
            changes["consent"] = theirs.consent  # what was noted last counts
        if changes:
            change = partial(people.change_session, self.transaction, ours.id, **changes)
            self.session_changes.append(change)
        return ours.id

    def _recording(self, theirs: Recording) -> None:
        session_id = None if theirs.session_id is None else self._sessions[theirs.session_id]
        ours = self._counterpart(theirs, session_id)
        answer = self.project.answer(theirs.id)
        if ours is not None and answer is not None:
            text = self._other_answer(ours, answer)
            if text:
                chosen = self._ask(f"answer {theirs.id[:8]}", text, _APART)
                if chosen == OURS:
                    self.notes.append(f"{theirs.name}: decisions on another answer are left out")
                    return
                ours = None
        if ours is None:
            self._new_recording(theirs, session_id, answer)
            return
        if session_id != ours.session_id and session_id is not None:
            self._moved(ours, theirs, session_id)
        self._join_trails(ours, theirs)
        self._join_markers(ours.id, theirs)

    def _counterpart(self, theirs: Recording, session_id: str | None) -> Recording | None:
        same = [ours for ours in self._listed if ours.id == theirs.id]
        alike = [ours for ours in self._listed if ours.sha256 == theirs.sha256]
        alike.sort(key=lambda ours: ours.session_id != session_id)  # stable: the newest first
        return next(iter(same + alike), None)

    def _other_answer(self, ours: Recording, theirs: AnalysisRecord) -> str:
        """Why decisions cannot be joined; empty where they can."""
        own = self.transaction.get(AnalysisRecord, ours.id)
        if own is None:
            return f"{ours.name} is not analysed here yet: wait for it, or choose"
        if _places(own) == _places(theirs):
            return ""
        return (
            f"the machine found other events in {ours.name} here than there, so that decisions "
            "cannot be joined"
        )

    def _new_recording(
        self, theirs: Recording, session_id: str | None, answer: AnalysisRecord | None
    ) -> None:
        has_video = f"video{theirs.extension}" in self.project.files(theirs.id)
        over = theirs.expires_at is not None and theirs.expires_at <= self.transaction.now
        kept = theirs.media == "kept" and has_video and not over
        if answer is None and not kept:
            self.notes.append(f"{theirs.name}: left out, it has neither an answer nor its video")
            return
        taken = any(ours.id == theirs.id for ours in self._listed)
        media = "kept" if kept else "expired" if over or theirs.media == "expired" else "none"
        row = _copy(theirs, id=new_id() if taken else theirs.id, session_id=session_id, media=media)
        self.coming.append((row, theirs))
        self._add(row)
        self.writes.append(partial(self._write_answer, row.id, theirs.id))
        for coder, trail in self.project.trails(theirs.id).items():
            self._add_trail(row.id, coder, trail)
        self._join_markers(row.id, theirs)

    def _moved(self, ours: Recording, theirs: Recording, session_id: str) -> None:
        """The same video belongs to another sitting there, or to one at all."""
        text = f"{ours.name} belongs to another session there than here"
        if ours.session_id is None or self._ask(f"session {ours.id[:8]}", text, _EITHER) == THEIRS:
            change = partial(recordings.change_recording, self.transaction, ours.id)
            self.writes.append(partial(change, session_id=session_id))

    def _join_trails(self, ours: Recording, theirs: Recording) -> None:
        taken = set(ours.coders)
        for coder, trail in self.project.trails(theirs.id).items():
            own = reviews.history(self.transaction, ours.id, coder)
            common = min(len(own), len(trail))
            if list(map(_decided, own[:common])) == list(map(_decided, trail[:common])):
                self._add_trail(ours.id, coder, trail, common)
                continue
            text = (
                f"{coder} has decided otherwise on {ours.name} here ({len(own)} decisions) than "
                f"there ({len(trail)})"
            )
            other = _free(coder, taken)
            choices = {**_KEEP, BOTH: f"keep both: theirs as {other}"}
            if self._ask(f"coding {ours.id[:8]} {coder}", text, choices) == BOTH:
                taken.add(other)
                self._add_trail(ours.id, other, trail)

    def _add_trail(
        self, recording_id: str, coder: str, trail: Sequence[Decision], there: int = 0
    ) -> None:
        """The whole trail, of which so many decisions are there."""
        if len(trail) > there:
            self.added["decisions"] += len(trail) - there
            rows = [_copy(row, recording_id=recording_id, coder=coder) for row in trail]
            self.writes.append(
                partial(reviews.add_trail, self.transaction, recording_id, coder, rows)
            )

    def _join_markers(self, recording_id: str, theirs: Recording) -> None:
        there = select(Marker).where(Marker.recording_id == recording_id)
        known = set(map(_marked, self.transaction.scalars(there)))
        coming = [m for m in self._markers[theirs.id] if _marked(m) not in known]
        self._add(*(_copy(marker, id=new_id(), recording_id=recording_id) for marker in coming))

    def _write_answer(self, recording_id: str, source_id: str) -> None:
        job, answer = add_job(self.transaction, recording_id), self.project.answer(source_id)
        if answer is not None:
            self._write([_copy(answer, recording_id=recording_id)])
            job.status, job.started_at, job.finished_at = "done", job.created_at, job.created_at

    def _free_code(self, code: str) -> str:
        return _free(code, {person.code for person in self._people.values()})


def _copy(row: Any, **changes: Any) -> Any:
    """A new row of the same values, but for changes."""
    return type(row)(**(values_of(row) | changes))


def _free(name: str, taken: set[str]) -> str:
    """
    >>> _free("P04", {"P04", "P04 (2)"})
    'P04 (3)'
    """
    number = 2
    while (found := f"{name[: LONGEST_LINE - 6]} ({number})") in taken:
        number += 1
    return found


def _untouched(study: Study) -> bool:
    settings = attrgetter(*_SETTINGS)
    return bool(settings(study) == settings(Study()))


def _named(study: Study) -> str:
    scheme = (study.scheme or {}).get("name", "the model's classes")
    return f"{study.title or 'no title'}, {study.mode}, {scheme}, overlap {study.overlap:g}"


def _noted(session: Session) -> datetime:
    return session.consent_noted_at or datetime.min.replace(tzinfo=UTC)


def _places(answer: AnalysisRecord) -> list[tuple[Any, ...]]:
    """What decisions refer to: where the machine's events are, and their classes."""
    keys = ("onset_frame", "apex_frame", "offset_frame", "label")
    return [tuple(event[key] for key in keys) for event in answer.payload["events"]]
