"""What the synthetic databases hold: who appears, in which clips, with what movement, and when.

Databases are imitated (subjects, frame rates, lengths; of the composite's three also the counts of
each class); nothing of them is contained. Everything follows from a seed, clip by clip, so
that each clip's plan, person and planted field can be had again from its row of ``truth.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from micromimic.core.labels import THREE
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.actors.people import FaceKind, make_actor
from micromimic.synthesis.actors.photo import PhotoActor
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.databases.names import (
    NAMINGS,
    Part,
    clip_name,
    deal,
    emotion_word,
    folder_of,
    smic_parts,
)
from micromimic.synthesis.recipes import Recipe, sample_recipe
from micromimic.synthesis.schedule import (
    FACE_WIDTH,
    BlinkEvent,
    ClipConfig,
    ClipPlan,
    Movement,
    clip_of_kind,
)

_SECONDS: Final = 2.0  # of the timeline that a clip is a window of
_PEAK_UNITS: Final = (0.17, 0.5)
"""Planted; what is measured after pooling to a map is a quarter less: 0.11 to 0.35."""
_STRAY: Final = 0.6  # chance that another unit twitches along
_STRAY_STRENGTH: Final = 0.5
_LIDS: Final = 0.2  # chance that the lids stir within the clip


@dataclass(frozen=True)
class Design:
    """One database."""

    name: str  # as in manifests
    fps: float
    portrait: Portrait
    subjects: tuple[str, ...]  # as in manifests
    composite: Mapping[str, int]  # clips of each class in the MEGC 2019 composite
    length: tuple[float, float]  # frames from onset to offset: mean, standard deviation
    rise: tuple[float, float]  # frames from onset to apex, likewise
    shortest: int  # limits of the length
    longest: int
    around: tuple[int, int]  # fewest and most frames before onset and after offset
    noise_sd: float  # of the sensor, grey levels
    flicker: float  # of the light, share
    dropped: tuple[str, ...] = ()  # emotions outside the classes that a few further clips show


_SMIC = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20)
_SAMM = (6, 7, *range(9, 25), 26, 28, *range(30, 38))

DESIGNS: Final[tuple[Design, ...]] = (
    Design(
        "smic", 100.0, Portrait(unit_px=4.0), tuple(f"s{n:02d}" for n in _SMIC),
        {"negative": 70, "positive": 51, "surprise": 43}, (34.0, 9.0), (17.0, 7.0), 14, 50, (0, 0),
        2.2, 0.02,
    ),
    Design(
        "casme2", 200.0, Portrait(unit_px=4.4),
        # the composite has no clip of sub10 and sub18
        tuple(f"sub{n:02d}" for n in range(1, 27) if n not in (10, 18)),
        {"negative": 88, "positive": 32, "surprise": 25}, (71.0, 22.0), (36.0, 15.0), 30, 118,
        (8, 18), 1.8, 0.01, ("others", "others", "sadness"),
    ),
    Design(
        "samm", 200.0, Portrait(unit_px=4.8, colour=False), tuple(f"{n:03d}" for n in _SAMM),
        {"negative": 92, "positive": 26, "surprise": 15}, (73.0, 19.0), (33.0, 14.0), 30, 112,
        (4, 10), 1.5, 0.01, ("Other", "Other"),
    ),
)  # fmt: skip
COMPOSITE: Final = tuple(design.name for design in DESIGNS)


def _other(name: str, fps: float, subjects: Iterable[str], *dropped: str) -> Design:
    """A database beside the composite: movements as long in seconds as CASME II's."""
    k = fps / 200.0
    length, rise = (71.0 * k, 22.0 * k), (36.0 * k, 15.0 * k)
    return Design(
        name, fps, Portrait(), tuple(subjects), {}, length, rise, max(4, round(30 * k)),
        round(118 * k), (2, 5), 1.8, 0.01, dropped,
    )  # fmt: skip


