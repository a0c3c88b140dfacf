"""Who shows what in the synthetic databases, and what everything is called."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from micromimic.datasets.databases import smic
from micromimic.labels import EMOTIONS, Emotion
from micromimic.synthesis.recipes import Recipe

Dataset = Literal["smic", "casme2", "samm"]

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
    label: Emotion | None
    word: str = ""
    number: int | None = None


def deal(
    subjects: Sequence[str],
    labels: Sequence[Emotion],
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
        for label, count in zip(EMOTIONS, counts, strict=True)
        for number in range(1, count + 1)
    ]


def clip_name(dataset: Dataset, part: Part, rng: np.random.Generator, taken: set[str]) -> str:
    """A clip's name that its subject has not had, in the database's manner."""
    for number in itertools.count(1):
        most = 12 + number  # few names at first, more where they do not suffice
        if dataset == "smic":
            code = next(code for code, label in smic.CODES.items() if label == part.label)
            name = f"{part.subject}_{code}_{part.number or _SMIC_OWN + number:02d}"
        elif dataset == "casme2":
            film, take = rng.integers(1, 20), rng.integers(1, most + 1)
            name = f"EP{film:02d}_{take:02d}{'f' if rng.random() < 0.4 else ''}"
        else:
            name = f"{part.subject}_{rng.integers(1, 8)}_{rng.integers(1, most + 1)}"
        if f"{part.subject}/{name}" not in taken | _EXCLUDED:
            break
    taken.add(f"{part.subject}/{name}")
    return name


def folder_of(dataset: Dataset, part: Part, name: str) -> str:
    """Where a clip's pictures lie in the database as distributed."""
    if dataset == "smic":
        number = int(part.subject[1:])
        own = f"s{number}{name[len(part.subject) :]}"  # folders of clips are not zero-padded
        return f"smic/HS/{part.subject}/micro/{part.label}/{own}"
    if dataset == "casme2":
        return f"casme2/CASME2_RAW_selected/{part.subject}/{name}"
    return f"samm/SAMM/{part.subject}/{name}"


def emotion_word(dataset: Dataset, recipe: Recipe) -> str:
    """The table's word for an expression, chosen to fit its action units."""
    if dataset == "smic":
        return recipe.label
    if recipe.label != "negative":
        word = {"positive": "happiness", "surprise": "surprise"}[recipe.label]
        return word if dataset == "casme2" else word.capitalize()
    units = {unit.lstrip("LR") for unit in recipe.action_units}
    if dataset == "casme2":
        return "disgust" if units & {"4", "6", "7", "9", "10"} else "repression"
    for word, signs in _SAMM_WORDS:
        if units & signs:
            return word
    return "Anger"
