"""What the synthetic databases hold: who appears, in which clips, with what movement, and when.

Databases are imitated (subjects, frame rates, lengths; of the composite's three also the counts of
each class); nothing of them is contained. Everything follows from a seed, clip by clip, so
that each clip's plan, person and planted field can be had again from its row of ``truth.json``.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from micromimic.core.labels import THREE
from micromimic.datasets.databases import smic
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.actors.people import FaceKind, make_actor
from micromimic.synthesis.actors.photo import PhotoActor
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.databases import designs
from micromimic.synthesis.databases.designs import Design, LongDesign, Part
from micromimic.synthesis.recipes import Recipe, sample_recipe
from micromimic.synthesis.schedule import (
    FACE_WIDTH,
    BlinkEvent,
    ClipConfig,
    ClipPlan,
    Movement,
    clip_of_kind,
    plan_clip,
)

_SECONDS: Final = 2.0  # of the timeline that a clip is a window of
_PEAK_UNITS: Final = (0.17, 0.5)
"""Planted; what is measured after pooling to a map is a quarter less: 0.11 to 0.35."""
_LONG_PEAK_UNITS: Final = (0.3, 0.6)
_STRAY: Final = 0.6  # chance that another unit twitches along
_STRAY_STRENGTH: Final = 0.5
_LIDS: Final = 0.2  # chance that the lids stir within the clip
_QUIET: Final = 4  # every fourth long video has no event: what is found in it is false
_EXCLUDED: Final = frozenset({"sub04/EP12_01f", "sub05/EP09_05f"})
"""Real clips that the composite leaves out by name: readers would drop a namesake."""


@dataclass(frozen=True)
class DatabaseClip:
    """One clip's truth; frame numbers are those in the pictures' names."""

    dataset: str
    subject: str
    clip: str  # as `datasets index` writes it, like subject
    folder: str  # of the pictures, relative to the databases' folder
    label: str | None  # None for an emotion outside the three classes
    emotion: str  # the annotation table's word for it
    action_units: tuple[str, ...]  # FACS notation
    first: int
    onset: int
    apex: int
    offset: int
    last: int
    fps: float
    peak_px: float  # largest displacement at the apex, image pixels
    faces: FaceKind
    identity: int  # number of the person; one for all clips of a subject
    seed: int  # decides the clip

    @property
    def frames(self) -> int:
        return self.last - self.first + 1

    def file(self, frame: int) -> str:
        """A picture's name."""
        file = designs.ALL[self.dataset].file
        return file.format(subject=self.subject, clip=self.clip, frame=frame)

    def plan(self) -> ClipPlan:
        """What moves and when; the clip's pictures are its first ``frames`` frames."""
        design = designs.ALL[self.dataset]
        recipe, peak = _movement(design, self.label, self.seed)
        ends = (self.onset, self.apex, self.offset)
        onset, apex, offset = ((frame - self.first) / self.fps for frame in ends)
        movement = Movement("micro", onset, apex, apex, offset, peak, recipe)
        blinks = _blinks(self.frames / self.fps, self.seed)
        config = _config(
            design.portrait, _SECONDS, design.fps, peak_px=peak, noise_sd=design.noise_sd,
            drift_px=8.0, drift_deg=2.5, yaw_px=2.5, sway_px=(0.25, 0.2), flicker=design.flicker,
        )  # fmt: skip
        return ClipPlan(config, self.seed, (movement,), blinks, ())

    def actor(self) -> PhotoActor:
        return make_actor(self.faces, self.identity, designs.ALL[self.dataset].portrait)


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
        return designs.LONG[self.dataset].file.format(video=self.video, frame=frame)

    @property
    def portrait(self) -> Portrait:
        return Portrait(colour=designs.LONG[self.dataset].colour)

    def plan(self) -> ClipPlan:
        rng = np.random.default_rng([self.seed, 0])
        peak = round(float(rng.uniform(*_LONG_PEAK_UNITS)) * self.portrait.unit_px, 3)
        busy = {} if self.quiet else {"events_per_minute": 12.0, "macros_per_minute": 6.0}
        config = _config(
            self.portrait, self.seconds, self.fps, peak_px=peak, noise_sd=1.8, drift_px=4.0,
            flicker=0.01, **busy,
        )  # fmt: skip
        return plan_clip(config, self.seed)

    def actor(self) -> PhotoActor:
        return make_actor(self.faces, self.identity, self.portrait)


def plan_databases(
    clips_per_class: int = 10,
    *,
    seed: int = 0,
    full: bool = False,
    faces: FaceKind = "warped",
    names: Collection[str] = designs.COMPOSITE,
) -> tuple[DatabaseClip, ...]:
    """Draw all clips of the databases.

    Each subject gets one clip before any gets a second, so that fewer than the database's subjects
    appear only where there are fewer clips; the rest are dealt unevenly, as in the real ones.
    """
    clips: list[DatabaseClip] = []
    for number, design in enumerate(designs.ALL.values()):
        if design.name not in names:
            continue
        rng = np.random.default_rng([seed, number])
        counts = design.composite if full else dict.fromkeys(THREE, clips_per_class)
        labels = [e for e in THREE for _ in range(counts[e])]
        parts = _assign(design.subjects, labels, design.dropped, rng)
        if full and design.name == "smic":
            parts = _smic_parts()
        people = {subject: int(rng.integers(2**31)) for subject in design.subjects}
        taken: set[str] = set()
        mine = []
        for part in sorted(parts, key=lambda part: part.subject):
            name = _clip_name(design, part, rng, taken)
            clip_seed = int(rng.integers(2**31))
            mine.append(_clip(design, part, name, people[part.subject], clip_seed, faces))
        clips += sorted(mine, key=lambda clip: (clip.subject, clip.clip))
    return tuple(clips)


