"""Label sets by name: what ``--labels`` takes."""

from __future__ import annotations

from collections.abc import Iterable

from micromimic.errors import LabelError
from micromimic.labels import THREE, LabelSet, labels_like

ANY = "any"
"""The names that are there."""


def scheme(name: str, datasets: Iterable[str] = (), *, found: Iterable[str] = ()) -> LabelSet:
    """The label set of a name.

    Args:
        name: of a shipped scheme, ``any`` for the names that are there, or names with commas
            between them.
        datasets: databases that it must fit.
        found: the labels that are there, for ``any``.

    Raises:
        LabelError: no such scheme, or it is not the same in all of the databases.

    >>> scheme("three") is THREE, scheme("b, a").names, scheme("any", found=["b", "a"]).names
    (True, ('b', 'a'), ('a', 'b'))
    """
    if name == THREE.name:
        return THREE
    if name == ANY:
        return labels_like(label for label in found if label)
    if "," in name:
        return LabelSet(name, tuple(part.strip() for part in name.split(",")))
    raise LabelError(
        f"expected labels as {THREE.name}, {ANY} or names with commas between them, got {name!r}; "
        "name one of them"
    )
