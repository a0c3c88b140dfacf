"""A recording analysed for real, and what tests do with its review page."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.workstation.jobs.process import COMMAND
from micromimic.workstation.records import recordings, reviews

from .page_server import Desk, running_station, until, wait_for
from .sounds import with_click

if TYPE_CHECKING:
    import pytest
    from playwright.sync_api import Page

    from micromimic.workstation.records.database import Store
    from micromimic.workstation.records.review import ReviewedEvent

CLIP = ClipConfig(
    seconds=7.0,
    fps=100.0,
    width=480,
    height=360,
    face_px=330.0,
    peak_px=1.8,
    events_per_minute=26.0,
    macros_per_minute=0.0,
    head_moves_per_minute=0.0,
    blinks_per_minute=8.6,
    blinks_apart=True,
    flicker=0.0,
    noise_sd=1.5,
)
SEED = 3
"""Three micro-expressions, far apart; the machine finds each."""
CLICK_S = 2.0
"""When something is heard."""
RECORDING = "5" * 32
COMPLAINT = r"Failed to load resource"
"""What Chromium itself writes when a request is refused or nobody answers."""


def analysed(factory: pytest.TempPathFactory, name: str) -> Path:
    """A data folder of its own with one recording; it is analysed once a run of the tests."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # what the processes of one run have in common
    first = base / "analysed"
    with (base / "analysing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not first.exists():
            making = factory.mktemp("analysing")
            analyse(making)
            making.rename(first)
    data = factory.mktemp(name)
    shutil.copytree(first, data, dirs_exist_ok=True)
    return data


def analyse(data: Path, clip: ClipConfig = CLIP, **settings: Any) -> None:
    """Put one recording into a data folder and have a worker analyse it, as settings say."""
    from micromimic.workstation.records.database import open_store
    from micromimic.workstation.records.models import Consent

    cv2.setNumThreads(1)
    with open_store(data) as store:
        folder = store.folder(RECORDING)
        folder.mkdir(parents=True)
        video = folder / "video.mp4"
        write_clip(video, clip, SEED, crf=16, preset="superfast")
        with_click(video, clip.seconds, CLICK_S)
        content = video.read_bytes()
        recordings.add_recording(
            store,
            id=RECORDING,
            name="interview.mp4",
            extension=".mp4",
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            consent=Consent(given=True, noted_by="kim"),
            expires_at=datetime.now(UTC) + timedelta(days=30),
        )
    with running_station(data, worker=COMMAND, **settings) as station:

        def over() -> bool:
            job = recordings.get_recording(station.store, RECORDING).job
            assert job is not None and job.status != "failed", job
            return job.status == "done"

        wait_for(over, 480)


def open_review(desk: Desk, coder: str) -> Page:
    """The review page of one coder, its first frame on the screen."""
    desk.add_init_script(
        f"localStorage.getItem('micromimic.coder') ?? "
        f"localStorage.setItem('micromimic.coder', {coder!r})"
    )
    page = desk.page(f"/review?recording={RECORDING}")
    page.wait_for_selector("html[data-open]")
    return page


def press(page: Page, *keys: str) -> None:
    """Keys, one after the other, wherever the focus is; and what they change is drawn."""
    for key in keys:
        page.keyboard.press(key)
    drawn(page)


def drawn(page: Page) -> None:
    """Wait until what has changed so far is drawn."""
    # The page draws in animation frames: the first may have been asked for before the change.
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
    )


def at_frame(page: Page, frame: int) -> None:
    """Wait until a frame is on the screen, and the drawing has followed."""
    until(page, f"document.getElementById('stage').dataset.frame === '{frame}'")
    drawn(page)


def shown_frame(page: Page) -> int:
    """The frame that the page says is on the screen."""
    return int(page.input_value("#frame"))


def saved(store: Store, coder: str, number: int) -> tuple[ReviewedEvent, ...]:
    """The coder's events once so many decisions are stored."""
    wait_for(lambda: reviews.get_review(store, RECORDING, coder).number >= number)
    review = reviews.get_review(store, RECORDING, coder)
    assert review.number == number
    return review.events


def settled(page: Page) -> None:
    """Wait until every change is saved."""
    page.wait_for_selector("#saved[data-state=idle]", state="attached")


def box(page: Page, selector: str) -> dict[str, Any]:
    """Where an element is."""
    found = page.locator(selector).bounding_box()
    assert found is not None, selector
    return dict(found)


def middle(page: Page, selector: str) -> tuple[float, float]:
    """The middle of an element."""
    found = box(page, selector)
    return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2
