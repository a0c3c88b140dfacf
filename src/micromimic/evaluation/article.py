"""What the article printed, to stand beside what is measured here.

"Improvement of emotion recognition methods based on neural networks", Ukrainian Journal of
Information Technology 2024, 6(1), from page 58, after Quang, Chun, Tokuyama, "CapsuleNet for
Micro-Expression Recognition", FG 2019, doi 10.1109/FG.2019.8756544.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from micromimic.core.labels import THREE
from micromimic.datasets.megc2019 import ARTICLE, TITLES as DATABASES

if TYPE_CHECKING:
    from micromimic.evaluation.predictions import Predictions

COMPOSITE: Final = "composite"
"""All clips of a run together."""

CITATION: Final = (
    "the article: Improvement of emotion recognition methods based on neural networks, Ukrainian "
    "Journal of Information Technology 2024, 6(1), from page 58; after Quang, Chun, Tokuyama, "
    "CapsuleNet for Micro-Expression Recognition, FG 2019, doi 10.1109/FG.2019.8756544"
)

TITLES: Final = {COMPOSITE: "Composite", **DATABASES}
"""Databases as people write them."""


@dataclass(frozen=True)
class Counts:
    """Subjects and clips of one database; ``clips`` in the order of the classes."""

    subjects: int
    clips: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.clips)


TABLE_1: Final[Mapping[str, Counts]] = {
    **{name: Counts(subjects, tuple(clips)) for name, (subjects, _, *clips) in ARTICLE.items()},
    COMPOSITE: Counts(68, (250, 109, 83)),
}
"""Table 1, with the subjects from its text."""

WRONG_SUM: Final = "The article prints 132 as SAMM's sum; its own row adds to 133."

Pair = tuple[float, float]
"""UF1, UAR."""

TABLE_2: Final[Mapping[str, Mapping[str, Pair]]] = {
    method: dict(zip((COMPOSITE, *ARTICLE), pairs, strict=True))
    for method, pairs in {
        "LBP-TOP": ((.5885, .5791), (.2000, .5280), (.7026, .7429), (.3954, .4102)),
        "VGG11": ((.5264, .5392), (.3461, .3558), (.5315, .5381), (.2871, .4056)),
        "ResNet18": ((.5392, .5459), (.3576, .3602), (.5367, .5441), (.4821, .4322)),
        "CapsuleNet": ((.6517, .6504), (.5820, .5877), (.7068, .7018), (.6209, .5989)),
    }.items()
}  # fmt: skip
"""LOSO on the composite: method, database, scores."""

TABLE_3: Final[Mapping[str, Pair]] = {
    "CapsuleNet and VGG11": (0.6126, 0.6257),
    "CapsuleNet and ResNet18": (0.6513, 0.6496),
}
"""LOSO on the composite by stem. Table 2 prints .6517 and .6504 for the ResNet18 stem."""

RECALLS: Final = (0.780, 0.596, 0.575)
"""Figure 5, in the order of `labels.THREE`."""

METHOD_OF: Final = {
    "lbp-top-svm": "LBP-TOP",
    "vgg11": "VGG11",
    "resnet18": "ResNet18",
    "capsnet-resnet18": "CapsuleNet",
}
"""Our models' names, and the article's in table 2."""

STEM_OF: Final = {
    "capsnet-vgg11": "CapsuleNet and VGG11",
    "capsnet-resnet18": "CapsuleNet and ResNet18",
}
"""Our models' names, and the article's in table 3."""


def counts_of(rows: Predictions) -> dict[str, Counts]:
    """Subjects and clips of each database and of all together, as table 1 has them."""
    found = {}
    for scope in [*sorted(set(rows["dataset"])), COMPOSITE]:
        part = rows if scope == COMPOSITE else rows[rows["dataset"] == scope]
        by_class = tuple(int((part["y_true"] == name).sum()) for name in rows.labels)
        found[scope] = Counts(len(set(part.who)), by_class)
    return found


def is_full_composite(rows: Predictions) -> bool:
    """Whether these are the 442 clips of 68 subjects, by number in each database and class."""
    return rows.labels == THREE and counts_of(rows) == dict(TABLE_1)


def of_composite(rows: Predictions) -> bool:
    return rows.labels == THREE and set(rows["dataset"]) <= set(TABLE_1) - {COMPOSITE}


PRIOR_KNOWS: Final = (
    "Its synthetic weights know some annotations of the people tested: how often action units go "
    "with each class was taken from CASME II's and SAMM's coding tables over all subjects "
    "(docs/synthesis.md). Scores on those two databases are flattered by what that is worth."
)
"""What stands wherever a score of the shipped synthetic weights stands."""
