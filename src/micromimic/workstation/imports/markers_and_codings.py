"""What a file of another tool says, into the records: markers, or a coding as a coder's.

One transaction a file: a line that says what is wrong, and nothing changed, or all of it. A file is
read anew without harm: markers of the same file take the place of those before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from micromimic.core.errors import InputError, NotFoundError
from micromimic.core.files import write_pieces
from micromimic.core.types import MediaTimes
from micromimic.datasets.grid import folded
from micromimic.workstation.imports.annotations import Annotated, Annotation, file_name, grouped
from micromimic.workstation.imports.elan import foreign_tiers, replaced_tiers
from micromimic.workstation.imports.read import read_annotations, units_of
from micromimic.workstation.records import markers, recordings, reviews, study, values
from micromimic.workstation.records.database import Store, Transaction
from micromimic.workstation.records.folder import IMPORTED
from micromimic.workstation.records.models import Recording
from micromimic.workstation.records.review import FrameTimes
from micromimic.workstation.records.values import LONGEST_NAME

NO_APEX: Final = "apex not coded: the middle"
PAST_END_S: Final = 0.5
"""How far past the last frame something may end: sound is often longer than the picture."""
RATE_TOLERANCE: Final = 0.01
_CUT: Final = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Imported:
    """What came into one recording: how many of what, and what there is to know of it."""

    recording_id: str
    recording: str
    count: int
    tiers: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class _Target:
    """A recording and what a file says of it; classes and times once the machine has answered.

    ``times`` are those of a player, by which other tools count, ``own`` the analysis's, and
    ``media`` leads from these to those where they differ.
    """

    recording: Recording
    part: Annotated
    labels: tuple[str, ...] = ()
    own: FrameTimes | None = None
    times: FrameTimes | None = None
    media: MediaTimes | None = None

    def imported(self, note: str) -> Imported:
        name, part = self.recording.name, self.part
        return Imported(self.recording.id, name, len(part.annotations), part.tiers, note)


def import_markers(
    store: Store,
    path: Path,
    *,
    recording_id: str | None = None,
    tiers: Sequence[str] = (),
    any_media: bool = False,
) -> tuple[Imported, ...]:
    """Tiers of a file as rows of the timeline, all or those named; earlier ones of it are replaced.

    Without a recording each video that the file names must be one that is there, and one only;
    ``any_media`` takes a file that names another than the recording given. `InputError` where it
    does not fit.
    """
    origin = path.name[-LONGEST_NAME:]
    parts = [_without_nested(part.only(tiers)) for part in read_annotations(path)]
    with _foreign_kept(store, path) as keep, store.write() as transaction:
        done = []
        for target in _targets(transaction, parts, recording_id, any_media=any_media):
            found = target.recording.id
            rows = [_marker(target, item) for item in target.part.annotations]
            markers.remove_markers(transaction, found, origin)
            markers.add_markers(transaction, found, rows, origin=origin)
            keep(found)
            cut = sum(str(row["label"]).endswith(_CUT) for row in rows)
            note = f"{cut} label{'s' * (cut > 1)} cut to {LONGEST_NAME} characters" if cut else ""
            done.append(target.imported(note))
        return tuple(done)


def import_coding(
    store: Store,
    path: Path,
    *,
    coder: str,
    recording_id: str | None = None,
    tiers: Sequence[str] = (),
    classes: Mapping[str, str] | None = None,
    any_media: bool = False,
) -> tuple[Imported, ...]:
    """A tier of a file as what a coder found, to be compared with: each event added, then done.

    ``tiers`` may be left out where there is one, or a coder's own of our files; ``classes`` gives
    the class of a label that is called otherwise. An event without an apex has it in the middle,
    and says so. `ConflictError` where that coder has decided there already.
    """
    who = values.coder(coder)
    parts = [_coded(part, who, tiers) for part in read_annotations(path) if part.coder in ("", who)]
    if not parts:
        raise InputError(f"expected events of {who} in {path.name}, got none; name its coder")
    with _foreign_kept(store, path) as keep, store.write() as transaction:
        finished = []
        for target in _targets(transaction, parts, recording_id, any_media=any_media):
            found = target.recording.id
            rows = [_event(target, item, classes or {}) for item in target.part.annotations]
            reviews.import_coding(transaction, found, who, rows)
            keep(found)
            middles = sum(row["note"].startswith(NO_APEX) for row in rows)
            note = f"{middles} without an apex: the middle was taken" if middles else ""
            finished.append(target.imported(note))
        return tuple(finished)


def media_times(review: Mapping[str, Any]) -> MediaTimes | None:
    """The video's own timeline, where ``review.json`` has another than the analysis's."""
    played = FrameTimes.of_media(review)
    if played is None:
        return None
    own, every = FrameTimes.of(review), range(played.frames)
    return MediaTimes(
        np.array([own.seconds(n) for n in every]), np.array([played.seconds(n) for n in every])
    )


def kept_tiers(store: Store, recording_id: str) -> bytes | None:
    """An ELAN document with the tiers that came from elsewhere; None where none did."""
    place = store.folder(recording_id) / IMPORTED
    return place.read_bytes() if place.is_file() else None


@contextmanager
def _foreign_kept(store: Store, path: Path) -> Iterator[Any]:
    """What keeps an ELAN file's own tiers beside a recording; undone where the rest fails."""
    is_elan = path.read_bytes()[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    tiers = foreign_tiers(path) if is_elan else None
    before: dict[Path, bytes | None] = {}

    def keep(recording_id: str) -> None:
        if tiers is None:
            return
        place = store.folder(recording_id) / IMPORTED
        older = kept_tiers(store, recording_id)
        before[place] = older
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = tiers if older is None else replaced_tiers(older, tiers)
        write_pieces(place, [content], private=True)

    try:
        yield keep
    except BaseException:
        for place, content in before.items():
            if content is None:
                place.unlink(missing_ok=True)
            else:
                write_pieces(place, [content], private=True)
        raise


def _targets(
    transaction: Transaction,
    parts: Sequence[Annotated],
    recording_id: str | None,
    *,
    any_media: bool,
) -> list[_Target]:
    """Each part with its recording; every one, or a line."""
    if recording_id is None:
        listed = recordings.list_recordings(transaction, limit=None)
        named = grouped(listed, lambda recording: _stem(recording.name))
        pairs = [(_by_name(named, part), part) for part in parts]
    else:
        one = recordings.get_recording(transaction, recording_id)
        answer = reviews.get_analysis(transaction, recording_id)
        source = {} if answer is None else answer.payload.get("source") or {}
        names = (one.name, file_name(str(source.get("path", ""))))  # it may have been renamed
        pairs = [(one, _of_recording(names, parts, any_media=any_media))]
    for same in grouped(pairs, lambda pair: pair[0].id).values():
        if len(same) > 1:
            where = " and ".join(part.where for _, part in same)
            raise InputError(
                f"expected one coding of {same[0][0].name} in the file, got {where}; import one "
                "at a time"
            )
    return [_target(transaction, recording, part) for recording, part in pairs]


def _by_name(named: Mapping[str, Sequence[Recording]], part: Annotated) -> Recording:
    if not part.media:
        raise InputError(
            f"expected a video named in {part.where}, got none; name the recording it belongs to"
        )
    found = {r.id: r for stem in map(_stem, part.media) if stem for r in named.get(stem, ())}
    if len(found) == 1:
        return next(iter(found.values()))
    got = f"{len(found)} of that name" if found else "none"
    raise InputError(
        f"expected one recording called {' or '.join(part.media)} ({part.where}), got {got}; "
        + ("name which one" if found else "upload it first, or name the recording it belongs to")
    )


def _of_recording(
    names: tuple[str, str], parts: Sequence[Annotated], *, any_media: bool
) -> Annotated:
    stems = {stem for stem in map(_stem, names) if stem}
    named = [part for part in parts if stems & set(map(_stem, part.media))]
    if len(named) == 1:
        return named[0]
    candidates = named or [p for p in parts if any_media or not p.media]
    if len(candidates) == 1:
        return candidates[0]
    media = ", ".join(dict.fromkeys(name for part in parts for name in part.media))
    if candidates:
        raise InputError(
            f"expected one part on {names[0]}, got {len(candidates)} "
            f"({', '.join(p.where for p in candidates)}); import a file with one of them"
        )
    raise InputError(
        f"expected a file on {names[0]}, got one on {media or 'no video'}; choose the "
        "recording it belongs to, or say that another name is meant (--any-media)"
    )


def _stem(name: str) -> str:
    """What names of one video have in common: a copy in another format has another ending.

    >>> _stem("study/P01.mp4") == _stem("p01.MOV")
    True
    """
    return folded(file_name(name).rsplit(".", 1)[0])


def _target(transaction: Transaction, recording: Recording, part: Annotated) -> _Target:
    early = next((a for a in part.annotations if a.onset_s < 0), None)
    if early is not None:
        raise InputError(
            f"expected times within {recording.name}, got {early.onset_s:.3f} s ({early.where}); "
            "it belongs to another video"
        )
    answer = reviews.get_answer(transaction, recording.id, "media")
    if answer is None:
        return _Target(recording, part)
    times = FrameTimes.of_media(answer.review) or answer.times
    if part.fps and abs(part.fps / times.fps - 1) > RATE_TOLERANCE:
        raise InputError(
            f"expected {times.fps:g} frames a second, as {recording.name} has, got {part.fps:g} in "
            f"{part.where}; it belongs to another version of the video"
        )
    end = times.seconds(times.frames - 1) + PAST_END_S if times.frames else 0.0
    late = next((a for a in part.annotations if a.offset_s > end), None)
    if late is not None:
        raise InputError(
            f"expected times within {recording.name}, which ends at {end - PAST_END_S:.3f} s, got "
            f"{late.offset_s:.3f} s ({late.where}); it belongs to another video or frame rate"
        )
    labels = study.get_study(transaction).coding(answer.labels).labels
    return _Target(recording, part, labels, answer.times, times, media_times(answer.review))


def _without_nested(part: Annotated) -> Annotated:
    if part.nested:
        raise InputError(
            f"expected tiers with times of their own in {part.where}, got {', '.join(part.nested)}"
            f" under others; name those to import ({', '.join(part.tiers) or 'there are none'})"
        )
    return part


def _coded(part: Annotated, coder: str, tiers: Sequence[str]) -> Annotated:
    """The tiers that hold the coding: those named, a coder's own of our files, or the only one."""
    if not tiers:
        own = tuple(name for name in part.tiers if _own_tier(name) == ("expression", coder))
        if len(part.tiers) > 1 and not own:
            raise InputError(
                f"expected the tiers that hold the coding of {part.where}, got none named; name "
                f"them ({', '.join(part.tiers)})"
            )
        tiers = own or part.tiers
    coders = {who for what, who in map(_own_tier, tiers) if what == "expression"}
    chosen = part.only(tiers)
    if len(coders) != 1:
        return replace(chosen, nested=())
    beside = {  # the action units and the note that our files have in tiers of their own
        (what, item.onset_s, item.offset_s): item.label
        for item in part.annotations
        for what, whose in [_own_tier(item.tier)]
        if whose in coders
    }
    found = []
    for item in chosen.annotations:
        span = item.onset_s, item.offset_s
        units = units_of(beside.get(("action units", *span), ""), item.where)
        note, codes = beside.get(("note", *span), item.note), {"units": units} if units else {}
        found.append(replace(item, note=note, codes=codes))
    return replace(chosen, annotations=tuple(found), nested=())


def _own_tier(name: str) -> tuple[str, str]:
    """What a tier of our ELAN files holds, and whose it is.

    >>> _own_tier("micro-expression-2 kim"), _own_tier("note kim"), _own_tier("trial")
    (('expression', 'kim'), ('note', 'kim'), ('', ''))
    """
    found = re.fullmatch(r"((micro|macro)-expression|action units|note)(-[0-9]+)? (.+)", name)
    return ("", "") if found is None else (found[1].split("-")[-1], found[4])


def _marker(target: _Target, item: Annotation) -> dict[str, Any]:
    times, media = target.own, target.media
    onset, offset = item.onset_s, item.offset_s
    if item.frames is not None and times is None and not offset:
        raise NotFoundError(
            f"expected times in seconds ({item.where}), or a recording with an answer of the "
            f"machine, got frames of {target.recording.name}; wait for its analysis"
        )
    if item.frames is not None and times is not None:
        if item.frames[2] >= times.frames:
            raise InputError(
                f"expected frames of {target.recording.name}, which has {times.frames}, got "
                f"{item.frames[2]} ({item.where}); it belongs to another video or frame rate"
            )
        onset, offset = (times.seconds(n) for n in (item.frames[0], item.frames[2]))
    elif media is not None:
        first, last = media.media[[0, -1]]
        # beyond the first and last frame the clocks run alike
        onset, offset = (
            float(np.interp(t, media.media, media.times)) + min(t - first, 0) + max(t - last, 0)
            for t in (onset, offset)
        )
    label = f"{item.label} ({item.modifiers})" if item.modifiers else item.label
    if len(label) > LONGEST_NAME:  # a transcript, say; ELAN's own tier keeps all of it
        label = label[: LONGEST_NAME - len(_CUT)] + _CUT
    return {
        "tier": item.tier,
        "label": label,
        "onset_s": round(max(0.0, onset), 6),
        "offset_s": round(max(0.0, offset), 6),
    }


def _event(target: _Target, item: Annotation, classes: Mapping[str, str]) -> dict[str, Any]:
    times = target.times
    if times is None:
        raise NotFoundError(
            f"expected a recording with an answer of the machine, got {target.recording.name} "
            "without; wait for its analysis"
        )
    if item.frames is not None:
        onset, apex, offset = item.frames
        apart = abs(times.seconds(onset) - item.onset_s) if onset < times.frames else 0.0
        if item.offset_s > 0 and apart > 1.5 / times.fps:
            raise InputError(
                f"expected frame {onset} at {times.seconds(onset):.3f} s, as in "
                f"{target.recording.name}, got {item.onset_s:.3f} s ({item.where}); it belongs to "
                "another frame rate"
            )
    else:
        onset, offset = times.nearest(item.onset_s), times.nearest(item.offset_s)
        middle = (item.onset_s + item.offset_s) / 2 if item.apex_s is None else item.apex_s
        apex = min(max(times.nearest(middle), onset), offset)
    unknown = item.frames is None and item.apex_s is None
    words = (NO_APEX if unknown else "", item.modifiers, item.note)
    return {
        "label": _label(target, item, classes),
        "onset_frame": onset,
        "apex_frame": apex,
        "offset_frame": offset,
        "note": "; ".join(filter(None, words)),
        **item.codes,
    }


def _label(target: _Target, item: Annotation, classes: Mapping[str, str]) -> str:
    wanted = classes.get(item.label, item.label).casefold()
    for name in target.labels:
        if name.casefold() == wanted:
            return name
    raise InputError(
        f"expected a class among {', '.join(target.labels)}, got {item.label!r} ({item.where}); "
        f"say which it is (--label {item.label!r}={target.labels[0]}), or choose another scheme"
    )
