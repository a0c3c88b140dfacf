"""Draws the rooms of the package from its imports: ``python tools/rooms.py FILE.svg``.

A box a room, on its storey, with its files and lines; an arrow where one room imports another,
thicker the more imports. All rooms import core, so those arrows are left out.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "src" / "micromimic"
STOREYS: Final = {
    "use": ("cli", "workstation", "analysis", "report"),
    "learn": ("evaluation", "preparation", "models", "synthesis", "datasets"),
    "measure": ("motion", "face", "media"),
    "": ("core",),
}
WIDTH, HEIGHT, BOX, TALL = 900, 520, 132, 46


def layers() -> list[str]:
    """Rooms from the top down, as the contract in pyproject.toml has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    return list(next(c for c in contracts if c["type"] == "layers")["layers"])


def arrows() -> Counter[tuple[str, str]]:
    """How many imports lead from one room to another."""
    graph = grimp.build_graph("micromimic", exclude_type_checking_imports=True, cache_dir=None)
    found: Counter[tuple[str, str]] = Counter()
    rooms = set(layers())
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = (importer.split(".")[1:2] or [""])[0], (imported.split(".")[1:2] or [""])[0]
            if pair[0] != pair[1] and set(pair) <= rooms - {"core"}:
                found[pair] += 1
    return found


def size_of(room: str) -> tuple[int, int]:
    """Python files of a room, and their lines."""
    files = sorted((PACKAGE / room).rglob("*.py"))
    return len(files), sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def drawing() -> str:
    """The picture as SVG, light or dark by its surroundings."""
    places: dict[str, tuple[float, float]] = {}
    parts: list[str] = []
    band = HEIGHT / len(STOREYS)
    for row, (storey, rooms) in enumerate(STOREYS.items()):
        top = row * band
        parts.append(
            f'<rect x="0" y="{top:.0f}" width="{WIDTH}" height="{band - 8:.0f}" class="storey"/>'
            f'<text x="12" y="{top + 22:.0f}" class="name">{storey}</text>'
        )
        gap = (WIDTH - 90) / len(rooms)
        for k, room in enumerate(reversed(rooms)):
            places[room] = (90 + gap * (k + 0.5), top + band * (0.36 + 0.24 * (k % 2)))
    for (a, b), count in sorted(arrows().items()):
        (x1, y1), (x2, y2) = places[a], places[b]
        y1, y2 = (y1 + TALL / 2, y2 - TALL / 2) if y2 - y1 > TALL else (y1, y2)
        if y1 == places[a][1]:  # side by side
            side = BOX / 2 if x2 > x1 else -BOX / 2
            x1, x2 = x1 + side, x2 - side
        parts.append(
            f'<path d="M{x1:.0f} {y1:.0f}C{x1:.0f} {(y1 + y2) / 2:.0f} {x2:.0f} '
            f'{(y1 + y2) / 2:.0f} {x2:.0f} {y2:.0f}" stroke-width="{1 + min(count, 40) / 16:.1f}" '
            f'data-from="{a}" data-to="{b}" marker-end="url(#head)">'
            f"<title>{a} imports {b}: {count}</title></path>"
        )
    for room, (x, y) in places.items():
        files, lines = size_of(room)
        wide = WIDTH - 200 if room == "core" else BOX
        parts.append(
            f'<rect x="{x - wide / 2:.0f}" y="{y - TALL / 2:.0f}" width="{wide}" height="{TALL}" '
            f'rx="6" class="room"/><text x="{x:.0f}" y="{y - 3:.0f}" class="room">{room}</text>'
            f'<text x="{x:.0f}" y="{y + 14:.0f}" class="size">{files} files, {lines} lines</text>'
        )
    style = (
        "text{font:12px system-ui,sans-serif;fill:#333}text.room{font-weight:600;text-anchor:middle"
        "}text.size{font-size:10.5px;text-anchor:middle;fill:#666}text.name{font-size:14px;fill:"
        "#888}rect.storey{fill:#88888818}rect.room{fill:#fff;stroke:#5b7083}path{fill:none;stroke:"
        "#5b708388}path:hover{stroke:#d9480f}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>The rooms of micromimic and who imports whom</title><style>{style}</style>"
        '<defs><marker id="head" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" '
        'markerHeight="6" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L6 3L0 6z" '
        'style="fill:#5b7083;stroke:none"/></marker></defs>' + "\n".join(parts) + "</svg>\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(drawing(), encoding="utf-8")
