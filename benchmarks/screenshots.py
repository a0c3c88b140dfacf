"""Pictures of every page of the workstation, with real records, to be looked at.

    python benchmarks/screenshots.py OUT [--only analyse,live] [--sessions 3] [--browser PATH]

Starts a server on a data folder of its own, renders synthetic clips of one person over several
sessions, uploads and analyses them, has two coders decide, and takes each page light and dark,
1440 and 390 pixels wide: ``OUT/<page>-<width>-<theme>.png``. The camera of the live page plays one
of the clips. Prints what a page complains of and what is wider than the screen; exit 1 if anything.
Needs the ``web`` extra, playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from micromimic.analysis.demo import DEMO_CLIP
from micromimic.synthesis.clips import render, write_clip
from micromimic.synthesis.schedule import plan_clip

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FPS = 60.0
SECONDS = 14.0
CAMERA_FPS = 30
WIDTHS = {1440: 900, 390: 844}
THEMES = ("light", "dark")
SERVE = "from micromimic.cli.main import main; main()"
TITLES = ("intake", "week 2", "week 4, after the holidays", "week 6", "week 8")


@dataclass(frozen=True)
class Server:
    """A running workstation."""

    url: str

    def ask(self, method: str, path: str, body: Any = None, **query: object) -> Any:
        """One request to the API; bytes go as they are, everything else as JSON."""
        address = f"{self.url}/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        raw = isinstance(body, bytes)
        data = body if raw or body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if raw else "application/json"
        request = urllib.request.Request(address, data, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def running_server(data: Path) -> Iterator[Server]:
    """The command itself, on a free port."""
    command = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            words = process.stdout.readline().split()
            address = next((word for word in words if word.startswith("http")), None)
            if address is None:
                raise SystemExit("expected the server's address, got none; see above")
            yield Server(address.rstrip("/"))
        finally:
            process.terminate()


def make_records(server: Server, folder: Path, sessions: int) -> dict[str, str]:
    """People, sessions, analysed recordings and decisions; ids that addresses need."""
    subject = server.ask("POST", "/subjects", {"code": "P01", "note": "wears glasses"})
    server.ask("POST", "/subjects", {"code": "P02", "note": ""})
    consent = {"given": True, "noted_by": "kim", "note": "signed form 12"}
    recordings = []
    for number in range(sessions):
        session = server.ask("POST", "/sessions", {
            "subject_id": subject["id"], "title": TITLES[number], "baseline": number == 0,
            "held_on": f"2026-{9 + number // 2:02d}-{1 + 14 * (number % 2):02d}",
            "consent": consent,
        })  # fmt: skip
        clip = folder / f"P01 {TITLES[number]}.mp4"
        config = replace(DEMO_CLIP, fps=FPS, seconds=SECONDS, events_per_minute=13.0 + 9 * number)
        write_clip(clip, config, 18 + number, crf=18, preset="superfast")
        recordings.append(upload(server, clip, session_id=session["id"]))
    finished(server, recordings)
    for coder, refused in (("kim", 1), ("lee", 2)):
        decide(server, recordings[-1], coder, refused)
    broken = folder / "phone, half copied.mp4"
    broken.write_bytes((folder / f"P01 {TITLES[0]}.mp4").read_bytes()[:60_000])
    upload(server, broken, consent=True, noted_by="kim")
    return {"subject": subject["id"], "recording": recordings[-1]}


def upload(server: Server, clip: Path, **about: object) -> str:
    """Id of the new recording."""
    found = server.ask("POST", "/recordings", clip.read_bytes(), name=clip.name, **about)
    return str(found["id"])


def finished(server: Server, recordings: list[str]) -> None:
    """Wait until every job has ended."""
    while any(
        server.ask("GET", f"/recordings/{r}")["job"]["status"] in ("queued", "running")
        for r in recordings
    ):
        time.sleep(0.5)


def decide(server: Server, recording: str, coder: str, refused: int) -> None:
    """Accept all candidates but one, and mark the review done."""
    events = server.ask("GET", f"/recordings/{recording}/review", coder=coder)["review"]["events"]
    for number, event in enumerate(events):
        action = "reject" if number == refused else "accept"
        decision = {"coder": coder, "expected": number, "action": action, "event": event["key"]}
        server.ask("POST", f"/recordings/{recording}/decisions", decision)
    done = {"coder": coder, "expected": len(events), "action": "done", "event": ""}
    server.ask("POST", f"/recordings/{recording}/decisions", done)


def write_camera(path: Path) -> None:
    """Raw video that Chromium's fake camera plays over and over."""
    config = replace(
        DEMO_CLIP, fps=float(CAMERA_FPS), seconds=12.0, colour=False, events_per_minute=20.0
    )
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W640 H480 F{CAMERA_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in render(plan_clip(config, 18)):
            file.write(b"FRAME\n" + frame.tobytes() + b"\x80" * (640 * 480 // 2))


def browser_arguments(camera: Path) -> list[str]:
    """Of a Chromium whose camera plays a file and asks nobody."""
    return [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]


def show_analyse(page: Page, folder: Path) -> None:
    """A file chosen, one being analysed, one failed, several done."""
    page.wait_for_selector("#recordings .row")
    page.set_input_files("#files", str(folder / f"P01 {TITLES[0]}.mp4"))


def show_live(page: Page, folder: Path) -> None:
    """Running, with candidates where this machine keeps up."""
    page.click("#start")
    page.wait_for_selector("html[data-live=on]")
    page.wait_for_timeout(20_000)


def show_export(page: Page, folder: Path) -> None:
    """Agreement of two coders."""
    page.wait_for_selector("#train button:enabled")
    decided = page.locator("#recording option").all_inner_texts()
    page.select_option("#recording", label=next(t for t in decided if "P01" in t))
    page.select_option("#first", "kim")
    page.select_option("#second", "lee")
    page.click("#agree button")
    page.wait_for_selector(".figures")


def show_subjects(page: Page, folder: Path) -> None:
    """One person with trends."""
    page.wait_for_selector(".trend")


def show_rest(page: Page, folder: Path) -> None:
    """Whatever loads by itself."""
    page.wait_for_load_state("networkidle")


PAGES = {
    "analyse": ("/", show_analyse),
    "live": ("/live", show_live),
    "review": ("/review?recording={recording}", show_rest),
    "subjects": ("/subjects?subject={subject}", show_subjects),
    "export": ("/export", show_export),
    "about": ("/about", show_rest),
}


def take(
    context: BrowserContext, address: str, name: str, picture: Path, folder: Path
) -> list[str]:
    """One page, whole; what is wrong with it."""
    wrong: list[str] = []
    page = context.new_page()
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    PAGES[name][1](page, folder)
    page.wait_for_timeout(400)
    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.screenshot(path=picture, full_page=True)
    page.close()
    return [*wrong, *([f"wider than the screen by {over} px"] if over > 0 else [])]


def take_all(
    browser: Browser, server: Server, ids: dict[str, str], out: Path, names: list[str], folder: Path
) -> int:
    """Every page in both themes and widths; how many things are wrong."""
    count = 0
    for name in names:
        for width, height in WIDTHS.items():
            for theme in THEMES:
                size = {"width": width, "height": height}
                context = browser.new_context(viewport=size, color_scheme=theme)  # type: ignore[arg-type]
                context.add_init_script("localStorage.setItem('micromimic.coder', 'kim')")
                picture = out / f"{name}-{width}-{theme}.png"
                address = server.url + PAGES[name][0].format(**ids)
                wrong = take(context, address, name, picture, folder)
                context.close()
                count += len(wrong)
                print(f"{picture.name:28} {'; '.join(wrong) or 'ok'}", flush=True)
    return count


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default=",".join(PAGES), help="pages, by comma")
    parser.add_argument("--sessions", type=int, default=3, choices=range(1, len(TITLES) + 1))
    parser.add_argument("--browser", default=shutil.which("chromium"))
    options = parser.parse_args()
    if options.browser is None:
        parser.error("expected a Chromium, found none; pass --browser")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - --help works without it

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        write_camera(folder / "camera.y4m")
        arguments = browser_arguments(folder / "camera.y4m")
        with running_server(folder / "data") as server:
            ids = make_records(server, folder, options.sessions)
            browser = playwright.chromium.launch(executable_path=options.browser, args=arguments)
            wrong = take_all(browser, server, ids, options.out, options.only.split(","), folder)
            browser.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
