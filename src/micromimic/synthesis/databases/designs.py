"""The databases that are imitated: who appears, how they are filmed, what everything is called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from micromimic.datasets.databases import smic
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.recipes import Recipe

_SMIC_OWN: Final = 30
"""Synthetic clips of SMIC are numbered above the real ones: readers know the real ones by name, and
would miss those that a small database lacks."""
_SAMM_WORDS: Final = (
    ("Disgust", {"9", "10"}),
    ("Fear", {"20"}),
    ("Contempt", {"14"}),
    ("Sadness", {"1", "15"}),
    ("Anger", {"4", "5", "7", "24"}),
    ("Sadness", {"17"}),
)
"""The first whose signs show names the expression."""


class Part(NamedTuple):
    """One clip that is wanted."""

    subject: str
    label: str | None
    word: str = ""  # the emotion where it lies outside the classes
    number: int | None = None  # of SMIC's clip; None draws a name


class Design(NamedTuple):
    """One database of clips."""

    name: str  # as in manifests
    fps: float
    portrait: Portrait
    subjects: tuple[str, ...]  # as in manifests
    # a clip's name, from who shows what, a number that its subject has not used, and chance
    clip: Callable[[Part, int, np.random.Generator], str]
    folder: str  # of a clip's pictures; `folder_of` fills it in
    file: str  # of a picture, from subject, clip and frame
    length: tuple[float, float]  # frames from onset to offset: mean, standard deviation
    rise: tuple[float, float]  # frames from onset to apex, likewise
    shortest: int  # limits of the length
    longest: int
    around: tuple[int, int] = (2, 5)  # fewest and most frames before onset and after offset
    noise_sd: float = 1.8  # of the sensor, grey levels
    flicker: float = 0.01  # of the light, share
    composite: Mapping[str, int] = {}  # clips of each class in the MEGC 2019 composite
    dropped: tuple[str, ...] = ()  # emotions outside the classes that a few further clips show
    words: Mapping[str, str] = {}  # of emotions: what it calls otherwise than `emotion_word` does
    place: str = "{clip}"  # a clip's name in manifests, from its own and its onset


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


def number_of(subject: str) -> int:
    """The number that a subject's name ends with; 0 without one."""
    digits = re.search(r"\d+$", subject)
    return int(digits[0]) if digits else 0


def _smic_clip(part: Part, number: int, rng: np.random.Generator) -> str:
    code = next(code for code, label in smic.CODES.items() if label == part.label)
    return f"{part.subject}_{code}_{part.number or _SMIC_OWN + number:02d}"


def _film(part: Part, number: int, rng: np.random.Generator) -> str:
    film, take = rng.integers(1, 20), rng.integers(1, 13 + number)
    return f"EP{film:02d}_{take:02d}{'f' if rng.random() < 0.4 else ''}"


def _other(
    name: str,
    fps: float,
    subjects: Iterable[str],
    clip: Callable[[Part, int, np.random.Generator], str],
    folder: str,
    file: str,
    **more: Any,
) -> Design:
    """A database beside the composite: movements as long in seconds as CASME II's."""
    k = fps / 200.0
    return Design(
        name, fps, Portrait(), tuple(subjects), clip, folder, file, (71.0 * k, 22.0 * k),
        (36.0 * k, 15.0 * k), max(4, round(30 * k)), round(118 * k), **more,
    )  # fmt: skip


_SMIC: Final = tuple(f"s{n:02d}" for n in (*range(1, 7), 8, 9, *range(11, 16), 18, 19, 20))
_SAMM: Final = tuple(f"{n:03d}" for n in (6, 7, *range(9, 25), 26, 28, *range(30, 38)))
_EDITED: Final = "SMIC-E_raw image/{0}_long/SMIC-{0}-E/{0}/{{subject}}/{{clip}}"

