"""Former names of this room (until issue 15 is whole)."""

# ruff: noqa

from micromimic.workstation.records.database import Store as Store
