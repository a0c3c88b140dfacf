"""All commands, gathered: importing a module of commands adds them to the app."""

from __future__ import annotations

import micromimic._cli.audit
import micromimic._cli.datasets
import micromimic._cli.live
import micromimic._cli.records
import micromimic._cli.research
import micromimic._cli.score
import micromimic._cli.sensitivity
import micromimic._cli.serve
import micromimic._cli.synth  # noqa: F401
from micromimic._cli.app import app

__all__ = ["app"]
