"""Numbers in the names of a recording's pictures: where some are missing, time went on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePath
from typing import Final

_LONGEST: Final = 15
"""Digits of a number: longer runs are dates and serial numbers, and no place in a sequence."""


def places(names: Sequence[str]) -> list[int] | None:
    """Place of each picture in the sequence it was numbered in, from 0.

    Names count as numbered where they differ in their numbers alone, and one of these rises by the
    same step (1, or another where the names skip regularly) from most pictures to the next, and by
    a multiple of it everywhere; None where they are not: then their natural order is all there is.

    >>> places(["cam2_img1.png", "cam2_img2.png", "cam2_img3.png", "cam2_img6.png"])
    [0, 1, 2, 5]
    >>> places(["f10.png", "f20.png", "f30.png", "f50.png"]), places(["a.png", "c.png"])
    ([0, 1, 2, 4], None)
    """
    split = [re.split(r"([0-9]+)", PurePath(name).stem) for name in names]
    if len({tuple(parts[::2]) for parts in split}) != 1:
        return None
    for column in list(zip(*split, strict=True))[1::2]:
        if max(map(len, column)) > _LONGEST:
            continue
        numbers = [int(digits) for digits in column]
        steps = [after - before for before, after in pairwise(numbers)]
        if not steps or min(steps) <= 0:
            continue
        step, often = Counter(steps).most_common(1)[0]
        if 2 * often > len(steps) and all(other % step == 0 for other in steps):
            return [(number - numbers[0]) // step for number in numbers]
    return None
