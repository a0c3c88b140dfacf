"""The composite database of MEGC 2019: SMIC-HS, CASME II and SAMM with three classes.

See, Yap, Li, Hong, Wang, "MEGC 2019 - The Second Facial Micro-Expressions Grand Challenge",
FG 2019, doi 10.1109/FG.2019.8756611.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from micromimic.datasets.base import LeftOut
from micromimic.datasets.clip import Clip
from micromimic.datasets.read import Indexed, index
from micromimic.labels import THREE

TITLES: Final = {"smic": "SMIC", "casme2": "CASME II", "samm": "SAMM"}
COLUMNS: Final = ("subjects", "clips", *THREE)
ARTICLE: Final[Mapping[str, tuple[int, ...]]] = {
    "smic": (16, 164, 70, 51, 43),
    "casme2": (24, 145, 88, 32, 25),
    "samm": (28, 133, 92, 26, 15),
}
"""The article's table 1, in the order of `COLUMNS`.

It prints 132 as SAMM's sum; its own row adds up to 133, and so does its sum of 442.
"""


def composite(
    smic: str | Path | None = None,
    casme2: str | Path | None = None,
    samm: str | Path | None = None,
    corrections: str | Path | None = None,
) -> Indexed:
    """Read those of the three databases whose folders are given: `index`, for three classes.

    Raises:
        InputError: as `index`.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    folders = {"smic": smic, "casme2": casme2, "samm": samm}
    return index({name: folder for name, folder in folders.items() if folder}, corrections)


def table1(clips: Iterable[Clip], left_out: Sequence[LeftOut] = ()) -> str:
    """The article's table 1 for these clips, the article's own figures in brackets.

    Args:
        clips: of the composite's databases; others are not counted.
        left_out: to say how many clips a database is short of because they could not be used.

    Returns:
        Lines of text: a row for each database that has clips, the sum where there are several, and
        a line for each database whose figures differ from the article's.

    >>> clip = Clip("samm", "006", "006_1_2", "negative", "frames", Path("x"))
    >>> print(table1([clip]))
    Table 1: clips by database (in brackets: the article)
                  subjects      clips   negative   positive   surprise
    SAMM            1 (28)    1 (133)     1 (92)     0 (26)     0 (15)
    SAMM: 132 clips fewer than the article's 133
    """
    listed = list(clips)
    names = [name for name in TITLES if any(clip.dataset == name for clip in listed)]
    rows = {name: _count(clip for clip in listed if clip.dataset == name) for name in names}
    lines = [
        "Table 1: clips by database (in brackets: the article)",
        " " * 12 + "".join(f"{name:>11}" for name in COLUMNS),
    ]
    lines += [_row(TITLES[name], rows[name], ARTICLE[name]) for name in names]
    if len(names) > 1:
        lines.append(_row("sum", _sum(rows, names), _sum(ARTICLE, names)))
    unused = Counter(left.dataset for left in left_out)
    lines += [
        _difference(name, rows[name], unused[name]) for name in names if rows[name] != ARTICLE[name]
    ]
    return "\n".join(lines)


def _count(clips: Iterable[Clip]) -> tuple[int, ...]:
    listed = [clip for clip in clips if clip.label]
    labels = Counter(clip.label for clip in listed)
    subjects = len({clip.subject for clip in listed})
    return (subjects, len(listed), *(labels[label] for label in THREE))


def _sum(rows: Mapping[str, Sequence[int]], names: Sequence[str]) -> list[int]:
    return [sum(rows[name][place] for name in names) for place in range(len(COLUMNS))]


def _row(title: str, ours: Sequence[int], article: Sequence[int]) -> str:
    cells = (f"{a} ({b})" for a, b in zip(ours, article, strict=True))
    return f"{title:<12}" + "".join(f"{cell:>11}" for cell in cells)


def _difference(name: str, ours: Sequence[int], unused: int) -> str:
    """Why a database's figures are not the article's, as far as the reader knows."""
    title, clips, wanted = TITLES[name], ours[1], ARTICLE[name][1]
    if clips == wanted:
        return f"{title}: as many clips as in the article, with other subjects or labels"
    apart = abs(clips - wanted)
    more = f"{apart} clip{'' if apart == 1 else 's'} {'fewer' if clips < wanted else 'more'}"
    known = f"; {unused} left out, each for a reason that is listed" if unused else ""
    return f"{title}: {more} than the article's {wanted}{known}"
