"""Numbers, names and emotions as cells and names of files hold them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from micromimic.core.labels import LabelSet
from micromimic.datasets.base import first_few, normalized_name, subject_number
from micromimic.datasets.clip import frame_number
from micromimic.datasets.databases import database
from micromimic.datasets.grid import folded, seconds_of
from micromimic.datasets.table import number, table_text, whole

CASES: dict[Callable[[str], object], dict[str, object]] = {
    number: {"46.0": 46.0, "29,97": 29.97, "1e-3": 0.001, "/": None, "inf": None},
    whole: {"46": 46, "46.0": 46, "46,0": 46, "/": None, "-1": None},
    seconds_of: {"12.5": 12.5, "00:01:02,5": 62.5, "-1": None, "x": None, "1:x": None},
    frame_number: {"reg_img46.jpg": 46, "006_05562.jpg": 5562, "a.png": None},
    normalized_name: {"EP02_01f": "ep2_1f", "s01_ne_03": "s1_ne_3", "s1_ne_3": "s1_ne_3"},
    subject_number: {"sub01": 1, "006": 6, "spNO.18": 18, "1.0": 1, "x": None},
    folded: {"Zoe\u0301.MP4": "zo\u00e9.mp4"},
}


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [(read, text, value) for read, cases in CASES.items() for text, value in cases.items()],
)
def test_a_cell_is_read_as(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


def test_a_table_keeps_numbers_as_they_are() -> None:
    frame = pd.DataFrame({"clip": ["=1", "b"], "n": [-5, None]}, dtype=object)
    assert table_text(frame) == "clip,n\n'=1,-5\nb,\n"


def test_many_names_are_cut_short() -> None:
    assert first_few(["a", "b", "c"], 2) == "a, b and 1 more"
    assert first_few(["a", "b"], 2) == "a, b"


def test_words_that_disagree_have_no_class_where_a_clip_has_one() -> None:
    words = database("4dme")
    one = LabelSet("one", ("negative", "positive"), {"others": None})
    assert words.label_of("positive+others", one) == "positive"
    assert words.label_of("positive+negative", one) == ""
    assert words.label_of("strange", one) == words.label_of("", one) == ""
    several = words.schemes["several"]
    assert words.label_of("surprise+negative", several) == "negative+surprise"
