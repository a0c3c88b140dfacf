"""Label sets by name: what ``--labels`` takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from micromimic.core.errors import LabelError
from micromimic.core.labels import THREE, LabelSet, labels_like
from micromimic.datasets.databases import database, databases

ANY: Final = "any"
"""The names that are there."""


def scheme(name: str, datasets: Iterable[str] = (), *, found: Iterable[str] = ()) -> LabelSet:
    """The label set of a name.

    Parameters
    ----------
    name : str
        of a shipped scheme, ``any`` for the names that are there, or names with commas between
        them.
    datasets : Iterable[str]
        databases that it must fit; every one that is shipped must have it, and the same.
    found : Iterable[str]
        the labels that are there, for ``any``.

    Raises
    ------
    LabelError
        no such scheme, or it is not the same in all of the databases.

    Examples
    --------
    >>> scheme("three") is THREE, scheme("b, a").names, scheme("any", found=["b", "a"]).names
    (True, ('b', 'a'), ('a', 'b'))
    >>> scheme("four", ["casme3"]).column
    'label4'
    """
    if name == THREE.name:
        return THREE
    if name == ANY:
        return labels_like(label for label in found if label)
    if "," in name:
        return LabelSet(name, tuple(part.strip() for part in name.split(",")))
    named = [each for each in datasets if each in databases()]
    sets = {each: databases()[each].schemes.get(name) for each in named}
    lacking = [each for each, labels in sets.items() if labels is None]
    if lacking or not sets:
        kinds = [databases()[each].schemes for each in named] or [{THREE.name: THREE}]
        known = [each for each in kinds[0] if all(each in schemes for schemes in kinds)]
        raise LabelError(
            f"expected labels as {', '.join(known)}, {ANY} or names with commas between them"
            f"{f' for {lacking[0]}' if lacking else ''}, got {name!r}; name one of them"
        )
    different = {labels.names: each for each, labels in sets.items() if labels}
    if len(different) > 1:
        (one, first), (two, second) = list(different.items())[:2]
        raise LabelError(
            f"expected one set of labels named {name}, got {', '.join(one)} ({first}) and "
            f"{', '.join(two)} ({second}); take one, or in a manifest names with commas"
        )
    return next(labels for labels in sets.values() if labels)


def scheme_of(name: str, labels: str) -> LabelSet:
    schemes = database(name).schemes
    if labels not in schemes:
        raise LabelError(
            f"expected labels that {name} has ({', '.join(schemes)}), got {labels!r}; "
            "name one of them, or index the database on its own"
        )
    return schemes[labels]
