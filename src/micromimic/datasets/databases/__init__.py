"""The databases, a short declaration each: `databases` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from micromimic.core.errors import InputError
from micromimic.datasets.base import Database
from micromimic.datasets.databases import casme, casme3, dfme, fourdme, mmew, samm, smic


@cache
def databases() -> Mapping[str, Database]:
    listed = (
        smic.HS, casme.TWO, samm.CLIPS, smic.VIS, smic.NIR, casme.ONE, casme3.PART_A,
        mmew.DATABASE, fourdme.DATABASE, dfme.DATABASE, casme.SQUARED, samm.LONG, casme3.LONG,
        casme3.PART_C,
    )  # fmt: skip
    return MappingProxyType({database.name: database for database in listed})


def database(name: str) -> Database:
    """A database by name.

    Raises
    ------
    InputError
        if there is none of that name.

    Examples
    --------
    >>> database("casme2").fps
    200.0
    """
    if name not in databases():
        raise InputError(
            f"expected a database among {', '.join(databases())}, got {name!r}; correct the name"
        )
    return databases()[name]
