"""The documentation: commands that exist, code that runs, every public name, no host but ours."""

from __future__ import annotations

import ast
import contextlib
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from micromimic.cli.app import app
from micromimic.core.labels import THREE

from ..models.test_estimators import write_maps

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
ROOMS = ("", ".datasets", ".evaluation", ".models", ".spotting", ".synthesis")
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[str]:
    """Each `micromimic ...` of a page's shell blocks, continued lines joined."""
    blocks = [
        text for kind, text in BLOCK.findall(page.read_text("utf-8")) if kind in ("sh", "console")
    ]
    lines = [line for text in blocks for line in text.replace("\\\n", " ").splitlines()]
    parts = [part.strip().removeprefix("$ ") for line in lines for part in re.split(r"&&|;", line)]
    return [part for part in parts if part.startswith("micromimic ")]


def blocks(page: str, title: str) -> str:
    """The block of a page that is to be saved under a name."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.search(rf'^```python title="{title}"\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no {title}"
    return found[1]


def parsed(words: list[str]) -> None:
    """Read words as the program does, and run nothing."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="micromimic")
    while isinstance(command, TyperGroup):
        name, command, words = command.resolve_command(context, words)
        assert command is not None
        context = typer.Context(command, parent=context, info_name=name)
    command.parse_args(context, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_documentation_are_ones_that_the_program_takes(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        if words == ["--version"] or "..." in words:
            continue
        parsed(words)


GOOGLE = re.compile(r"^ *(Args|Returns|Raises|Examples?|Attributes): *$", re.MULTILINE)


@pytest.mark.parametrize("room", ROOMS)
def test_public_docstrings_have_sections_that_the_reference_reads(room: str) -> None:
    module = import_module(f"micromimic{room}")
    for name in module.__all__:
        thing = getattr(module, name)
        members = vars(thing).items() if isinstance(thing, type) else ()
        public = [thing, *(value for key, value in members if not key.startswith("_"))]
        assert not [part for part in public if GOOGLE.search(part.__doc__ or "")], name


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_every_public_name(room: str) -> None:
    name = room.removeprefix(".") or "micromimic"
    page = (ROOT / "docs" / "reference" / f"{name}.md").read_text("utf-8")
    listed = re.findall(rf"^::: micromimic{re.escape(room)}\.(\w+)$", page, re.MULTILINE)
    module = import_module(f"micromimic{room}")
    rooms = {other.removeprefix(".") for other in ROOMS}
    assert sorted(listed) == sorted(set(module.__all__) - (set() if room else rooms))


NAME = re.compile(
    r"`((?:core|media|face|motion|datasets|synthesis|models|preparation|evaluation|report|analysis|"
    r"workstation|cli)(?:\.\w+)+)`"
)


PATH = re.compile(r"\b((?:benchmarks|docs|examples|tests|tools|motion|synthesis)/[\w./-]*\w)")


def resolved(name: str) -> object:
    """The module, class or function of a dotted name below the package."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            found: object = import_module(".".join(["micromimic", *parts[:cut]]))
            for part in parts[cut:]:
                found = getattr(found, part)
            return found
    raise AssertionError(f"expected a name of the package, got {name}")


@pytest.mark.needs("train")
@pytest.mark.needs("web")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_of_code_in_the_documentation_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for name in NAME.findall(text):
        if not name.endswith(".html"):  # `report.html` is a file that users get
            resolved(name.removesuffix(".py"))
    for kind, code in BLOCK.findall(text):
        for node in ast.walk(ast.parse(code)) if kind == "python" else ():
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("micromimic"):
                module = import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), node.module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_of_the_repository_that_are_named_exist(page: Path) -> None:
    for name in PATH.findall(page.read_text("utf-8")):
        assert any((place / name).exists() for place in (ROOT, ROOT / "src" / "micromimic")), name


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        prose = BLOCK.sub("", page.read_text("utf-8"))
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.needs("train")
def test_the_researchers_own_model_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_maps(tmp_path, [THREE.names[k % 3] for k in range(18)]).rename(tmp_path / "composite.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine.py").write_text(blocks("tutorials/researcher.md", "mine.py"))
    exec(compile(blocks("tutorials/researcher.md", "own.py"), "own.py", "exec"), {})
    shown = capsys.readouterr().out
    assert re.search(r"mine +composite +18", shown) and "flow-svm" in shown
    assert Path("confusion.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("page", "title"),
    [("engineer", "watch.py"), ("engineer", "push.py"), ("engineer", "listen.py")],
)
def test_programs_of_the_tutorials_compile(page: str, title: str) -> None:
    compile(blocks(f"tutorials/{page}.md", title), title, "exec")
