"""The command: `python tools/weights flow|action-units --out FILE`. Needs the ``train`` extra."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress as Bars, TaskID

if __name__ == "__main__":
    # run as a folder, this one is on the path; the modules are those of a package
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from micromimic.core.errors import MicromimicError
from micromimic.models.registry import require_extra
from weights.cards import WITHOUT
from weights.config import FlowConfig, UnitConfig
from weights.real_maps import read_flow_maps

if TYPE_CHECKING:
    from micromimic.core.progress import Progress

_FLOW = {
    "seed": ("decides everything", 0),
    "teachers": ("networks that the model learns from", 1),
    "maps": ("drawn maps of each teacher", 128),
    "measured": ("maps measured on rendered frames, 13 a second; needs faces3d", 0),
    "epochs": ("a teacher's passes over its maps", 1),
    "lessons": ("the model's passes over all maps", 1),
    "validation": ("maps a validation set", 128),
}
_UNITS = {
    "seed": ("decides everything", 0),
    "maps": ("training maps", 600),
    "epochs": ("passes over them", 1),
    "validation": ("maps a validation set", 2000),
}
"""Options: what they mean, and the least that will do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 1 failed, 2 usage."""
    options = _parser().parse_args(arguments)
    try:
        require_extra()
        import torch  # noqa: PLC0415 - here, so that its absence is told in one line

        torch.set_num_threads(1)
        with _progress() as progress:
            card = options.make(options, progress)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped before the end\n")
        return 130
    sys.stdout.write(f"{options.out}\n{card}\n")
    return 0


def _flow(options: argparse.Namespace, progress: Progress) -> Path:
    from weights.flow import train_flow  # noqa: PLC0415 - needs torch

    # read before training: a wrong path should not cost a minute
    data = read_flow_maps(options.measure) if options.measure else None
    out = train_flow(options.out, FlowConfig(**_chosen(options, _FLOW)), data, progress)
    return out.with_name("MODEL_CARD.md")


def _units(options: argparse.Namespace, progress: Progress) -> Path:
    from weights.units import train_unit_model  # noqa: PLC0415 - needs torch

    out = train_unit_model(options.out, UnitConfig(**_chosen(options, _UNITS)), progress)
    return out.with_suffix(".md")


def _chosen(options: argparse.Namespace, numbers: Iterable[str]) -> dict[str, Any]:
    recipes = WITHOUT.get(options.without, "full")
    return {"recipes": recipes, **{name: getattr(options, name) for name in numbers}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tools/weights",
        description="Train a model that ships on synthetic motion maps; write ONNX and its card.",
    )
    commands = parser.add_subparsers(required=True, metavar="MODEL")
    for name, make, config, numbers in (
        ("flow", _flow, FlowConfig(), _FLOW),
        ("action-units", _units, UnitConfig(), _UNITS),
    ):
        one = commands.add_parser(name, help=f"the model of {name.replace('-', ' ')}")
        one.set_defaults(make=make)
        one.add_argument("--out", type=Path, required=True, metavar="FILE", help="the ONNX file")
        for option, (about, least) in numbers.items():
            default = getattr(config, option)
            text = f"{about} (default {default})"
            one.add_argument(f"--{option}", type=_from(least), default=default, help=text)
        about = "a database whose annotation table the recipes leave out"
        one.add_argument("--without", choices=tuple(WITHOUT), help=about)
    commands.choices["flow"].add_argument(
        "--measure",
        type=Path,
        metavar="MANIFEST",
        help="real flow maps to measure the finished model on; they decide nothing",
    )
    return parser


def _from(least: int) -> Callable[[str], int]:
    """Reads whole numbers that are not below the least."""

    def number(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text}")
        return int(text)

    return number


@contextmanager
def _progress() -> Iterator[Progress]:
    """Shows on stderr what it is told."""
    tasks: dict[str, TaskID] = {}
    with Bars(console=Console(stderr=True)) as bars:

        def progress(done: int, total: int | None, stage: str) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield progress


if __name__ == "__main__":
    sys.exit(main())
