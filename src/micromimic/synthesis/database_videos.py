"""Long videos of the synthetic databases: several micro- and macro-expressions in each, or none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from micromimic.synthesis.clips import Actor
from micromimic.synthesis.database_names import emotion_word
from micromimic.synthesis.identities import FaceKind, Portrait, make_actor
from micromimic.synthesis.schedule import ClipConfig, ClipPlan, Movement, plan_clip

FACE_PX: Final = 15.0 / 0.287
"""Pixels of `ClipConfig.face_px` for one pixel a canonical unit."""
QUIET: Final = 4  # every fourth video has no event: what is found in it is false
_PEAK_UNITS: Final = (0.3, 0.6)

FILMS: Final = (
    ("0101", "disgust1", "disgustingteeth"), ("0102", "disgust2", "earwax"),
    ("0401", "anger1", "girlcrash"), ("0402", "anger2", "beatingchild"),
    ("0502", "happy2", "funnyerrors"), ("0503", "happy3", "unluckyfilm"),
)  # fmt: skip
"""CAS(ME)^2's films: code, name in the table, name in the folder."""


class LongDesign(NamedTuple):
    """One database of long videos.

    Args:
        fps: frames a second.
        subjects: as in manifests.
        video: the name of a subject's nth video, from 0.
        folder: of a video's pictures.
        file: of a picture, from the video and the frame number.
        words: the database whose words for emotions it has.
        colour: RGB instead of grey.
    """

    fps: float
    subjects: tuple[str, ...]
    video: Callable[[str, int], str]
    folder: Callable[[str, str], str]
    file: Callable[[str, int], str]
    words: str
    colour: bool = True


LONG: Final[Mapping[str, LongDesign]] = {
    "casme-squared": LongDesign(
        30.0, ("s15", "s16", "s19", "s20", "s21", "s23"),
        lambda who, n: f"{who[1:]}_{FILMS[n % 6][0]}{FILMS[n % 6][2]}",
        lambda who, video: f"rawpic/{'s19' if video[:7] == '23_0502' else who}/{video}",
        lambda video, frame: f"img{frame:03d}.jpg", "dfme",
    ),
    "samm-long": LongDesign(
        200.0, ("006", "007", "009", "010", "011", "012"), lambda who, n: f"{who}_{n + 1}",
        lambda who, video: f"SAMM_longvideos/{video}",
        lambda video, frame: f"{video}_{frame:04d}.jpg", "samm", False,
    ),
    "casme3-long": LongDesign(
        30.0, tuple(f"spNO.{n}" for n in range(1, 7)), lambda who, n: "abcdefghijklm"[n % 13],
        lambda who, video: f"part_A/{who}/{video}/color",
        lambda video, frame: f"{frame}.jpg", "casme3",
    ),
    "casme3-c": LongDesign(
        30.0, tuple(f"partC-{n:02d}" for n in range(1, 32)), lambda who, n: "a",
        lambda who, video: f"part_C/{who[-2:]}/{video}/color",
        lambda video, frame: f"{frame}.jpg", "casme3",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class DatabaseEvent:
    """One planted expression; frame numbers are those in the pictures' names.

    Args:
        kind: ``micro`` or ``macro``.
        onset, apex, offset: frames.
        label: class.
        emotion: the annotation table's word for it.
        action_units: FACS notation.
        peak_px: largest displacement, image pixels.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    label: str
    emotion: str
    action_units: tuple[str, ...]
    peak_px: float


@dataclass(frozen=True)
class DatabaseVideo:
    """One long video's truth.

    Args:
        dataset, subject, video: names, as `datasets index` writes them.
        folder: of the pictures, relative to the databases' folder.
        frames: pictures, numbered from 1.
        fps: frames a second.
        seconds: its length.
        faces: kind of face.
        identity: number of the person; one for all videos of a subject.
        seed: decides the video.
        quiet: it has no event.
        events: by onset.
        first: number of the first picture.
    """

    dataset: str
    subject: str
    video: str
    folder: str
    frames: int
    fps: float
    seconds: float
    faces: FaceKind
    identity: int
    seed: int
    quiet: bool
    events: tuple[DatabaseEvent, ...]

    first: int = 1

    def file(self, frame: int) -> str:
        """A picture's name."""
        return LONG[self.dataset].file(self.video, frame)

    @cached_property
    def portrait(self) -> Portrait:
        """How the person is filmed."""
        return Portrait(colour=LONG[self.dataset].colour)

    def plan(self) -> ClipPlan:
        """What moves and when."""
        rng = np.random.default_rng([self.seed, 0])
        config = ClipConfig(
            self.seconds,
            self.fps,
            self.portrait.width,
            self.portrait.height,
            self.portrait.colour,
            face_px=FACE_PX * self.portrait.unit_px,
            peak_px=round(float(rng.uniform(*_PEAK_UNITS)) * self.portrait.unit_px, 3),
            events_per_minute=0.0 if self.quiet else 12.0,
            macros_per_minute=0.0 if self.quiet else 6.0,
            blinks_per_minute=0.0,
            head_moves_per_minute=0.0,
            noise_sd=1.8,
            drift_px=4.0,
            flicker=0.01,
        )
        return plan_clip(config, self.seed)

    def actor(self) -> Actor:
        """Who plays it."""
        return make_actor(self.faces, self.identity, self.portrait)


def plan_videos(
    count: int, seconds: float, *, seed: int, faces: FaceKind, names: Collection[str]
) -> tuple[DatabaseVideo, ...]:
    """Draw the long videos of databases.

    Args:
        count: videos of each database, a second of a subject only where it has no more subjects;
            six of a subject at most, and one in part C of CAS(ME)^3.
        seconds: length of each.
        seed: the same seed gives the same plan.
        faces: kind of face.
        names: of the databases.

    Returns:
        By database, subject, video.
    """
    videos: list[DatabaseVideo] = []
    for number, (name, design) in enumerate(LONG.items()):
        if name not in names:
            continue
        rng = np.random.default_rng([seed, 100 + number])
        people = [int(rng.integers(2**31)) for _ in design.subjects]
        most = len(design.subjects)
        for place in range(min(count, most * (1 if name == "casme3-c" else 6))):
            who = design.subjects[place % most]
            video = design.video(who, place // most + place % 3 * 2)
            drawn = int(rng.integers(2**31))
            quiet = place % QUIET == QUIET - 1
            folder, frames = f"{name}/{design.folder(who, video)}", round(seconds * design.fps)
            made = DatabaseVideo(
                name, who, video, folder, frames, design.fps, seconds, faces, people[place % most],
                drawn, quiet, (),
            )  # fmt: skip
            moves = made.plan().movements
            told = (
                _event(design, move) for move in moves if name != "casme3-c" or move.kind == "micro"
            )
            videos.append(replace(made, events=tuple(told)))
    order = list(LONG)
    return tuple(sorted(videos, key=lambda v: (order.index(v.dataset), v.subject, v.video)))


def _event(design: LongDesign, move: Movement) -> DatabaseEvent:
    onset, apex, offset = (round(t * design.fps) + 1 for t in (move.onset, move.apex, move.offset))
    recipe = move.recipe
    words = emotion_word(design.words, recipe)
    units = recipe.action_units
    return DatabaseEvent(
        move.kind, onset, apex, offset, recipe.label, words, units, round(move.peak_px, 3)
    )
