"""A study of two coders from a folder of videos to a table, through the pages, by keyboard alone.

    python benchmarks/study_walk.py [--out DIR] [--data DIR] [--browser PATH]

Renders six clips of 10 s with sound (the photographed face; three codes, two conditions) into
folders ``P01/control.mp4``, ..., with a table of whose they are, starts ``micromimic serve`` on a
new folder and does in a Chromium what two coders do, by Tab, Enter, arrows and letters: files are
set, since they are chosen in the system's own dialog, and no mouse is used. Consent and upload,
blind mode and a scheme on Study, every recording coded by ``kim`` and ``lee`` (onset, apex, offset,
class, certainty; some rejected, one added each), agreement, rates by condition, the zip. Takes
pictures of each page at 1440, 1280 and 390 pixels in both themes into ``--out``. Prints a line for
each thing looked at; exit 1 if one is not as it should be. Needs the ``web`` extra, pandas,
playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pandas as pd

from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.synthesis.truth import ClipTruth, PlantedEvent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CLIP = ClipConfig(
    seconds=10.0, fps=50.0, width=320, height=240, face_px=220.0, peak_px=2.0,
    events_per_minute=18.0, macros_per_minute=0.0, head_moves_per_minute=0.0,
    blinks_per_minute=6.0, blinks_apart=True, flicker=0.0, noise_sd=1.5,
)  # fmt: skip
PEOPLE, CONDITIONS = ("P01", "P02", "P03"), ("control", "stress")
CODERS = ("kim", "lee")
CLASS_KEYS = {"negative": "1", "positive": "5", "surprise": "7"}
"""Of the scheme seven: anger, happiness, surprise."""
SIZES = {1440: 900, 1280: 720, 390: 844}
RATE = 16_000
BELOW = (
    "(document.querySelector('.review .desk')?.getBoundingClientRect().bottom ?? 0) - innerHeight"
)
"""How far the review page's video, timeline, decision and list reach beyond the window."""
PATIENCE_S = 300.0


def add_sound(video: Path, seconds: float) -> None:
    """Give a video a quiet tone with a click each second."""
    silent = video.with_name(f"silent {video.name}")
    video.replace(silent)
    time_s = np.arange(round(seconds * RATE)) / RATE
    sound = 0.05 * np.sin(2 * np.pi * 220 * time_s) + 0.7 * (time_s % 1 < 0.01)
    with av.open(str(silent)) as source, av.open(str(video), "w") as out:
        pictures = out.add_stream_from_template(source.streams.video[0])
        track: Any = out.add_stream("aac", rate=RATE, layout="mono")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    silent.unlink()