def _clip(
    design: Design, part: Part, name: str, person: int, seed: int, faces: FaceKind
) -> DatabaseClip:
    recipe, peak = _movement(design, part.label, seed)
    rng = np.random.default_rng([seed, 1])
    length = round(float(np.clip(rng.normal(*design.length), design.shortest, design.longest)))
    rise = round(float(np.clip(rng.normal(*design.rise), 0.2 * length, 0.8 * length)))
    before, after = (int(n) for n in rng.integers(design.around[0], design.around[1] + 1, 2))
    # where a recording's numbering stands when the clip begins
    first = {"smic": int(rng.integers(60_000, 18_000_000)), "samm": int(rng.integers(60, 9_000))}
    first |= {"smic-vis": first["samm"], "smic-nir": first["samm"]}
    if design.name == "casme3":  # one of several in its folder
        first["casme3"] = 1 + 200 * int(name[1:])
    start = first.get(design.name, 1)
    onset = start + before
    return DatabaseClip(
        dataset=design.name,
        subject=part.subject,
        clip=design.place.format(clip=name, onset=onset),
        folder=designs.folder_of(design.name, part, name),
        label=part.label,
        emotion=part.word or designs.emotion_word(design.name, recipe),
        action_units=recipe.action_units,
        first=start,
        onset=onset,
        apex=onset + rise,
        offset=onset + length,
        last=onset + length + after,
        fps=design.fps,
        peak_px=peak,
        faces=faces,
        identity=person,
        seed=seed,
    )


def _movement(design: Design, label: str | None, seed: int) -> tuple[Recipe, float]:
    """What moves, and how far in pixels; other emotions look like negative ones."""
    rng = np.random.default_rng([seed, 0])
    recipe = sample_recipe(label or "negative", rng)
    if rng.random() < _STRAY:
        weights = recipe.weights.copy()
        weights[int(rng.integers(len(UNIT_NAMES)))] += abs(rng.normal(0.0, _STRAY_STRENGTH))
        recipe = replace(recipe, weights=weights)
    peak = rng.uniform(*_PEAK_UNITS) * design.portrait.unit_px
    return recipe, round(float(peak), 3)


def _blinks(seconds: float, seed: int) -> tuple[BlinkEvent, ...]:
    """In some clips the lids stir: their skin moves as in a blink, the eyes stay open."""
    rng = np.random.default_rng([seed, 3])
    start = rng.uniform(-0.1, seconds)
    blink = BlinkEvent(start, start + rng.uniform(0.15, 0.3))
    return (blink,) if rng.random() < _LIDS else ()


def plan_videos(
    count: int, seconds: float, *, seed: int, faces: FaceKind, names: Collection[str]
) -> tuple[DatabaseVideo, ...]:
    videos: list[DatabaseVideo] = []
    for number, (name, design) in enumerate(designs.LONG.items()):
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
                int(rng.integers(2**31)), place % _QUIET == _QUIET - 1, (),
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
    word = designs.emotion_word(design.words, move.recipe)
    return DatabaseEvent(move.kind, onset, apex, offset, label, word, units, round(move.peak_px, 3))


def _assign(
    subjects: Sequence[str], labels: Sequence[str], dropped: Sequence[str], rng: np.random.Generator
) -> list[Part]:
    """Give each clip to a subject: one each first, the rest to a talkative few."""
    order = rng.permutation(len(subjects))
    shares = rng.dirichlet(np.full(len(order), 0.7))
    rest = rng.choice(len(order), size=max(0, len(labels) - len(order)), p=shares)
    takers = [subjects[i] for i in [*order, *rest]]
    shuffled = [labels[i] for i in rng.permutation(len(labels))]
    parts = [Part(who, label) for who, label in zip(takers, shuffled, strict=False)]
    # those who appear also show what the three classes leave out
    return parts + [Part(parts[i % len(parts)].subject, None, w) for i, w in enumerate(dropped)]


def _smic_parts() -> list[Part]:
    """The real clips' names tell who showed what: SMIC-HS clip by clip."""
    return [
        Part(f"s{subject:02d}", label, number=number)
        for subject, counts in smic.COUNTS.items()
        for label, count in zip(THREE, counts, strict=True)
        for number in range(1, count + 1)
    ]


def _clip_name(design: Design, part: Part, rng: np.random.Generator, taken: set[str]) -> str:
    """A clip's name that its subject has not had, in the database's manner."""
    for number in itertools.count(1):  # few names at first, more where they do not suffice
        name = design.clip(part, number, rng)
        if f"{part.subject}/{name}" not in taken | _EXCLUDED:
            break
    taken.add(f"{part.subject}/{name}")
    return name


def _config(portrait: Portrait, seconds: float, fps: float, **more: Any) -> ClipConfig:
    """A clip of a person who is filmed so; nothing happens but what ``more`` says."""
    return clip_of_kind(
        "neutral", seconds=seconds, fps=fps, width=portrait.width, height=portrait.height,
        colour=portrait.colour, face_px=FACE_WIDTH * portrait.unit_px,
        **({"head_moves_per_minute": 0.0} | more),
    )  # fmt: skip
