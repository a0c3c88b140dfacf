"""All commands, one file each. What is heavy is imported inside them: `--help` answers at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final, ParamSpec

import typer
from typer.core import TyperGroup

import micromimic
from micromimic.cli.analyze import analyze
from micromimic.cli.audit import audit
from micromimic.cli.compare import compare
from micromimic.cli.console import Interrupted, say
from micromimic.cli.datasets import (
    datasets_figures,
    datasets_index,
    datasets_list,
    datasets_prepare,
)
from micromimic.cli.demo import demo
from micromimic.cli.evaluate import evaluate
from micromimic.cli.export import export
from micromimic.cli.forget import forget
from micromimic.cli.import_ import (
    import_assignments,
    import_coding,
    import_markers,
    import_project,
)
from micromimic.cli.live import live
from micromimic.cli.models import models
from micromimic.cli.score import score
from micromimic.cli.sensitivity import sensitivity
from micromimic.cli.serve import serve
from micromimic.cli.synth import synth_clips, synth_databases
from micromimic.cli.train import train

P = ParamSpec("P")

GROUPS: Final = {
    "Analyse": ("analyze", "live", "sensitivity", "demo"),
    "Review": ("serve", "import", "export", "forget"),
    "Research": ("datasets", "synth", "evaluate", "train", "score", "compare", "audit", "models"),
}
"""The commands by what they are for."""


class Grouped(TyperGroup):
    """Help that lists the commands by ``GROUPS``."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section a group."""
        for title, names in GROUPS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            width = formatter.width - 6 - max(map(len, self.commands))
            with formatter.section(title):
                formatter.write_dl([(n, c.get_short_help_str(width)) for n, c in commands if c])


app = typer.Typer(
    name="micromimic",
    cls=Grouped,
    help="Find candidate micro-expressions in video, say what they show, and show why.",
    epilog="Results assist a trained human coder. They are no lie detector and no diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help starts in half the time
    pretty_exceptions_enable=False,
)
synth = typer.Typer(help="Make synthetic data with known truth.", no_args_is_help=True)
import_ = typer.Typer(help="Bring in what other tools and machines have.", no_args_is_help=True)
datasets = typer.Typer(help="Read databases of micro-expressions.", no_args_is_help=True)


def interruptible(command: Callable[P, None]) -> Callable[P, None]:
    """Take Ctrl-C before typer does, which treats it differently from version to version."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; nothing was left half-written") from None

    return run


def _version(wanted: bool) -> None:
    if wanted:
        say(f"micromimic {micromimic.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


# the help lists them by `GROUPS`
for _command in (
    *(demo, analyze, models, score, evaluate, train, compare, audit),
    *(live, forget, export, sensitivity, serve),
):
    app.command()(interruptible(_command))
app.add_typer(synth, name="synth")
synth.command("databases")(interruptible(synth_databases))
synth.command("clips")(interruptible(synth_clips))
app.add_typer(import_, name="import")
import_.command("markers")(interruptible(import_markers))
import_.command("coding")(interruptible(import_coding))
import_.command("assignments")(interruptible(import_assignments))
import_.command("project")(interruptible(import_project))
app.add_typer(datasets, name="datasets")
datasets.command("prepare")(interruptible(datasets_prepare))
datasets.command("figures")(interruptible(datasets_figures))
# an unknown option is among the arguments: databases had options of their own once
datasets.command("index", context_settings={"ignore_unknown_options": True})(
    interruptible(datasets_index)
)
datasets.command("list")(interruptible(datasets_list))
