"""The report in a real browser: drawn, without errors, as wide as the screen and no wider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from micromimic.report.page import report_html

from ..sample_analysis import empty_analysis, sample_analysis

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("browser", "playwright")

PAINTED = """(id) => {
  const canvas = document.querySelector(`#${id} canvas`);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 3; i < data.length; i += 4) count += data[i] > 0;
  return count;
}"""


@contextmanager
def opened(chromium: Browser, folder: Path, content: str, width: int) -> Iterator[Page]:
    """A page from the disk; afterwards it has not complained, nor asked for another file."""
    path = folder / "report.html"
    path.write_text(content, encoding="utf-8")
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda said: trouble.append(f"{said.type}: {said.text}"))
    page.on("request", lambda asked: trouble.append(asked.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]")
    yield page
    assert [line for line in trouble if not line.startswith("data:")] == [path.as_uri()]
    context.close()


def seen(page: Page, plot: str) -> list[float]:
    """From when to when a plot shows."""
    shown = page.evaluate("(id) => ({ ...document.getElementById(id).dataset })", plot)
    return [float(shown["from"]), float(shown["to"])]


@pytest.mark.parametrize("width", [1440, 390])
def test_report_is_drawn_and_works(chromium: Browser, tmp_path: Path, width: int) -> None:
    with opened(chromium, tmp_path, report_html(sample_analysis()), width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.getElementById('cells').open = true")
        page.wait_for_selector("#cells-plot canvas")
        for plot in ("timeline", "limits-plot", "cells-plot"):
            assert page.evaluate(PAINTED, plot) > 5000, plot
            assert seen(page, plot) == pytest.approx([0, 59.995])

        edges = "[...document.querySelectorAll('#event-2 .name, #event-2 .apex-label')].map("
        title, apex, *_ = page.evaluate(f"{edges}(one) => one.getBoundingClientRect())")
        assert title["bottom"] <= apex["top"]
        page.click("button.zoom[data-event='2']")
        for plot in ("timeline", "limits-plot", "cells-plot"):
            page.wait_for_function(
                "(id) => +document.getElementById(id).dataset.from > 0", arg=plot
            )
            assert seen(page, plot) == pytest.approx([19.115, 23.115])
        page.locator("#timeline canvas").scroll_into_view_if_needed()
        box = page.locator("#timeline canvas").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 46 + (box["width"] - 56) / 2, box["y"] + box["height"] / 2)
        assert page.evaluate("document.querySelector('.lit').id") == "event-3"
        page.click("#reset")
        page.wait_for_selector("#timeline[data-from='0']")

        visible = "getComputedStyle(document.querySelector('#event-1 .apex')).visibility"
        assert page.evaluate(visible) == "visible"
        page.check("#event-1 input[value=onset]", force=True)
        assert page.evaluate(visible) == "hidden"
        page.click("#event-1 button.frame")
        shown = (
            "document.querySelector('#lightbox[open] > svg > use').getBoundingClientRect().width"
        )
        assert page.evaluate(shown) > 300
        page.click("#lightbox")
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.click("#theme")
        assert page.evaluate(background) != light


def test_report_without_events_opens(chromium: Browser, tmp_path: Path) -> None:
    with opened(chromium, tmp_path, report_html(empty_analysis()), 390) as page:
        assert page.evaluate(PAINTED, "timeline") > 3000
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.emulate_media(media="print", color_scheme="dark")
        panel = "getComputedStyle(document.querySelector('.panel')).backgroundColor"
        assert page.evaluate(panel) == "rgb(255, 255, 255)"
