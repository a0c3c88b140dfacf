"""The composite database of MEGC 2019: SMIC-HS, CASME II and SAMM with three classes.

See, Yap, Li, Hong, Wang, "MEGC 2019 - The Second Facial Micro-Expressions Grand Challenge",
FG 2019, doi 10.1109/FG.2019.8756611.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from micromimic.core.labels import THREE
from micromimic.datasets.base import LeftOut
from micromimic.datasets.clip import Clip
from micromimic.datasets.read import Indexed, index

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

    Raises
    ------
    InputError
        as `index`.
    MissingExtraError
        for an Excel table without the package openpyxl.
    """
    folders = {"smic": smic, "casme2": casme2, "samm": samm}
    return index({name: folder for name, folder in folders.items() if folder}, corrections)


def table1(clips: Iterable[Clip], left_out: Sequence[LeftOut] = ()) -> str:
    """The article's table 1 for these clips, the article's own figures in brackets.

    A row for each database that has clips, the sum where there are several, and a line for each
    whose figures differ from the article's, with how many clips were ``left_out``.

    Examples
    --------
    >>> clip = Clip("samm", "006", "006_1_2", "negative", "frames", Path("x"))
    >>> print(table1([clip]))
    Table 1: clips by database (in brackets: the article)
                  subjects      clips   negative   positive   surprise
    SAMM            1 (28)    1 (133)     1 (92)     0 (26)     0 (15)
    SAMM: 132 clips fewer than the article's 133
    """
    listed = [clip for clip in clips if clip.dataset in TITLES]
    ours = {
        name: _count([clip for clip in listed if clip.dataset == name and clip.label])
        for name in TITLES
        if any(clip.dataset == name for clip in listed)
    }
    rows = {TITLES[n]: list(zip(counts, ARTICLE[n], strict=True)) for n, counts in ours.items()}
    if len(rows) > 1:
        pairs = (zip(*cells, strict=True) for cells in zip(*rows.values(), strict=True))
        rows["sum"] = [(sum(here), sum(article)) for here, article in pairs]
    lines = ["Table 1: clips by database (in brackets: the article)"]
    lines.append(" " * 12 + "".join(f"{name:>11}" for name in COLUMNS))
    for title, cells in rows.items():
        lines.append(f"{title:<12}" + "".join(f"{f'{a} ({b})':>11}" for a, b in cells))
    unused = Counter(left.dataset for left in left_out)
    differ = (name for name, counts in ours.items() if counts != ARTICLE[name])
    return "\n".join([*lines, *(_difference(name, ours[name][1], unused[name]) for name in differ)])


def _count(clips: Sequence[Clip]) -> tuple[int, ...]:
    labels = Counter(clip.label for clip in clips)
    return (len({clip.subject for clip in clips}), len(clips), *(labels[label] for label in THREE))


def _difference(name: str, clips: int, unused: int) -> str:
    """Why a database's figures are not the article's, as far as the reader knows."""
    title, wanted = TITLES[name], ARTICLE[name][1]
    if clips == wanted:
        return f"{title}: as many clips as in the article, with other subjects or labels"
    apart = abs(clips - wanted)
    more = f"{apart} clip{'' if apart == 1 else 's'} {'fewer' if clips < wanted else 'more'}"
    known = f"; {unused} left out, each for a reason that is listed" if unused else ""
    return f"{title}: {more} than the article's {wanted}{known}"
