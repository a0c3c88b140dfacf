"""Who shows what in the synthetic databases, and what everything is called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from micromimic.core.labels import THREE
from micromimic.datasets.databases import smic
from micromimic.synthesis.recipes import Recipe

_EXCLUDED: Final = frozenset({"sub04/EP12_01f", "sub05/EP09_05f"})
"""Real clips that the composite leaves out by name: readers would drop a namesake."""
_SMIC_OWN: Final = 30
"""Made-up clips of SMIC are numbered above the real ones: readers know the real ones by name, and
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
    """One clip to be made."""

    subject: str
    label: str | None
    word: str = ""  # the emotion where it lies outside the classes
    number: int | None = None  # of SMIC's clip; None draws a name


def deal(
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


def smic_parts() -> list[Part]:
    """The real clips' names tell who showed what: SMIC-HS clip by clip."""
    return [
        Part(f"s{subject:02d}", label, number=number)
        for subject, counts in smic.COUNTS.items()
        for label, count in zip(THREE, counts, strict=True)
        for number in range(1, count + 1)
    ]


class Naming(NamedTuple):
    """What a database calls its clips, and where they lie."""

    clip: Callable[[Part, int, np.random.Generator], str]
    """From who shows what, a number that its subject has not used, and chance."""
    folder: str  # of its pictures; `folder_of` fills it in
    file: str  # of a picture, from subject, clip and frame
    words: Mapping[str, str] = {}  # of emotions: what it calls otherwise than `emotion_word` does
    place: str = "{clip}"  # a clip's name in manifests, from its own and its onset


def _smic_name(part: Part, number: int, rng: np.random.Generator) -> str:
    code = next(code for code, label in smic.CODES.items() if label == part.label)
    return f"{part.subject}_{code}_{part.number or _SMIC_OWN + number:02d}"


def _film(part: Part, number: int, rng: np.random.Generator) -> str:
    film, take = rng.integers(1, 20), rng.integers(1, 13 + number)
    return f"EP{film:02d}_{take:02d}{'f' if rng.random() < 0.4 else ''}"


_LETTERS: Final = "abcdefghijklm"  # CAS(ME)^3's videos of a person
_EDITED: Final = "SMIC-E_raw image/{0}_long/SMIC-{0}-E/{0}/{{subject}}/{{clip}}"
NAMINGS: Final[Mapping[str, Naming]] = {
    "smic": Naming(  # folders of clips are not zero-padded
        _smic_name, "smic/HS/{subject}/micro/{label}/s{number}{tail}", "image{frame}.jpg"
    ),
    "casme2": Naming(_film, "casme2/CASME2_RAW_selected/{subject}/{clip}", "img{frame}.jpg"),
    "samm": Naming(
        lambda part, n, rng: f"{part.subject}_{rng.integers(1, 8)}_{rng.integers(1, 13 + n)}",
        "samm/SAMM/{subject}/{clip}",
        "{subject}_{frame:05d}.jpg",
    ),
    "smic-vis": Naming(_smic_name, f"smic-vis/{_EDITED.format('VIS')}", "image{frame}.jpg"),
    "smic-nir": Naming(_smic_name, f"smic-nir/{_EDITED.format('NIR')}", "image{frame}.jpg"),
    "casme": Naming(
        _film,
        "casme/CASME_raw_selected/sub{number:02d}/{clip}",
        "{clip}-{frame}.jpg",
        {"anger": "disgust"},
    ),
    "casme3": Naming(
        lambda part, n, rng: f"{_LETTERS[(n - 1) % 13]}{(n - 1) // 13}",  # several in a folder
        "casme3/part_A/{subject}/{clip[0]}/color",
        "{frame}.jpg",
        {"happiness": "happy", "sadness": "sad", "contempt": "anger", "other": "others"},
        "{clip[0]}_{onset}",
    ),
    "mmew": Naming(
        lambda part, n, rng: f"{part.subject}-{rng.integers(1, 17):02d}-{n:03d}",
        "mmew/Micro_Expression/{label}/{clip}",
        "{frame}.jpg",
        {"contempt": "disgust", "other": "others"},
    ),
    "4dme": Naming(
        lambda part, n, rng: f"{number_of(part.subject)}_{n:02d}",
        "4dme/gray_micro/{number}/{clip}",
        "{frame}.jpg",
    ),
    "dfme": Naming(
        lambda part, n, rng: f"{part.subject}_{n:02d}",
        "dfme/DFME_{half}/{clip}",
        "{frame:05d}.png",
        {"other": "others"},
    ),
}


def number_of(subject: str) -> int:
    digits = re.search(r"\d+$", subject)
    return int(digits[0]) if digits else 0


def folder_of(dataset: str, part: Part, clip: str) -> str:
    number = number_of(part.subject)
    return NAMINGS[dataset].folder.format(
        subject=part.subject,
        number=number,
        label=part.label or "others",
        clip=clip,
        tail=clip.removeprefix(part.subject),
        half=("train", "testa")[number % 2],
    )


def clip_name(dataset: str, part: Part, rng: np.random.Generator, taken: set[str]) -> str:
    """A clip's name that its subject has not had, in the database's manner."""
    for number in itertools.count(1):  # few names at first, more where they do not suffice
        name = NAMINGS[dataset].clip(part, number, rng)
        if f"{part.subject}/{name}" not in taken | _EXCLUDED:
            break
    taken.add(f"{part.subject}/{name}")
    return name


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
    return NAMINGS[dataset].words.get(found.casefold(), found.casefold())