def write_study(folder: Path) -> dict[str, ClipTruth]:
    """The folder as a laboratory has it; what is planted in each video, by its path."""
    truths = {}
    lines = ["video,subject,session,condition,date"]
    for place, person in enumerate(PEOPLE):
        (folder / person).mkdir(parents=True)
        for day, condition in enumerate(CONDITIONS):
            path = folder / person / f"{condition}.mp4"
            truth = write_clip(path, CLIP, 40 + 2 * place + day, crf=16, preset="superfast")
            add_sound(path, CLIP.seconds)
            truths[f"{person} {condition}"] = truth
            date = f"2026-11-{20 + 3 * place + day}"
            lines.append(f"{person}/{condition}.mp4,{person},{condition} day,{condition},{date}")
    (folder / "study.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return truths


@contextmanager
def running_server(data: Path) -> Iterator[str]:
    """The command itself on a free port: its address."""
    command = [sys.executable, "-m", "micromimic", "serve", "--port", "0", "--jobs", "2"]
    with subprocess.Popen([*command, "--data", str(data)], stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        try:
            words = it.stdout.readline().split()
            address = next((word for word in words if word.startswith("http")), None)
            if address is None:
                raise SystemExit("expected the server's address, got none; see above")
            yield address.rstrip("/")
        finally:
            it.terminate()


def ask(address: str, path: str) -> Any:
    """Status and JSON of a GET below the API."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1{path}", timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


class Seen:
    """What was looked at, line by line."""

    def __init__(self) -> None:
        self.wrong = 0

    def __call__(self, what: str, found: object, right: bool) -> None:
        self.wrong += not right
        print(f"{'ok' if right else 'NO':3} {what:58} {found}", flush=True)


class Keyboard:
    """One coder at a browser without a mouse."""

    def __init__(self, browser: Browser, address: str, out: Path, seen: Seen) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.out, self.seen, self.address, self.tabs = out, seen, address, 0
        self.heard: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.heard.append(str(error)))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.heard.append(message.text)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.address + path)
        self.page.wait_for_selector("html[data-ready]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        """In place of what the field holds."""
        self.press("Control+a")
        self.page.keyboard.type(text)

    def until(self, expression: str) -> None:
        """Wait until an expression holds; the page's rules forbid Playwright's own way."""
        end = time.monotonic() + PATIENCE_S
        while not self.page.evaluate(expression):
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain for {expression}")
            self.page.wait_for_timeout(40)

    def to(self, selector: str, most: int = 150) -> None:
        """Tab until something has the focus."""
        has = f"document.activeElement?.matches({json.dumps(selector)})"
        for _ in range(most):
            if self.page.evaluate(has):
                return
            self.press("Tab")
            self.tabs += 1
        raise SystemExit(f"{self.page.url}: {selector} is not reached in {most} Tabs")

    def enter(self, selector: str) -> None:
        self.to(selector)
        self.press("Enter")

    def choose(self, selector: str, value: str) -> None:
        """Arrow down in a list until a value stands."""
        self.to(selector)
        self.press("Home")
        for _ in range(40):
            if self.page.evaluate("document.activeElement.value") == value:
                return
            self.press("ArrowDown")
        raise SystemExit(f"{self.page.url}: {selector} has no {value} by arrow keys")

    def name(self, coder: str) -> None:
        self.enter("#coder")
        self.until("document.activeElement.id === 'coder-name'")
        self.write(coder)
        self.press("Enter")
        self.until("!document.querySelector('dialog')")

    def visit(self, name: str) -> None:
        """A page by its name in the head."""
        address = "/" if name == "Analyse" else f"/{name.lower()}"
        self.to(f'nav a[href="{address}"]')
        self.follow("Enter")

    def follow(self, key: str) -> None:
        """A key that opens another page."""
        with self.page.expect_navigation():
            self.press(key)
        self.page.wait_for_selector("html[data-ready]")

    def picture(self, name: str) -> None:
        """The page as it stands, in all sizes and both themes."""
        for width, height in SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            over = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if over > 0:
                self.seen(f"{name} at {width}", f"{over} px wider than the screen", False)
            self.page.evaluate("scrollTo(0, 0)")
            below = self.page.evaluate(BELOW)
            if width > 1000 and below > 0:
                self.seen(f"{name} at {width}", f"{below} px below the window", False)
            for theme in ("light", "dark"):
                self.page.emulate_media(color_scheme=theme)
                self.page.wait_for_timeout(250)
                where = self.out / f"{name}-{width}-{theme}.png"
                self.page.screenshot(path=where, full_page=True)
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": 1440, "height": 900})
        self.page.wait_for_timeout(150)

    def shot(self, name: str) -> Callable[[], None]:
        return lambda: self.picture(name)


def upload_all(desk: Keyboard, folder: Path) -> None:
    """The folder with its table, consent, and the start; by the page Analyse."""
    page = desk.page
    desk.open()
    page.wait_for_selector("#empty", state="visible")
    desk.picture("analyse-empty")
    desk.name(CODERS[0])
    with page.expect_file_chooser() as chooser:
        desk.enter("#choose-folder")
    chooser.value.set_files(folder)
    page.wait_for_selector("#table-says:has-text('6 videos assigned')")
    desk.to("#agreed")
    desk.press("Space")
    desk.to("#noted-by")
    desk.write(CODERS[0])
    desk.picture("analyse-staged")
    desk.seen("button before the start", page.inner_text("#start"), True)
    desk.enter("#start")
    desk.until("document.querySelectorAll('#recordings .row').length === 6")
    desk.picture("analyse-running")


def set_study(desk: Keyboard) -> None:
    """Title, blind mode and the scheme; by the page Study."""
    page = desk.page
    desk.visit("Study")
    desk.until("document.getElementById('overlap').value === '0.5'")
    desk.to("#study-title")
    desk.write("Two coders")
    desk.to("#mode-open")
    desk.press("ArrowDown", "Enter")
    desk.until("document.getElementById('settings-done').textContent === 'Saved.'")
    desk.choose("#scheme-start", "seven")
    desk.enter("#scheme-begin")
    desk.until("document.activeElement.id === 'scheme-name'")
    desk.picture("study")
    desk.press("Enter")
    page.wait_for_selector("#scheme", state="hidden")
    study = ask(desk.address, "/study")[1]
    found = (study["title"], study["mode"], (study["scheme"] or {}).get("name"))
    desk.seen("study", found, found == ("Two coders", "blind", "seven"))


def wait_for_analyses(address: str, seen: Seen) -> list[dict[str, Any]]:
    """The recordings, once each is analysed."""
    began = time.monotonic()
    while True:
        listed = ask(address, "/recordings?limit=100")[1]["recordings"]
        states = [one["job"]["status"] for one in listed]
        if not {"queued", "running"} & set(states):
            break
        if time.monotonic() - began > 4 * PATIENCE_S:
            raise SystemExit("waited in vain for the analyses")
        time.sleep(1)
    seen("recordings analysed", states.count("done"), states == ["done"] * 6)
    seen("candidates", [one["events"] for one in listed], all(one["events"] for one in listed))
    return list(listed)


class Coder:
    """Codes every recording as somebody would who knows what was planted, give or take a frame."""

    def __init__(self, desk: Keyboard, name: str, truths: dict[str, ClipTruth]) -> None:
        self.desk, self.page, self.name, self.truths = desk, desk.page, name, truths
        self.shift = CODERS.index(name)
        self.count = {"accepted": 0, "rejected": 0, "added": 0}

    def saved(self) -> None:
        self.page.wait_for_selector("#saved[data-state=idle]", state="attached")

    def shown(self) -> int:
        return int(self.page.evaluate("Number(document.getElementById('stage').dataset.frame)"))

    def middle(self) -> float:
        """Middle of the stretch that the page says to look at, frames."""
        ends = re.findall(r"(\d+):(\d+\.\d+)", self.page.inner_text("#todo"))
        first, last = (60 * int(minutes) + float(seconds) for minutes, seconds in ends[:2])
        return CLIP.fps * (first + last) / 2

    def go(self, frame: int) -> None:
        """By arrow keys, ten frames with Shift."""
        for _ in range(12):
            self.page.wait_for_timeout(60)
            ahead = frame - self.shown()
            if ahead == 0:
                return
            way = "ArrowRight" if ahead > 0 else "ArrowLeft"
            tens, ones = divmod(abs(ahead), 10)
            self.desk.press(*[f"Shift+{way}"] * tens, *[way] * ones)
            end = time.monotonic() + 8
            while self.shown() != frame and time.monotonic() < end:
                self.page.wait_for_timeout(20)
        raise SystemExit(f"{self.page.url}: frame {frame} is not reached, got {self.shown()}")

    def all(self, masked: Callable[[], None], decided: Callable[[], None]) -> None:
        """Every recording, one after the other as the page offers them."""
        for number in range(6):
            self.page.wait_for_selector("html[data-open]")
            self.one(number, masked if number == 0 else None, decided if number == 0 else None)
            if number < 5:
                self.desk.follow("Shift+N")
        seen, total = self.desk.seen, self.count
        listed = ask(self.desk.address, "/recordings?limit=100")[1]["recordings"]
        progress = [one for recording in listed for one in recording["progress"]]
        done = sum(one["done"] for one in progress if one["coder"] == self.name)
        seen(f"{self.name}: recordings done", done, done == 6)
        seen(f"{self.name}: decisions", total, all(total.values()))

    def one(
        self, number: int, masked: Callable[[], None] | None, decided: Callable[[], None] | None
    ) -> None:
        where = self.page.inner_text("#of")
        key = next(k for k in self.truths if all(part in where for part in k.split()))
        left = list(self.truths[key].events)
        events = self.page.locator(".event").count()
        for event in range(events):
            self.desk.press("n")
            self.page.wait_for_selector(".event[aria-current]")
            self.page.wait_for_timeout(250)
            if masked and event == 0:
                self.masked()
                masked()
            planted = min(left, key=lambda one: abs(one.apex_frame - self.middle()), default=None)
            refuse = number == 1 + self.shift and event == 0
            if refuse or planted is None or abs(planted.apex_frame - self.middle()) > 50:
                self.desk.press("r")
                self.count["rejected"] += 1
            else:
                left.remove(planted)
                self.accept(planted, number)
            self.saved()
            if decided and event == 0:
                decided()
        if number == 3:
            self.add()
        self.desk.press("d")
        self.saved()
        self.desk.until("document.getElementById('say').textContent !== ''")

    def masked(self) -> None:
        """Nothing of the machine's answer, nor of another coder, is on the page."""
        parts = self.page.locator("#events, #inspector, #machine, #timeline").all_inner_texts()
        found = " ".join(parts).lower()
        leaks = [word for word in ("unsure", "machine:", "positive", "%") if word in found]
        hidden = "hidden until you have decided" in found
        seen = self.desk.seen
        seen(f"{self.name}: blind, before a decision", leaks or "hidden", hidden and not leaks)
        words = self.page.inner_text("main").lower()
        others = [one for one in CODERS if one != self.name and one in words]
        seen(f"{self.name}: other coders named on the page", others or "none", not others)

    def accept(self, planted: PlantedEvent, number: int) -> None:
        """Onset, apex, offset, class and certainty, then the decision."""
        for key, frame in (
            ("k", planted.apex_frame + self.shift),
            ("i", planted.onset_frame),
            ("o", planted.offset_frame + self.shift),
        ):
            self.go(frame)
            self.desk.press(key)
        label = (
            "4"
            if self.shift and planted.label == "negative" and number == 4
            else CLASS_KEYS[planted.label]
        )
        self.desk.press(label, *"yy"[: 1 + number % 2], "a")
        self.count["accepted"] += 1

    def add(self) -> None:
        """An event of the coder's own, where nothing was planted."""
        self.go(12)
        self.desk.press("e")
        self.page.wait_for_selector("dialog")
        self.desk.press("6")
        self.until_added()
        self.count["added"] += 1

    def until_added(self) -> None:
        self.page.wait_for_selector(".event[aria-current]:has-text('A')")
        self.saved()


def check_blindness(address: str, listed: list[dict[str, Any]], seen: Seen) -> None:
    """What the server says to lee, who has not begun, of kim's finished reviews."""
    of = listed[0]["id"]
    status, answer = ask(address, f"/recordings/{of}/review?coder=kim&reader=lee")
    seen("lee asks for kim's review", f"{status} {answer['error']['message'][:60]}", status == 409)
    _, found = ask(address, "/agreement?coder=kim&other=lee&reader=lee")
    seen("lee asks for the agreement: recordings", found["recordings"], found["recordings"] == 0)
    _, found = ask(address, f"/recordings/{of}/history?coder=lee&reader=lee")
    seen("lee asks for the trail", len(json.dumps(found)), "kim" not in json.dumps(found))
    with urllib.request.urlopen(f"{address}/api/v1/export/study.zip?reader=lee") as answer:
        content = io.BytesIO(answer.read())
    with zipfile.ZipFile(content) as archive:
        events = pd.read_csv(archive.open("events.csv"))
    coders = sorted(set(events["coder"]))
    seen("coders in lee's export before lee began", coders, not {"kim", "machine"} & set(coders))


def look_at_export(desk: Keyboard, out: Path) -> None:
    """Agreement, rates and the zip; by the page Export."""
    page, seen = desk.page, desk.seen
    desk.visit("Export")
    page.wait_for_selector("#agree button:enabled")
    desk.choose("#first", "kim")
    desk.choose("#second", "lee")
    desk.enter("#agree button[type=submit]")
    page.wait_for_selector("#compared")
    seen(
        "agreement",
        page.inner_text("#compared")[:60],
        "6 recordings of 3 people" in page.inner_text("#compared"),
    )
    for figure in page.locator("#agreement dl.figures > div").all_inner_texts():
        seen("agreement", " ".join(figure.split()), True)
    desk.choose("#rates-coder", "lee")
    desk.enter("#rates button[type=submit]")
    page.wait_for_selector("#conditions table")
    rows = [" ".join(t.split()) for t in page.locator("#conditions tbody tr").all_inner_texts()]
    for row in rows:
        seen("rates by condition", row, True)
    seen(
        "conditions",
        len(rows),
        len(rows) == 3 and all(any(c in r for r in rows) for c in CONDITIONS),
    )
    desk.picture("export")
    desk.page.reload()
    page.wait_for_selector("#agree button:enabled")
    with page.expect_download() as going:
        desk.enter("#study button[type=submit]")
    going.value.save_as(out / "study.zip")


def read_export(path: Path, seen: Seen, counts: dict[str, dict[str, int]]) -> None:
    """The zip as pandas reads it."""
    with zipfile.ZipFile(path) as archive:
        seen("files of the export", " ".join(sorted(archive.namelist())), archive.testzip() is None)
        events = pd.read_csv(archive.open("events.csv"))
        recordings = pd.read_csv(archive.open("recordings.csv"))
        agreement = pd.read_csv(archive.open("agreement.csv"))
        conditions = pd.read_csv(archive.open("conditions.csv"))
    seen("events.csv: rows, columns", events.shape, len(events) > 0)
    seen(
        "events.csv: recordings",
        events["recording_id"].nunique(),
        events["recording_id"].nunique() == 6,
    )
    people = events["coder"]
    seen("events.csv: coders", sorted(set(people)), {"kim", "lee", "machine"} == set(people))
    for name, count in counts.items():
        own = events[people == name]
        decided = own["status"].value_counts().to_dict()
        right = (
            decided.get("accepted") == count["accepted"] + count["added"]
            and decided.get("rejected") == count["rejected"]
            and set(own["mode"]) == {"blind"}
            and set(own["condition"]) == set(CONDITIONS)
            and set(own["subject"]) == set(PEOPLE)
            and bool((own["review_done"] == 1).all())
            and own.loc[(own["status"] == "accepted") & own["machine_label"].notna(), "certainty"]
            .notna()
            .all()
        )
        seen(f"events.csv: {name}", f"{decided}, mode {sorted(set(own['mode']))}", bool(right))
    done = recordings[recordings["coder"].isin(CODERS)]
    seen(
        "recordings.csv: rows, done",
        f"{len(recordings)}, {int(done['done'].sum())}",
        len(recordings) == 18 and int(done["done"].sum()) == 12,
    )
    seen(
        "agreement.csv, conditions.csv: rows",
        f"{len(agreement)}, {len(conditions)}",
        len(agreement) > 0 and len(conditions) > 0,
    )


def walk(
    browser: Browser,
    address: str,
    folder: Path,
    truths: dict[str, ClipTruth],
    out: Path,
    seen: Seen,
) -> None:
    """All of it."""
    first = Keyboard(browser, address, out, seen)
    if not ask(address, "/recordings")[1]["recordings"]:
        upload_all(first, folder)
    else:
        first.open()
        first.name(CODERS[0])
    set_study(first)
    listed = wait_for_analyses(address, seen)
    first.visit("Analyse")
    first.page.wait_for_selector("#recordings .row[data-status=done]")
    first.picture("analyse-done")
    kim = code(first, CODERS[0], truths)
    check_blindness(address, listed, seen)
    second = Keyboard(browser, address, out, seen)
    second.open()
    second.name(CODERS[1])
    lee = code(second, CODERS[1], truths)
    look_at_export(second, out)
    read_export(out / "study.zip", seen, {"kim": kim.count, "lee": lee.count})
    for name in ("Analyse", "Subjects", "Study", "Live", "About"):
        second.visit(name)
        with suppress(Exception):
            second.page.wait_for_load_state("networkidle", timeout=5000)
        if name == "Subjects":
            second.enter("#subjects a")
            second.page.wait_for_selector("#person h2")
        second.page.wait_for_timeout(400)
        second.picture(f"end-{name.lower()}")
    for desk, who in ((first, "kim"), (second, "lee")):
        seen(f"{who}: what the pages complained of", desk.heard or "nothing", not desk.heard)
        seen(f"{who}: Tabs pressed", desk.tabs, True)


def code(desk: Keyboard, name: str, truths: dict[str, ClipTruth]) -> Coder:
    """Open the review from the head of the page and code everything."""
    began = time.monotonic()
    desk.visit("Review")
    coder = Coder(desk, name, truths)
    coder.all(desk.shot(f"review-{name}-blind"), desk.shot(f"review-{name}-decided"))
    desk.picture(f"review-{name}-done")
    desk.seen(f"{name}: minutes", f"{(time.monotonic() - began) / 60:.1f}", True)
    return coder


def main() -> int:
    """Render, serve, walk, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("study-walk"), help="for pictures and zip")
    parser.add_argument("--data", type=Path, help="a new data folder; kept")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    options = parser.parse_args()
    if options.browser is None:
        parser.error("expected a Chromium, found none; pass --browser")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - --help works without it

    options.out.mkdir(parents=True, exist_ok=True)
    seen = Seen()
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "study"
        truths = write_study(folder)
        with running_server(options.data or Path(place) / "data") as address:
            arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=options.browser, args=arguments)
            walk(browser, address, folder, truths, options.out, seen)
            browser.close()
    print(f"{seen.wrong} wrong")
    return 1 if seen.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
