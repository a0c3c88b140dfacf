"""All commands, gathered: importing a module of commands adds them to the app."""

from __future__ import annotations

import micromimic.cli.audit
import micromimic.cli.datasets
import micromimic.cli.live
import micromimic.cli.records
import micromimic.cli.research
import micromimic.cli.score
import micromimic.cli.sensitivity
import micromimic.cli.serve
import micromimic.cli.synth  # noqa: F401
from micromimic.cli.app import app

__all__ = ["app"]
