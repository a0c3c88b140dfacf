"""Long videos of the synthetic databases: several micro- and macro-expressions in each, or none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from micromimic.synthesis.actors.people import FaceKind, make_actor
from micromimic.synthesis.actors.photo import PhotoActor
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.databases.names import emotion_word
from micromimic.synthesis.databases.plans import config_of
from micromimic.synthesis.schedule import ClipPlan, Movement, plan_clip

QUIET: Final = 4  # every fourth video has no event: what is found in it is false
_PEAK_UNITS: Final = (0.3, 0.6)

FILMS: Final = (
    ("0101", "disgust1", "disgustingteeth"), ("0102", "disgust2", "earwax"),
    ("0401", "anger1", "girlcrash"), ("0402", "anger2", "beatingchild"),
    ("0502", "happy2", "funnyerrors"), ("0503", "happy3", "unluckyfilm"),
)  # fmt: skip
"""CAS(ME)^2's films: code, name in the table, name in the folder."""


class LongDesign(NamedTuple):
    """One database of long videos."""

    fps: float
    subjects: tuple[str, ...]  # as in manifests
    video: Callable[[str, int], str]  # the name of a subject's nth video, from 0
    folder: Callable[[str, str], str]  # of a video's pictures
    file: str  # of a picture, from the video and the frame
    words: str  # the database whose words for emotions it has
    colour: bool = True  # RGB instead of grey
    most: int = 6  # videos of a subject


LONG: Final[Mapping[str, LongDesign]] = {
    "casme-squared": LongDesign(
        30.0, ("s15", "s16", "s19", "s20", "s21", "s23"),
        lambda who, n: f"{who[1:]}_{FILMS[n % 6][0]}{FILMS[n % 6][2]}",
        lambda who, video: f"rawpic/{'s19' if video[:7] == '23_0502' else who}/{video}",
        "img{frame:03d}.jpg", "dfme",
    ),
    "samm-long": LongDesign(
        200.0, ("006", "007", "009", "010", "011", "012"), lambda who, n: f"{who}_{n + 1}",
        lambda who, video: f"SAMM_longvideos/{video}",
        "{video}_{frame:04d}.jpg", "samm", False,
    ),
    "casme3-long": LongDesign(
        30.0, tuple(f"spNO.{n}" for n in range(1, 7)), lambda who, n: "abcdefghijklm"[n % 13],
        lambda who, video: f"part_A/{who}/{video}/color",
        "{frame}.jpg", "casme3",
    ),
    "casme3-c": LongDesign(
        30.0, tuple(f"partC-{n:02d}" for n in range(1, 32)), lambda who, n: "a",
        lambda who, video: f"part_C/{who[-2:]}/{video}/color",
        "{frame}.jpg", "casme3", most=1,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class DatabaseEvent:
    """One planted expression; frame numbers are those in the pictures' names."""

    kind: str  # ``micro`` or ``macro``
    onset: int
    apex: int
    offset: int
    label: str
    emotion: str  # the annotation table's word for it
    action_units: tuple[str, ...]  # FACS notation
    peak_px: float  # largest displacement, image pixels


@dataclass(frozen=True)
class DatabaseVideo:
    """One long video's truth."""

    dataset: str
    subject: str
    video: str  # as `datasets index` writes it, like subject
    folder: str  # of the pictures
    frames: int  # pictures
    fps: float
    seconds: float
    faces: FaceKind
    identity: int  # number of the person; one for all videos of a subject
    seed: int  # decides the video
    quiet: bool  # it has no event
    events: tuple[DatabaseEvent, ...]  # by onset
    first: int = 1  # number of the first picture

    def file(self, frame: int) -> str:
        return LONG[self.dataset].file.format(video=self.video, frame=frame)

    @cached_property
    def portrait(self) -> Portrait:
        return Portrait(colour=LONG[self.dataset].colour)

    def plan(self) -> ClipPlan:
        rng = np.random.default_rng([self.seed, 0])
        peak = round(float(rng.uniform(*_PEAK_UNITS)) * self.portrait.unit_px, 3)
        busy = {} if self.quiet else {"events_per_minute": 12.0, "macros_per_minute": 6.0}
        config = config_of(
            self.portrait, self.seconds, self.fps, peak_px=peak, noise_sd=1.8, drift_px=4.0,
            flicker=0.01, **busy,
        )  # fmt: skip
        return plan_clip(config, self.seed)

    def actor(self) -> PhotoActor:
        return make_actor(self.faces, self.identity, self.portrait)


def plan_videos(
    count: int, seconds: float, *, seed: int, faces: FaceKind, names: Collection[str]
) -> tuple[DatabaseVideo, ...]:
    videos: list[DatabaseVideo] = []
    for number, (name, design) in enumerate(LONG.items()):
        if name not in names:
            continue
        rng = np.random.default_rng([seed, 100 + number])
        people = [int(rng.integers(2**31)) for _ in design.subjects]
        mine = []
        for place in range(min(count, len(people) * design.most)):
            turn, person = divmod(place, len(people))
            who = design.subjects[person]
            video = design.video(who, turn + place % 3 * 2)
            planned = DatabaseVideo(
                name, who, video, f"{name}/{design.folder(who, video)}",
                round(seconds * design.fps), design.fps, seconds, faces, people[person],
                int(rng.integers(2**31)), place % QUIET == QUIET - 1, (),
            )  # fmt: skip
            moves = planned.plan().movements
            if name == "casme3-c":  # it has no macro-expressions
                moves = tuple(move for move in moves if move.kind == "micro")
            mine.append(replace(planned, events=tuple(_event(design, move) for move in moves)))
        videos += sorted(mine, key=lambda one: (one.subject, one.video))
    return tuple(videos)


def _event(design: LongDesign, move: Movement) -> DatabaseEvent:
    onset, apex, offset = (round(t * design.fps) + 1 for t in (move.onset, move.apex, move.offset))
    label, units = move.recipe.label, move.recipe.action_units
    word = emotion_word(design.words, move.recipe)
    return DatabaseEvent(move.kind, onset, apex, offset, label, word, units, round(move.peak_px, 3))
