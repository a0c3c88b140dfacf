"""Who shows what in the synthetic databases, and what everything is called."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from micromimic.datasets.databases import smic
from micromimic.labels import THREE
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
    """One clip to be made.

    Args:
        subject: who.
        label: class.
        word: the emotion where it lies outside the classes.
        number: of SMIC's clip; None draws a name.
    """

    subject: str
    label: str | None
    word: str = ""
    number: int | None = None


def deal(
    subjects: Sequence[str],
    labels: Sequence[str],
    dropped: Sequence[str],
    rng: np.random.Generator,
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
    """What a database calls its clips, and where they lie.

    Args:
        name: of a clip, from who shows what, a number that its subject has not used, and chance.
        folder: of its pictures, from the subject and the clip's name.
        file: of a picture, from subject, clip and frame number.
        words: of emotions: what this database calls otherwise than `emotion_word` does.
        place: a clip's name in manifests, from its own and its onset; None for its own.
    """

    name: Callable[[Part, int, np.random.Generator], str]
    folder: Callable[[Part, str], str]
    file: Callable[[str, str, int], str]
    words: Mapping[str, str] = {}
    place: Callable[[str, int], str] | None = None


def _smic_name(part: Part, number: int, rng: np.random.Generator) -> str:
    code = next(code for code, label in smic.CODES.items() if label == part.label)
    return f"{part.subject}_{code}_{part.number or _SMIC_OWN + number:02d}"


def _smic_folder(part: Part, name: str) -> str:
    own = f"s{int(part.subject[1:])}{name[len(part.subject) :]}"  # clips are not zero-padded
    return f"smic/HS/{part.subject}/micro/{part.label}/{own}"


def _film(part: Part, number: int, rng: np.random.Generator) -> str:
    film, take = rng.integers(1, 20), rng.integers(1, 13 + number)
    return f"EP{film:02d}_{take:02d}{'f' if rng.random() < 0.4 else ''}"


def _other_smic(camera: str) -> Naming:
    name = f"smic-{camera.casefold()}"
    root = f"{name}/SMIC-E_raw image/{camera}_long/SMIC-{camera}-E/{camera}"
    return Naming(
        _smic_name,
        lambda part, clip: f"{root}/{part.subject}/{clip}",
        lambda who, clip, frame: f"image{frame}.jpg",
    )


_LETTERS: Final = "abcdefghijklm"  # CAS(ME)^3's videos of a person
NAMINGS: Final[Mapping[str, Naming]] = {
    "smic": Naming(_smic_name, _smic_folder, lambda who, clip, frame: f"image{frame}.jpg"),
    "casme2": Naming(
        _film,
        lambda part, name: f"casme2/CASME2_RAW_selected/{part.subject}/{name}",
        lambda who, clip, frame: f"img{frame}.jpg",
    ),
    "samm": Naming(
        lambda part, n, rng: f"{part.subject}_{rng.integers(1, 8)}_{rng.integers(1, 13 + n)}",
        lambda part, name: f"samm/SAMM/{part.subject}/{name}",
        lambda who, clip, frame: f"{who}_{frame:05d}.jpg",
    ),
    "smic-vis": _other_smic("VIS"),
    "smic-nir": _other_smic("NIR"),
    "casme": Naming(
        _film,
        lambda part, name: f"casme/CASME_raw_selected/sub{part.subject[-2:]}/{name}",
        lambda who, clip, frame: f"{clip}-{frame}.jpg",
        {"anger": "disgust"},
    ),
    "casme3": Naming(
        lambda part, n, rng: f"{_LETTERS[(n - 1) % 13]}{(n - 1) // 13}",  # several in a folder
        lambda part, name: f"casme3/part_A/{part.subject}/{name[0]}/color",
        lambda who, clip, frame: f"{frame}.jpg",
        {"happiness": "happy", "sadness": "sad", "contempt": "anger", "other": "others"},
        lambda name, onset: f"{name[0]}_{onset}",
    ),
    "mmew": Naming(
        lambda part, n, rng: f"{part.subject}-{rng.integers(1, 17):02d}-{n:03d}",
        lambda part, name: f"mmew/Micro_Expression/{part.label or 'others'}/{name}",
        lambda who, clip, frame: f"{frame}.jpg",
        {"contempt": "disgust", "other": "others"},
    ),
    "4dme": Naming(
        lambda part, n, rng: f"{int(part.subject[4:])}_{n:02d}",
        lambda part, name: f"4dme/gray_micro/{int(part.subject[4:])}/{name}",
        lambda who, clip, frame: f"{frame}.jpg",
    ),
    "dfme": Naming(
        lambda part, n, rng: f"{part.subject}_{n:02d}",
        lambda part, name: f"dfme/DFME_{('train', 'testa')[int(part.subject[3:]) % 2]}/{name}",
        lambda who, clip, frame: f"{frame:05d}.png",
        {"other": "others"},
    ),
}


def clip_name(dataset: str, part: Part, rng: np.random.Generator, taken: set[str]) -> str:
    """A clip's name that its subject has not had, in the database's manner."""
    for number in itertools.count(1):  # few names at first, more where they do not suffice
        name = NAMINGS[dataset].name(part, number, rng)
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
