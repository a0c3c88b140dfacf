"""The command line: `micromimic demo | analyze | synth | datasets | evaluate | train...`."""

from micromimic.cli.main import main

__all__ = ["main"]
