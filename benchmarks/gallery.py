"""Make the pictures of docs/gallery.md, all of synthetic people or the demo's public-domain face.

    python benchmarks/gallery.py [--out docs/figures/gallery] [--only report,pages,heads]

Runs what users run (the demo, the workstation, synthetic databases), photographs it with a
Chromium, shrinks it. Needs the ``web`` and ``faces3d`` extras and playwright.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

import screenshots
from micromimic.analysis.demo import run_demo
from micromimic.core.files import write_whole
from micromimic.synthesis import synth_databases

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 1280, 1250
SHRUNK = 960
COLOURS = 255
HEADS = 8


def write_small(picture: Image.Image, path: Path) -> None:
    """At most ``SHRUNK`` wide, with a palette: a page of text stays sharp in 100 KB."""
    if picture.width > SHRUNK:
        size = (SHRUNK, round(picture.height * SHRUNK / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3)
    small.save(file, "PNG", optimize=True)
    write_whole(path, file.getvalue())
    print(
        f"{path.name:14} {picture.width} x {picture.height}, {len(file.getvalue()) / 1000:.0f} KB"
    )


def show_report(browser: Browser, folder: Path, out: Path) -> None:
    """The demo's report: its first screen, and the card of one event."""
    report = run_demo(folder / "demo").folder / "report.html"
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(report.as_uri())
    page.wait_for_timeout(1500)
    write_small(Image.open(io.BytesIO(page.screenshot())), out / "report.png")
    card = page.locator("article, .card").nth(1)
    card.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    write_small(Image.open(io.BytesIO(card.screenshot())), out / "event.png")
    page.close()


def show_review(page: Page, folder: Path) -> None:
    """The first event, chosen by key."""
    page.wait_for_selector("html[data-open]")
    page.keyboard.press("n")
    page.wait_for_timeout(1500)


def show_live(page: Page, folder: Path) -> None:
    """The camera plays a clip with movements until two are found."""
    page.click("#start")
    page.wait_for_selector("#events > li:nth-child(2)", timeout=180_000)
    page.wait_for_timeout(1000)


def show_pages(browser: Browser, folder: Path, out: Path) -> None:
    """The workstation's review and live pages, with records made for it."""
    with screenshots.running_server(folder / "data") as server:
        ids = screenshots.make_records(server, folder, sessions=1)
        for name, show in (("review", show_review), ("live", show_live)):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.add_init_script("localStorage.setItem('micromimic.coder', 'kim')")
            page.goto(server.url + screenshots.PAGES[name][0].format(**ids))
            page.wait_for_selector("html[data-ready]")
            show(page, folder)
            write_small(Image.open(io.BytesIO(page.screenshot())), out / f"{name}.png")
            page.close()


def show_heads(browser: Browser, folder: Path, out: Path) -> None:
    """Some of the people of the synthetic databases, each at the start of a clip."""
    synth_databases(folder / "synthetic", names=["casme2"], clips_per_class=4)
    clips = sorted({path.parent for path in (folder / "synthetic").rglob("*.jpg")})
    clips = list({clip.parent: clip for clip in clips}.values())[:HEADS]
    heads = [Image.open(min(clip.glob("*.jpg"))).convert("RGB") for clip in clips]
    width, height = 240, round(240 * heads[0].height / heads[0].width)
    sheet = Image.new("RGB", (width * HEADS // 2, 2 * height))
    for k, head in enumerate(heads):
        place = (k % (HEADS // 2) * width, k // (HEADS // 2) * height)
        sheet.paste(head.resize((width, height), Image.Resampling.LANCZOS), place)
    write_small(sheet, out / "heads.png")


PARTS: dict[str, Callable[[Browser, Path, Path], None]] = {
    "report": show_report,
    "pages": show_pages,
    "heads": show_heads,
}


def main() -> int:
    """Make them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures" / "gallery")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by comma")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    options = parser.parse_args()
    if options.browser is None:
        parser.error("expected a Chromium, found none; pass --browser")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - --help works without it

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        screenshots.write_camera(folder / "camera.y4m")
        browser = playwright.chromium.launch(
            executable_path=options.browser,
            args=screenshots.browser_arguments(folder / "camera.y4m"),
        )
        for name in options.only.split(","):
            PARTS[name](browser, folder, options.out)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