_SMIC_LATER: Final = [f"s{n:02d}" for n in (11, 12, 13, 14, 15, 18, 19, 20)]
OTHERS: Final[tuple[Design, ...]] = (
    _other("smic-vis", 25.0, _SMIC_LATER),
    _other("smic-nir", 25.0, _SMIC_LATER),
    _other("casme", 60.0, map("casme{:02d}".format, range(1, 20)), "tense"),
    _other("casme3", 30.0, map("spNO.{}".format, range(1, 101)), "others"),
    _other("mmew", 90.0, map("S{:02d}".format, range(1, 31)), "others"),
    _other("4dme", 60.0, map("4dme{:02d}".format, range(1, 42)), "others"),
    _other("dfme", 200.0, map("sub{:04d}".format, range(1, 101))),
)
ALL: Final = {design.name: design for design in (*DESIGNS, *OTHERS)}


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
        """A picture's name.

        >>> plan_databases(1, seed=0)[-1].file(62)[3:]
        '_00062.jpg'
        """
        file = NAMINGS[self.dataset].file
        return file.format(subject=self.subject, clip=self.clip, frame=frame)

    def plan(self) -> ClipPlan:
        """What moves and when; the clip's pictures are its first ``frames`` frames."""
        design = ALL[self.dataset]
        recipe, peak = _movement(design, self.label, self.seed)
        ends = (self.onset, self.apex, self.offset)
        onset, apex, offset = ((frame - self.first) / self.fps for frame in ends)
        movement = Movement("micro", onset, apex, apex, offset, peak, recipe)
        blinks = _blinks(self.frames / self.fps, self.seed)
        config = config_of(
            design.portrait, _SECONDS, design.fps, peak_px=peak, noise_sd=design.noise_sd,
            drift_px=8.0, drift_deg=2.5, yaw_px=2.5, sway_px=(0.25, 0.2), flicker=design.flicker,
        )  # fmt: skip
        return ClipPlan(config, self.seed, (movement,), blinks, ())

    def actor(self) -> PhotoActor:
        return make_actor(self.faces, self.identity, ALL[self.dataset].portrait)


def plan_databases(
    clips_per_class: int = 10,
    *,
    seed: int = 0,
    full: bool = False,
    faces: FaceKind = "warped",
    names: Collection[str] = COMPOSITE,
) -> tuple[DatabaseClip, ...]:
    """Draw all clips of the databases.

    Each subject gets one clip before any gets a second, so that fewer than the database's subjects
    appear only where there are fewer clips; the rest are dealt unevenly, as in the real ones.

    >>> clips = plan_databases(full=True)
    >>> len([c for c in clips if c.label]), len({(c.dataset, c.subject) for c in clips})
    (442, 68)
    """
    clips: list[DatabaseClip] = []
    for number, design in enumerate(ALL.values()):
        if design.name not in names:
            continue
        rng = np.random.default_rng([seed, number])
        counts = design.composite if full else dict.fromkeys(THREE, clips_per_class)
        labels = [e for e in THREE for _ in range(counts[e])]
        parts = deal(design.subjects, labels, design.dropped, rng)
        if full and design.name == "smic":
            parts = smic_parts()
        people = {subject: int(rng.integers(2**31)) for subject in design.subjects}
        taken: set[str] = set()
        mine = []
        for part in sorted(parts, key=lambda part: part.subject):
            name = clip_name(design.name, part, rng, taken)
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
        clip=NAMINGS[design.name].place.format(clip=name, onset=onset),
        folder=folder_of(design.name, part, name),
        label=part.label,
        emotion=part.word or emotion_word(design.name, recipe),
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


def config_of(portrait: Portrait, seconds: float, fps: float, **more: Any) -> ClipConfig:
    """A clip of a person who is filmed so; nothing happens but what ``more`` says."""
    return clip_of_kind(
        "neutral", seconds=seconds, fps=fps, width=portrait.width, height=portrait.height,
        colour=portrait.colour, face_px=FACE_WIDTH * portrait.unit_px,
        **({"head_moves_per_minute": 0.0} | more),
    )  # fmt: skip
