"""All commands, one file each, which is imported when its command is asked for, or all are listed.

What is heavy is imported inside the commands: `--help` answers at once.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, ParamSpec

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import micromimic
from micromimic.cli.console import Interrupted, say

P = ParamSpec("P")

GROUPS: Final = {
    "Analyse": ("analyze", "live", "sensitivity", "demo"),
    "Review": ("serve", "import", "export", "forget"),
    "Research": ("datasets", "synth", "evaluate", "train", "score", "compare", "audit", "models"),
}
"""The commands by what they are for."""
PARTS: Final = {
    "import": ("markers", "coding", "assignments", "project"),
    "datasets": ("prepare", "figures", "index", "list"),
    "synth": ("databases", "clips"),
}
"""Those that are several."""
_HELP: Final = {
    "import": "Bring in what other tools and machines have.",
    "datasets": "Read databases of micro-expressions.",
    "synth": "Make synthetic data with known truth.",
}
_SETTINGS: Final = {
    # an unknown option is among the arguments: databases had options of their own once
    "datasets_index": {"ignore_unknown_options": True},
}
_PLAIN: Final[dict[str, Any]] = {
    "add_completion": False,
    "rich_markup_mode": None,  # plain help starts in half the time
    "pretty_exceptions_enable": False,
}


def interruptible(command: Callable[P, None]) -> Callable[P, None]:
    """Take Ctrl-C before typer does, which treats it differently from version to version."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; nothing was left half-written") from None

    return run


def spare_conversion(option: Any) -> None:
    """Let an option or argument take what needs none: what was not given, text, and paths, of which
    no more is asked here than that they can be read. typer converts all of it by a library that
    takes three times as long to import as typer itself."""
    declared = getattr(option, "type_descriptor", None)
    if declared is None:
        return  # an older typer, which has its own ways
    convert = option.process_value

    def process(context: Any, value: Any) -> Any:
        kind = declared.annotation
        if kind is Path and isinstance(value, str):
            if os.path.exists(value) and not os.access(value, os.R_OK):  # noqa: PTH110 - never raises
                return convert(context, value)
            value = Path(value)
        elif not (value is None or value is option.default or kind in (str, list[str])):
            return convert(context, value)
        if option.required and option.value_is_missing(value):
            return convert(context, value)  # says so
        return value if option.callback is None else option.callback(context, option, value)

    option.process_value = process


class _WithHelp:
    """A command whose ``--help`` is False where it is not given: None would be converted, too."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.default = False
        return option


class Command(_WithHelp, TyperCommand):
    """One command."""


class Commands(Mapping[str, Any]):
    """Commands by name, each made when it is first looked up, which takes some milliseconds.
    ``group``: the one of ``PARTS`` that they are parts of."""

    def __init__(self, names: tuple[str, ...], group: str = "") -> None:
        self._names, self._group = names, group
        self._made: dict[str, Any] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            if name not in self._names:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def listed(self, name: str) -> Any:
        """The command as a list shows it, without its options."""
        if name in self._made or name in PARTS:
            return self[name]
        return TyperCommand(name, help=inspect.getdoc(self._function(name)))

    def _function(self, name: str) -> Callable[..., None]:
        place = self._group or name
        module = f"{place}_" if place == "import" else place  # a word of Python's
        function: Callable[..., None] = getattr(
            import_module(f"micromimic.cli.{module}"), self._full(name)
        )
        return function

    def _full(self, name: str) -> str:
        return f"{self._group}_{name}" if self._group else name

    def _make(self, name: str) -> Any:
        if name in PARTS and not self._group:
            return Parts(name)
        alone = typer.Typer(**_PLAIN)
        settings = _SETTINGS.get(self._full(name))
        function = interruptible(self._function(name))
        alone.command(name, cls=Command, context_settings=settings)(function)
        made = get_command(alone)
        for option in made.params:
            spare_conversion(option)
        return made


class Group(_WithHelp, TyperGroup):
    """Commands that are made when they are asked for."""

    commands: Any

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self.write_commands(formatter, "Commands", self.list_commands(ctx))

    def write_commands(self, formatter: Any, title: str, names: Sequence[str]) -> None:
        """Write a section of the help."""
        width = formatter.width - 6 - max(map(len, self.commands))
        listed = [(name, self.commands.listed(name).get_short_help_str(width)) for name in names]
        with formatter.section(title):
            formatter.write_dl(listed)


class Parts(Group):
    """One of ``PARTS``."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, help=_HELP[name], no_args_is_help=True, rich_markup_mode=None)
        self.commands = Commands(PARTS[name], name)


class Root(Group):
    """All commands; the help lists them by ``GROUPS``."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = Commands(tuple(name for names in GROUPS.values() for name in names))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, names in GROUPS.items():
            self.write_commands(formatter, title, names)


app = typer.Typer(
    name="micromimic",
    cls=Root,
    help="Find candidate micro-expressions in video, say what they show, and show why.",
    epilog="Results assist a trained human coder. They are no lie detector and no diagnosis.",
    no_args_is_help=True,
    **_PLAIN,
)


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
