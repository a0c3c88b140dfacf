"""The databases, a short declaration each: `databases` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from micromimic.datasets.base import Database
from micromimic.errors import InputError


@cache
def databases() -> Mapping[str, Database]:
    """The databases by name, in the order of tables.

    >>> databases()["casme3"].schemes["four"].names
    ('negative', 'others', 'positive', 'surprise')
    """
    from micromimic.datasets.databases import (  # noqa: PLC0415 - they import their base from here
        casme,
        casme2,
        casme3,
        casme3_c,
        casme3_long,
        casme_squared,
        dfme,
        fourdme,
        mmew,
        samm,
        samm_long,
        smic,
        smic_other,
    )

    listed = (
        smic.DATABASE, casme2.DATABASE, samm.DATABASE, smic_other.VIS, smic_other.NIR,
        casme.DATABASE, casme3.DATABASE, mmew.DATABASE, fourdme.DATABASE, dfme.DATABASE,
        casme_squared.DATABASE, samm_long.DATABASE, casme3_long.DATABASE, casme3_c.DATABASE,
    )  # fmt: skip
    return MappingProxyType({database.name: database for database in listed})


def database(name: str) -> Database:
    """A database by name.

    Raises:
        InputError: if there is none of that name.
    """
    if name not in databases():
        raise InputError(
            f"expected a database among {', '.join(databases())}, got {name!r}; correct the name"
        )
    return databases()[name]
