"""The machine's answer, and what coders decided about it: decisions are only added."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert

from micromimic.core.errors import ConflictError, NotFoundError
from micromimic.workstation.records import rows, values
from micromimic.workstation.records.base import Records
from micromimic.workstation.records.records import Analysis, Decision, Review
from micromimic.workstation.records.review import FrameTimes, check, is_done, make_review
from micromimic.workstation.records.tables import decisions


class ReviewRecords(Records):
    """Who decided what, and when."""

    def analysis(self, recording_id: str) -> Analysis | None:
        """The machine's own answer; None before there is one.

        Raises:
            NotFoundError: no such recording.
        """
        with self.database.read() as connection:
            rows.read_recording(connection, recording_id)
            return rows.read_analysis(connection, recording_id)

    def review(self, recording_id: str, coder: str) -> Review:
        """The events as one coder sees them now.

        Raises:
            NotFoundError: no such recording, or it has no answer yet.
            RefusedError: a name that cannot be a coder's.
        """
        name = values.coder(coder)
        with self.database.read() as connection:
            answer = _answer(connection, recording_id)
            made = rows.read_decisions(connection, recording_id, name)
            return _review(answer, name, made)

    def decide(
        self,
        recording_id: str,
        *,
        coder: str,
        expected: int,
        action: str,
        event: str = "",
        **payload: Any,
    ) -> Review:
        """Add one decision of a coder.

        Args:
            recording_id: about which recording.
            coder: who decides.
            expected: number of the coder's last decision that this one was made upon, 0 before
                the first; where another was saved since, nothing is.
            action: see `records.Action`.
            event: ``m0``, ``c3``; empty for a new one.
            payload: ``label``, ``onset_frame``, ``apex_frame``, ``offset_frame``, ``note``, as
                the action needs; None counts as left out.

        Raises:
            ConflictError: decided since, in another window.
            NotFoundError: no such recording, or it has no answer yet.
            RefusedError: the action makes no sense here.
        """
        name = values.coder(coder)
        try:
            return self._add(recording_id, name, expected, action, event, payload)
        except ConflictError as error:
            # Two at the same moment, on a database that lets both begin: the key let one through.
            # What this one should hear is who was first.
            last = self.history(recording_id, name)
            if last and last[-1].number != expected:
                raise _outrun(name, expected, last[-1]) from error
            raise

    def undo(self, recording_id: str, *, coder: str, expected: int) -> Review:
        """Take back the coder's last decision that is in force; this is a decision too.

        Raises:
            ConflictError, NotFoundError: as `decide`.
            RefusedError: there is nothing to undo.
        """
        return self.decide(recording_id, coder=coder, expected=expected, action="undo")

    def redo(self, recording_id: str, *, coder: str, expected: int) -> Review:
        """Bring back what the last undo took.

        Raises:
            ConflictError, NotFoundError: as `decide`.
            RefusedError: there is nothing to redo.
        """
        return self.decide(recording_id, coder=coder, expected=expected, action="redo")

    def history(self, recording_id: str, coder: str | None = None) -> tuple[Decision, ...]:
        """The audit trail: every decision ever made, by time; one coder's by number.

        Raises:
            NotFoundError: no such recording.
            RefusedError: a name that cannot be a coder's.
        """
        name = None if coder is None else values.coder(coder)
        with self.database.read() as connection:
            rows.read_recording(connection, recording_id)
            return rows.read_decisions(connection, recording_id, name)

    def open_to(self, recording_id: str, reader: str | None) -> bool:
        """Whether this reader may see what the coders of a recording decided.

        Args:
            recording_id: which recording.
            reader: the coder who reads; None for somebody unnamed, who may once all who began are
                done, or where there is but one coder.

        Raises:
            NotFoundError: no such recording.
            RefusedError: a name that cannot be a coder's.
        """
        name = None if reader is None else values.coder(reader)
        if name is not None:
            return is_done(self.history(recording_id, name))
        made: dict[str, list[Decision]] = {}
        for decision in sorted(self.history(recording_id), key=lambda d: d.number):
            made.setdefault(decision.coder, []).append(decision)
        return len(made) <= 1 or all(is_done(own) for own in made.values())

    def check_open(self, recording_id: str, reader: str | None, *coders: str) -> None:
        """Refuse to show a reader what others decided on a recording before the reader is done.

        Args:
            recording_id, reader: as of `open_to`.
            coders: whose decisions are asked for; one's own, and the machine's, are always open.

        Raises:
            ConflictError: the reader, or for an unnamed one somebody, is not done.
            NotFoundError, RefusedError: as of `open_to`.
        """
        own = None if reader is None else values.coder(reader)
        others = {
            name for name in coders if name != own and name.casefold() not in values.RESERVED_CODERS
        }
        if others and not self.open_to(recording_id, own):
            raise ConflictError(
                f"expected {own or 'every coder who began'} to have marked this recording done "
                "before the decisions of others are shown, got a review that is not; mark it done"
            )

    def coders(self, recording_id: str) -> tuple[str, ...]:
        """Who has decided anything here, by name.

        Raises:
            NotFoundError: no such recording.
        """
        with self.database.read() as connection:
            return rows.read_recording(connection, recording_id).coders

    def _add(
        self,
        recording_id: str,
        coder: str,
        expected: int,
        action: str,
        event: str,
        payload: dict[str, Any],
    ) -> Review:
        with self.database.write() as connection:
            answer = _answer(connection, recording_id)
            made = rows.read_decisions(connection, recording_id, coder)
            if expected != (made[-1].number if made else 0):
                raise _outrun(coder, expected, made[-1] if made else None)
            entry = check(
                answer.payload["events"],
                made,
                FrameTimes.of(answer.review),
                action=action,
                event=event,
                payload=payload,
                labels=answer.labels,
            )
            new = Decision(
                recording_id=recording_id,
                coder=coder,
                number=expected + 1,
                action=entry.action,
                event=entry.event,
                payload=dict(entry.payload),
                target=entry.target,
                decided_at=self.clock(),
            )
            columns = {column.name: getattr(new, column.name) for column in decisions.columns}
            connection.execute(insert(decisions).values(columns))
            return _review(answer, coder, (*made, new))


def _answer(connection: Connection, recording_id: str) -> Analysis:
    recording = rows.read_recording(connection, recording_id)
    answer = rows.read_analysis(connection, recording_id)
    if answer is None:
        status = recording.job.status if recording.job else "gone"
        raise NotFoundError(
            f"expected a recording with an answer of the machine, got one whose analysis is "
            f"{status}; wait for it or start it again"
        )
    return answer


def _review(answer: Analysis, coder: str, made: tuple[Decision, ...]) -> Review:
    return make_review(
        answer.recording_id, coder, answer.payload["events"], made, FrameTimes.of(answer.review)
    )


def _outrun(coder: str, expected: int, last: Decision | None) -> ConflictError:
    if last is None:
        got = "none"
    else:
        what = " ".join(filter(None, (last.action, last.event)))
        got = f"{last.number} ({what}, by {coder} at {last.decided_at:%Y-%m-%d %H:%M:%S} UTC)"
    return ConflictError(
        f"expected decision {expected} to be the last of {coder}, got {got}; reload and decide "
        "again"
    )
