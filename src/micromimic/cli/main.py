"""The entry point of the command line.

The commands are thin shells over the Python API. Everything, typer included, is imported inside
``main``, so that Ctrl-C and errors give one line from the start.

>>> main(["--version"])
micromimic ...
0
"""

from __future__ import annotations

import atexit
import gc
import signal
import sys
import warnings
from collections.abc import Sequence

from micromimic.cli.console import (
    Interrupted,
    complain,
    debugging,
    describe,
    keep_caches_together,
    note,
    one_line,
    prepare_streams,
)
from micromimic.core.errors import ManifestWarning

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the entry point of ``micromimic``.

    Parameters
    ----------
    arguments
        As after ``micromimic``; None takes the process's own, and sets its output streams up for a
        command line.

    Returns
    -------
    int
        0 all done, 1 something failed, 2 wrong usage, 130 interrupted.
    """
    if arguments is None:
        arguments = sys.argv[1:]
        prepare_streams()
        keep_caches_together()
        atexit.register(gc.freeze)  # what is left needs no search for circles, a tenth of a second
        if not sys.warnoptions and not debugging():
            warnings.simplefilter("ignore")  # a library's advice to programmers is no user's news
            warnings.simplefilter("once", ManifestWarning)  # one person under two names is
    try:
        from micromimic.cli.app import app

        code = app(args=list(arguments), prog_name="micromimic", standalone_mode=False)
    except (KeyboardInterrupt, Interrupted) as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil the exit
        note(f"micromimic: {str(stop) or 'interrupted'}")
        return INTERRUPTED
    except Exception as error:
        return _exit_code(error)
    return code if isinstance(code, int) else OK


def _exit_code(error: Exception) -> int:
    """Say what went wrong in one line."""
    usage = getattr(error, "format_message", None)
    if usage is not None:  # typer's own usage errors
        if type(error).__name__ == "NoArgsIsHelpError":
            note(str(usage()))
            return USAGE
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "micromimic"
        complain(f"{one_line(usage()).rstrip('.')}; try {where} --help")
        return USAGE
    if debugging():
        raise error
    complain(describe(error))
    return FAILED
