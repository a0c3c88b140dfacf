"""All commands, gathered: importing a module of commands adds them to the app."""

from __future__ import annotations

import micromimic._cli.research  # noqa: F401
from micromimic._cli.app import app

__all__ = ["app"]
