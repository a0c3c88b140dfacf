"""The viewer's arithmetic in a browser, and how its modules become one script."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from micromimic.core.results import Rejected
from micromimic.report import page_script
from micromimic.report.page import report_html
from micromimic.report.page_script import report_script

from ..sample_analysis import sample_analysis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture(scope="module")
def report(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html(sample_analysis()), encoding="utf-8")
    size = {"width": 1200, "height": 900}
    context = chromium.new_context(viewport=size, reduced_motion="reduce")  # it scrolls at once
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#timeline[data-from]")
    yield page
    context.close()


def plot(page: Page, share: float) -> tuple[float, float]:
    """The place of a moment on the timeline: a share of the seconds that it shows."""
    page.locator("#timeline").scroll_into_view_if_needed()
    box = page.locator("#timeline").bounding_box()
    assert box is not None
    return box["x"] + 46 + share * (box["width"] - 56), box["y"] + 150


def shows(page: Page) -> list[float]:
    """From when to when the timeline shows, once it is drawn anew."""
    page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    found = page.evaluate("({ ...document.getElementById('timeline').dataset })")
    return [float(found["from"]), float(found["to"])]


@needs_browser
def test_a_chart_says_what_lies_under_the_mouse(report: Page) -> None:
    event, blink = sample_analysis().events[0], sample_analysis().spotting.blinks[0]
    places = {
        event.interval.apex: f"event 1: {event.label}",
        (blink.start + blink.end) / 2: "blink",
    }
    for moment, words in places.items():
        report.mouse.move(*plot(report, moment / 59.995))
        shown = report.inner_text("#timeline .readout")
        assert words in shown and "times this face’s own noise" in shown
    report.mouse.move(5, 5)
    assert report.is_hidden("#timeline .readout")


@needs_browser
def test_marks_of_what_the_scale_cuts_off_stay_on_their_panel(page: Page, tmp_path: Path) -> None:
    found = sample_analysis(evidence=False)
    event = found.events[4]
    score = found.curve.score.copy()
    after = event.apex_frame + 2  # beside the event, and seen as its peak
    score[[after, 8000]] = 900.0
    interval = replace(event.interval, offset=event.interval.apex + 0.005)
    many = replace(
        found,
        curve=replace(found.curve, score=score),
        events=(replace(event, interval=interval),),
        spotting=replace(found.spotting, rejected=(Rejected(40.0, "head"),)),
    )
    path = tmp_path / "report.html"
    path.write_text(report_html(many), encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector("#timeline[data-from]")
    above = """([left, high]) => {
      const canvas = document.querySelector("#timeline canvas");
      const strip = canvas.getContext("2d").getImageData(left, 0, canvas.width - left, high);
      return strip.data.filter((value, k) => k % 4 === 3 && value).length;
    }"""
    assert page.evaluate(above, [46, 20]) > 100  # the axis' title
    assert page.evaluate(above, [400, 20]) == 0


@needs_browser
def test_a_chart_is_zoomed_by_drag_wheel_and_keys(report: Page) -> None:
    x, y = plot(report, 0.25)
    report.mouse.move(x, y)
    report.mouse.down()
    report.mouse.move(*plot(report, 0.5), steps=4)
    assert report.is_visible("#timeline .selection")
    report.mouse.up()
    assert shows(report) == pytest.approx([15.0, 30.0], abs=0.2)
    assert report.is_hidden("#timeline .selection") and report.is_visible("#reset")
    report.focus("#timeline")
    report.keyboard.press("ArrowRight")
    assert shows(report) == pytest.approx([18.75, 33.75], abs=0.2)
    report.keyboard.press("0")
    assert shows(report) == pytest.approx([0, 59.995])
    report.mouse.move(*plot(report, 0.5))
    report.mouse.wheel(0, -300)
    assert shows(report) == pytest.approx([0, 59.995])  # the page scrolls: no Ctrl
    report.keyboard.down("Control")
    report.mouse.move(*plot(report, 0.5))
    report.mouse.wheel(0, -100)
    report.keyboard.up("Control")
    first, last = shows(report)
    assert last - first < 40 and (first + last) / 2 == pytest.approx(30, abs=0.5)
    report.locator("#timeline").dblclick(position={"x": 400, "y": 150})
    assert shows(report) == pytest.approx([0, 59.995])


@needs_browser
def test_the_overview_moves_what_is_shown(report: Page) -> None:
    report.click("button.zoom[data-event='2']")
    assert shows(report) == pytest.approx([19.115, 23.115])
    strip = report.locator(".overview").bounding_box()
    assert strip is not None
    report.mouse.click(strip["x"] + 0.75 * strip["width"], strip["y"] + 10)
    assert shows(report) == pytest.approx([43.0, 47.0], abs=0.1)
    report.click("#reset")
    assert report.is_hidden(".overview .window")
