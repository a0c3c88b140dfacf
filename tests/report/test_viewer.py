"""The viewer's arithmetic in a browser, and how its modules become one script."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from micromimic.report import page_script
from micromimic.report.page_script import report_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def ask(page: Page, expression: str) -> Any:
    """What an expression of the names in ``scale.js`` gives."""
    return page.evaluate(f"() => {{ {report_script('scale.js')}\nreturn {expression}; }}")


needs_browser = pytest.mark.needs("browser", "playwright")


@needs_browser
@pytest.mark.parametrize(
    ("value", "first", "near"),
    [(-1, 0, 0), (0, 0, 0), (0.4, 1, 0), (0.5, 1, 1), (2, 2, 2), (9, 4, 3)],
)
def test_search(page: Page, value: float, first: int, near: int) -> None:
    found = ask(page, f"[before([0, 1, 2, 3], {value}), nearest([0, 1, 2, 3], {value})]")
    assert found == [first, near]


@needs_browser
def test_thinning_keeps_extremes_in_their_order_and_gaps(page: Page) -> None:
    assert ask(page, "thin([3, 1, 2, 5, NaN, NaN, 0, 0], 0, 8, 2)") == [1, 3, 6]
    assert ask(page, "thin([3, 1, 2, 5, NaN, NaN, 0, 0], 0, 8, 4)") == [0, 1, 2, 3, -1, 6]
    assert ask(page, "thin([1, 2], 0, 2, 700)") == [0, 1]
    assert ask(page, "peakAt({times: [0, 1, 2, 3, 4, 5], values: [9, 1, NaN, 4, 2, 9]}, 3)") == 9


@needs_browser
@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (-0.5, 1.2, ["−0.5", "0.0", "0.5", "1.0"]),
        (0, 1e-9, ["0.0000000000", "0.0000000002"]),
        (5, 5, ["5.0"]),
    ],
)
def test_ticks_are_round(page: Page, low: float, high: float, words: list[str]) -> None:
    assert ask(page, f"ticks({low}, {high}).map((tick) => tick.words)")[: len(words)] == words


@needs_browser
def test_ticks_of_time_and_of_powers(page: Page) -> None:
    assert ask(page, "logTicks(0.8, 13).map((tick) => tick.value)") == [1, 10]
    assert ask(page, "logTicks(0.9, 4).map((tick) => tick.words)") == ["2"]
    short = "timeTicks(new View(0, 7, 0.01), 400).map((tick) => tick.words)"
    assert ask(page, short) == ["0 s", "2 s", "4 s", "6 s"]
    near = (
        "(() => { const view = new View(0, 90); view.set(61, 62); return timeTicks(view, 300); })()"
    )
    assert [tick["words"] for tick in ask(page, near)] == ["1:01.0", "1:01.5", "1:02.0"]


@needs_browser
def test_a_view_stays_within_its_recording(page: Page) -> None:
    def after(*steps: str) -> list[float]:
        acts = "".join(f"view.{step};" for step in steps)
        run = f"const view = new View(0, 10, 0.01); {acts} return [view.from, view.to];"
        found: list[float] = ask(page, f"(() => {{ {run} }})()")
        return found

    assert after() == [0, 10]
    assert after("set(2, 4)") == [2, 4]
    assert after("set(-3, 1)") == [0, 4]
    assert after("set(9.999, 10)") == pytest.approx([9.76, 10])  # no shorter than 24 frames
    assert after("zoom(0.5, 2)") == [1, 6]  # 2 stays where it was
    assert after("set(2, 4)", "pan(100)") == [8, 10]
    assert after("set(2, 4)", "show(3)") == [2, 4]
    assert after("set(2, 4)", "show(5)") == pytest.approx([3.16, 5.16])
    assert after("showStretch(5, 5.1)") == pytest.approx([4.55, 5.55])
    assert after("set(2, 4)", "all()") == [0, 10]
    assert after("set(0, 1)", "showStretch(4, 6)") == pytest.approx([3.6, 6.4])


def test_a_script_has_each_module_once_after_what_it_needs() -> None:
    script = report_script()
    assert not re.search(r"^(import|export)\b|</script", script, re.MULTILINE)
    places = [
        script.index(f"\n{what}")
        for what in ("function el(", "class View", "class Pen", "class Chart")
    ]
    assert places == sorted(places)
    assert script.count("class View ") == 1


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ("export function el() {}\n", "declared once"),
        ('import * as all from "./dom.js";\n', "named imports"),
        ("export default 1;\n", "named imports"),
        ('const end = "</script>";\n', "named imports"),
    ],
)
def test_modules_that_cannot_be_joined_are_refused(
    monkeypatch: pytest.MonkeyPatch, extra: str, fault: str
) -> None:
    own = page_script._text
    monkeypatch.setattr(
        page_script, "_text", lambda name: own(name) + extra * (name == "report.js")
    )
    with pytest.raises(ValueError, match=fault):
        report_script.__wrapped__()