DESIGNS: Final = (
    Design(
        "smic", 100.0, Portrait(unit_px=4.0), _SMIC, _smic_clip,
        "smic/HS/{subject}/micro/{label}/s{number}{tail}",  # not zero-padded
        "image{frame}.jpg", (34.0, 9.0), (17.0, 7.0), 14, 50, (0, 0), 2.2, 0.02,
        {"negative": 70, "positive": 51, "surprise": 43},
    ),
    Design(
        "casme2", 200.0, Portrait(unit_px=4.4),
        # the composite has no clip of sub10 and sub18
        tuple(f"sub{n:02d}" for n in range(1, 27) if n not in (10, 18)), _film,
        "casme2/CASME2_RAW_selected/{subject}/{clip}", "img{frame}.jpg",
        (71.0, 22.0), (36.0, 15.0), 30, 118, (8, 18), 1.8, 0.01,
        {"negative": 88, "positive": 32, "surprise": 25}, ("others", "others", "sadness"),
    ),
    Design(
        "samm", 200.0, Portrait(unit_px=4.8, colour=False), _SAMM,
        lambda part, n, rng: f"{part.subject}_{rng.integers(1, 8)}_{rng.integers(1, 13 + n)}",
        "samm/SAMM/{subject}/{clip}", "{subject}_{frame:05d}.jpg",
        (73.0, 19.0), (33.0, 14.0), 30, 112, (4, 10), 1.5, 0.01,
        {"negative": 92, "positive": 26, "surprise": 15}, ("Other", "Other"),
    ),
)  # fmt: skip
COMPOSITE: Final = tuple(design.name for design in DESIGNS)

_OTHERS: Final = (
    _other(
        "smic-vis", 25.0, _SMIC[8:], _smic_clip, f"smic-vis/{_EDITED.format('VIS')}",
        "image{frame}.jpg",
    ),
    _other(
        "smic-nir", 25.0, _SMIC[8:], _smic_clip, f"smic-nir/{_EDITED.format('NIR')}",
        "image{frame}.jpg",
    ),
    _other(
        "casme", 60.0, map("casme{:02d}".format, range(1, 20)), _film,
        "casme/CASME_raw_selected/sub{number:02d}/{clip}", "{clip}-{frame}.jpg",
        dropped=("tense",), words={"anger": "disgust"},
    ),
    _other(
        "casme3", 30.0, map("spNO.{}".format, range(1, 101)),
        # several in a folder
        lambda part, n, rng: f"{'abcdefghijklm'[(n - 1) % 13]}{(n - 1) // 13}",
        "casme3/part_A/{subject}/{clip[0]}/color", "{frame}.jpg", dropped=("others",),
        words={"happiness": "happy", "sadness": "sad", "contempt": "anger", "other": "others"},
        place="{clip[0]}_{onset}",
    ),
    _other(
        "mmew", 90.0, map("S{:02d}".format, range(1, 31)),
        lambda part, n, rng: f"{part.subject}-{rng.integers(1, 17):02d}-{n:03d}",
        "mmew/Micro_Expression/{label}/{clip}", "{frame}.jpg", dropped=("others",),
        words={"contempt": "disgust", "other": "others"},
    ),
    _other(
        "4dme", 60.0, map("4dme{:02d}".format, range(1, 42)),
        lambda part, n, rng: f"{number_of(part.subject)}_{n:02d}",
        "4dme/gray_micro/{number}/{clip}", "{frame}.jpg", dropped=("others",),
    ),
    _other(
        "dfme", 200.0, map("sub{:04d}".format, range(1, 101)),
        lambda part, n, rng: f"{part.subject}_{n:02d}",
        "dfme/DFME_{half}/{clip}", "{frame:05d}.png", words={"other": "others"},
    ),
)  # fmt: skip
ALL: Final = {design.name: design for design in (*DESIGNS, *_OTHERS)}

FILMS: Final = (
    ("0101", "disgust1", "disgustingteeth"), ("0102", "disgust2", "earwax"),
    ("0401", "anger1", "girlcrash"), ("0402", "anger2", "beatingchild"),
    ("0502", "happy2", "funnyerrors"), ("0503", "happy3", "unluckyfilm"),
)  # fmt: skip
"""CAS(ME)^2's films: code, name in the table, name in the folder."""
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


def folder_of(dataset: str, part: Part, clip: str) -> str:
    """Where a clip's pictures lie."""
    number = number_of(part.subject)
    return ALL[dataset].folder.format(
        subject=part.subject, number=number, label=part.label or "others", clip=clip,
        tail=clip.removeprefix(part.subject), half=("train", "testa")[number % 2],
    )  # fmt: skip


def emotion_word(dataset: str, recipe: Recipe) -> str:
    """The table's word for an expression, chosen to fit its action units."""
    units = {unit.lstrip("LR") for unit in recipe.action_units}
    if dataset.startswith("smic") or dataset == "4dme":
        return recipe.label
    good = {"positive": "happiness", "surprise": "surprise"}.get(recipe.label)
    if dataset in ("casme2", "casme"):
        bad = "disgust" if units & {"4", "6", "7", "9", "10"} else "repression"
        return good or bad
    found = good or next((word for word, signs in _SAMM_WORDS if units & signs), "Anger")
    if dataset == "samm":
        return found.capitalize()
    return ALL[dataset].words.get(found.casefold(), found.casefold())
