"""The layout as docs/architecture.md has it; who may import whom is held by import-linter."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "micromimic"
FILES = sorted(p for place in (SOURCE, ROOT / "tools") for p in place.rglob("*.py"))


def rooms_of_the_document() -> list[str]:
    """Rooms from the top down, read from the arrow line."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    line = re.search(r"^`core` <-.*?(?=\n\n)", text, re.S | re.M)
    assert line, "the arrow line is gone from docs/architecture.md"
    return re.findall(r"`(\w+)`", line.group(0))[::-1]


def test_document_contract_and_folders_have_the_same_rooms() -> None:
    pytest.importorskip("grimp")
    from rooms import STOREYS, layers

    folders = {p.parent.name for p in SOURCE.glob("*/__init__.py")}
    assert layers() == rooms_of_the_document()
    assert set(layers()) == folders == {room for rooms in STOREYS.values() for room in rooms}


def test_the_picture_of_the_rooms_shows_today_s_imports() -> None:
    """Made by `python tools/rooms.py docs/figures/rooms.svg`; its line counts may be older."""
    pytest.importorskip("grimp")
    from rooms import arrows

    picture = (ROOT / "docs" / "figures" / "rooms.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'data-from="(\w+)" data-to="(\w+)"', picture))
    assert drawn == set(arrows())


def test_contracts_are_kept() -> None:
    """In a process of its own: import-linter switches off the loggers that are there already."""
    pytest.importorskip("importlinter")
    call = "from importlinter.cli import lint_imports as f; raise SystemExit(f(no_cache=True))"
    run = subprocess.run(
        [sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_stay_small(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0
            length = node.end_lineno - node.lineno + 1 - docstring
            assert length < 60, f"{node.name} has {length} lines without its docstring"
