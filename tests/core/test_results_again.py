"""A result is opened again from its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from micromimic import Analysis
from micromimic.core.errors import InputError
from micromimic.core.summary import advice, summary
from micromimic.report.write import write_analysis

from ..sample_analysis import empty_analysis, sample_analysis


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    settings = {"false_alarms_per_minute": 1.0, "fps": None, "track": 2}
    first = replace(sample_analysis(evidence=False), settings=settings)
    write_analysis(first, tmp_path / "out")
    again = Analysis.read(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "events.json").read_text())
    for part in (*("source", "face", "warnings", "model", "events", "counts"),
                 *("indicators", "held_back", "settings")):  # fmt: skip
        assert again.to_dict()[part] == written[part]
    assert len(again.held_back) == 3 and again.settings == settings
    assert again.to_frame().equals(first.to_frame())
    assert np.allclose(again.curve.cells, first.curve.cells, atol=1e-5, equal_nan=True)
    assert np.allclose(again.curve.score, first.curve.score, atol=1e-4, equal_nan=True)
    assert again.limits is not None and first.limits is not None
    wanted = first.limits.at(first.curve.times)["chin"]
    seen = np.isfinite(wanted) & np.isfinite(first.curve.cells).any(1)
    found = again.limits.regions["chin"]
    assert np.allclose(found, np.where(seen, wanted, np.nan), atol=1e-3, equal_nan=True)


def test_a_result_says_in_three_lines_what_it_is() -> None:
    text = repr(sample_analysis(evidence=False))
    assert len(text.splitlines()) == 3 and "candidates" in text and len(text) < 400


def test_an_event_as_text_has_no_pictures() -> None:
    assert len(repr(sample_analysis().events[0])) < 1000


def test_tables_of_many_recordings_stack() -> None:
    some, none = sample_analysis(evidence=False).to_frame(), empty_analysis().to_frame()
    assert some.dtypes.equals(none.dtypes) and len(none) == 0
    assert {str(kind) for kind in none.dtypes} == {"object", "bool", "int64", "float64"}
    both = pd.concat([some, none, some.assign(video="second.mp4")])
    assert both.dtypes.equals(some.dtypes)
    assert both.groupby("video").size().to_dict() == {"interview 07.mp4": 6, "second.mp4": 6}


def test_without_its_curve_and_without_events(tmp_path: Path) -> None:
    write_analysis(empty_analysis(), tmp_path / "out")
    (tmp_path / "out" / "curve.csv").unlink()
    again = Analysis.read(str(tmp_path / "out" / "events.json"))
    assert again.events == () and again.limits is None and len(again.curve.times) == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "expected the result of an analysis"),
        ("[]", "expected the result of an analysis"),
        ('{"schema": "micromimic.truth/1"}', "expected micromimic.events/1"),
        ('{"schema": "micromimic.events/1"}', "expected the result of an analysis"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "events.json").write_text(text)
    with pytest.raises(InputError, match=wanted) as caught:
        Analysis.read(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="pass an events"):
        Analysis.read(tmp_path / "nothing")


def test_the_first_sentences_are_the_same_from_what_was_stored(tmp_path: Path) -> None:
    first = replace(sample_analysis(evidence=False), events=())
    write_analysis(first, tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "events.json").read_text())
    sentences = summary(stored)
    assert sentences == summary(first.to_dict())
    assert sentences[0].startswith("9 of 60 s could not be judged at this size: blinks 4 s, face ")
    found = "No candidate micro-expressions in 51 s, 13 movements seen and not reported."
    assert sentences[1] == found
    assert "usual size (3.0 px) would have been found half the time in so much" in sentences[2]
    assert "over 99 % at the nose, 91 % at the brows, 79 % at the lids" in sentences[2]
    assert summary({**stored, "limits": None}) == sentences[:2]
    never = {name: {**limit, "open_share": 0.0} for name, limit in stored["limits"].items()}
    assert "would nowhere on this face have been found" in summary({**stored, "limits": never})[2]
    never["nose"] = stored["limits"]["nose"]
    assert summary({**stored, "limits": never})[2].count("never") == 1
    assert advice(stored)[0].startswith("Look at the 3 strong movements that were held back")
    seen = summary(sample_analysis(evidence=False).to_dict())
    assert seen[0].startswith("6 candidate micro-expressions in 51 s")
    shut = {**stored, "indicators": {"gated_s": {"value": {"head": 45.0}}}}
    assert summary(shut)[0].startswith("Nothing of the 60 s could be judged: head movement 45 s")
    assert any("head is still" in sentence for sentence in advice(shut))
    codes = {"frame_rate", "compression", "face_lost"}
    for text in (*sentences, *advice(stored)):
        assert not any(code in text for code in codes)
