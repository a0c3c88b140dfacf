"""The colours of classes by their place in the model's label set: reports and pages share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

COLOURS: Final = (
    ("#bf4b2c", "#ef8a6c"),
    ("#0f7d72", "#56c2b2"),
    ("#6d4bb8", "#b79cf0"),
    ("#8a6a00", "#d9b64a"),
    ("#b03078", "#f08fc2"),
    ("#2b6cb0", "#7fb8f2"),
    ("#4d7a1f", "#9fcf6a"),
    ("#7a4a33", "#cfa58e"),
    ("#55606b", "#b3bec8"),
)
"""On a light and on a dark page. A label set of more classes begins again with the first: marks and
names tell them apart, never a colour alone."""


def place_of(label: str, labels: Sequence[str]) -> str:
    """The style class of a label: ``place-1`` for the model's first, ``place-0`` for none of it.

    >>> place_of("b", ["a", "b"]), place_of("c", ["a", "b"])
    ('place-2', 'place-0')
    """
    number = labels.index(label) % len(COLOURS) + 1 if label in labels else 0
    return f"place-{number}"


def style_sheet() -> str:
    """What ``place-1`` does: sets ``--shade``, by ``color-scheme``, for the style sheets to use."""
    places = range(len(COLOURS) + 1)
    return "\n".join(
        [
            ":root {",
            *(f"  --place-{k}: light-dark({', '.join(COLOURS[k - 1])});" for k in places[1:]),
            "}",
            *(f".place-{k} {{ --shade: var(--place-{k}, var(--muted)); }}" for k in places),
            "",
        ]
    )
