"""The one direction of imports, as docs/architecture.md has it, and how long functions may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "micromimic"
FILES = sorted(p for p in SOURCE.rglob("*.py"))
TOOLS = ROOT / "tools"
TOOL_FILES = sorted(TOOLS.rglob("*.py"))
TORCH = {"torch", "torchvision"}
MAY_USE_TORCH = ("models/networks/", "models/training/")
# The package's face: names its lazy attributes, imports none of them when loaded.
FACE = {"__init__.py", "__main__.py", "spotting.py"}


def room_levels() -> dict[str, int]:
    """Rooms by level, read from the arrow line of the document."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    heading = text.index("one direction of imports")
    line = re.search(r"^`core`.*?(?=\n\n)", text[heading:], re.S | re.M)
    assert line, "the arrow line is gone from docs/architecture.md"
    groups = line.group(0).split("<-")
    return {
        room.strip(): level
        for level, group in enumerate(groups)
        for names in re.findall(r"`([^`]+)`", group)
        for room in names.split(",")
    }


LEVELS = room_levels()


def room_of(module: str) -> str:
    """Room of `micromimic.x.y`: `x`."""
    return module.split(".")[1]


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                module = ".".join([*base, *filter(None, [node.module])])
            else:
                module = node.module or ""
            yield module
            if module == "micromimic":
                yield from (f"micromimic.{alias.name}" for alias in node.names)


def test_the_document_names_every_room() -> None:
    rooms = {
        p.stem
        for p in SOURCE.iterdir()
        if p.name not in FACE and (p.suffix == ".py" or (p / "__init__.py").exists())
    }
    assert rooms == set(LEVELS)


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_one_way(file: Path) -> None:
    relative = file.relative_to(SOURCE)
    if str(relative) in FACE:
        return
    module = ".".join(["micromimic", *relative.with_suffix("").parts])
    package = module.rsplit(".", 1)[0]
    here = room_of(module)
    known = {p.stem if p.suffix else p.name for p in SOURCE.iterdir()}
    for name in imported(ast.parse(file.read_text(encoding="utf-8")), package):
        parts = name.split(".")
        if parts[0] != "micromimic" or len(parts) == 1 or parts[1] not in known:
            continue
        there = room_of(name)
        assert LEVELS[there] <= LEVELS[here], f"{relative} ({here}) imports {name}: reverse arrow"


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_torch_stays_in_training(file: Path) -> None:
    relative = file.relative_to(SOURCE).as_posix()
    uses = {
        name.split(".")[0] for name in imported(ast.parse(file.read_text(encoding="utf-8")), "")
    }
    if not relative.startswith(MAY_USE_TORCH):
        assert not uses & TORCH, f"{relative} imports torch"


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_package_knows_nothing_of_its_tools(file: Path) -> None:
    """What makes the shipped weights needs the package, never the other way round."""
    names = {name.split(".")[0] for name in imported(ast.parse(file.read_text("utf-8")), "")}
    assert not names & {"tools", *(p.stem for p in TOOLS.iterdir())}


@pytest.mark.parametrize("file", [*FILES, *TOOL_FILES], ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_stay_small(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            told = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0
            length = node.end_lineno - node.lineno + 1 - told
            assert length < 60, f"{node.name} has {length} lines without its docstring"


def test_the_check_sees_a_reverse_arrow() -> None:
    tree = ast.parse("from ..analysis import analyze\nfrom micromimic import cli\nimport torch.nn")
    names = set(imported(tree, "micromimic.media"))
    assert {"micromimic.analysis", "micromimic.cli.main", "torch.nn"} <= names
    assert LEVELS["analysis"] > LEVELS["media"]
