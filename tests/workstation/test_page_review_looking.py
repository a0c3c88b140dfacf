"""What the review page shows beside the video: overlays, pictures, magnified motion, the curve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import micromimic.workstation.pages
from micromimic.workstation.records import markers, reviews

from ..page_server import WIDE, Desk, Station, desk_at, running_station, until
from ..review_desk import (
    CLICK_S,
    CLIP,
    RECORDING,
    analysed,
    at_frame,
    box,
    open_review,
    press,
    saved,
    settled,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("browser", "playwright", "web")

SOUND_ROW = 28 + 4
MARKER_ROW = 17 + 4
STATIC = Path(micromimic.workstation.pages.__file__).parent / "static"
LOADED = sorted(
    file
    for folder in (STATIC, micromimic.workstation.pages.VIEWER)
    for file in folder.rglob("*")
    if file.suffix in {".js", ".css"}
)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with running_station(analysed(tmp_path_factory, "looking")) as station:
        yield station


def painted(page: Page, canvas: str) -> list[float]:
    """Left, top, right, bottom of what is drawn, as shares of the canvas; empty for nothing."""
    found: list[float] = page.evaluate(
        """(name) => {
          const canvas = document.querySelector(name), { width, height } = canvas;
          const copy = new OffscreenCanvas(width, height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, width, height);
          let [left, top, right, bottom] = [width, height, -1, -1];
          for (let k = 3, p = 0; k < data.length; k += 4, p += 1) {
            if (data[k] < 40) continue;
            const x = p % width, y = (p - x) / width;
            left = Math.min(left, x); right = Math.max(right, x);
            top = Math.min(top, y); bottom = Math.max(bottom, y);
          }
          if (right < 0) return [];
          return [left / width, top / height, (right + 1) / width, (bottom + 1) / height];
        }""",
        canvas,
    )
    return found


def test_cells_lie_where_the_face_is(desk: Desk, station: Station) -> None:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    shown: Any = found.review
    page = open_review(desk, "ada")
    press(page, "n")
    at_frame(page, 128)
    assert painted(page, "#overlay") == []
    press(page, "c")
    until(page, "document.getElementById('stage-note').textContent.includes('ten face regions')")
    rows, columns = shown["frames_bin"]["rows"], shown["frames_bin"]["columns"]
    numbers = np.fromfile(station.store.folder(RECORDING) / "frames.bin", dtype="<f4")
    at = dict(zip(columns, numbers.reshape(len(columns), rows)[:, 128].tolist(), strict=True))
    transform = np.array([at[f"t{k}"] for k in range(6)]).reshape(2, 3)
    boxes = np.array(shown["segments"][str(round(at["segment"]))]["cells"]).reshape(-1, 2)
    corners = np.concatenate([boxes, np.stack([boxes[::2, 0], boxes[1::2, 1]], axis=1)])
    pixels = corners @ transform[:, :2].T + transform[:, 2] + 0.5
    expected = [*pixels.min(axis=0), *pixels.max(axis=0)]
    size = np.array([shown["width"], shown["height"]] * 2)
    until(page, "document.getElementById('overlay').width > 0")
    assert np.abs(np.array(painted(page, "#overlay")) - expected / size).max() < 0.02
    press(page, "c")
    until(page, "document.getElementById('stage-note').textContent === ''")
    assert painted(page, "#overlay") == []


def test_flow_and_votes_belong_to_the_movement(desk: Desk) -> None:
    page = open_review(desk, "ada")
    press(page, "f", "v")
    until(page, "document.getElementById('stage-note').textContent.includes('choose one')")
    press(page, "n")
    at_frame(page, 128)
    until(page, "/drawn \\d+ × longer/.test(document.getElementById('stage-note').textContent)")
    assert painted(page, "#overlay") != []
    press(page, "Home")
    at_frame(page, 0)
    until(page, "document.getElementById('stage-note').textContent.includes('between onset')")
    assert painted(page, "#overlay") == []


def pixels(page: Page, canvas: str) -> NDArray[np.float64]:
    """Every fifth pixel (green) of a canvas."""
    values = page.evaluate(
        """(name) => {
          const canvas = document.querySelector(name), { width, height } = canvas;
          const copy = new OffscreenCanvas(width, height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          return [...copy.getImageData(0, 0, width, height).data].filter((_, k) => k % 20 === 1);
        }""",
        canvas,
    )
    return np.asarray(values, dtype=np.float64)


def test_magnified_motion_keeps_in_step(desk: Desk, station: Station) -> None:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    clip: dict[str, Any] = found.review["events"][1]["clip"]
    apex: int = found.payload["events"][1]["apex_frame"]
    page = open_review(desk, "ada")
    press(page, "s", "n", "n", "m")
    page.wait_for_selector("#play[data-playing=true]")
    assert page.input_value("#speed") == "0.1"
    until(page, "document.getElementById('pair').dataset.frame !== undefined")
    assert page.inner_text("#pair-note").startswith("Left as it was")  # once anything is drawn
    frames = {}
    for name in ("face", "magnified"):
        path = (
            station.store.folder(RECORDING) / "events" / "1" / f"{name}.mp4"
        )  # made when looked at
        with av.open(str(path)) as container:
            frames[name] = [
                frame.to_ndarray(format="rgb24")[..., 1].ravel()[::5].astype(np.float64)
                for frame in container.decode(video=0)
            ]
        assert len(frames[name]) == clip["frames"]
    first = page.evaluate("document.getElementById('pair').dataset.frame")
    until(page, f"document.getElementById('pair').dataset.frame !== '{first}'")  # it plays
    press(page, "Space", "p", "n")
    at_frame(page, apex)
    for step in (0, 1, 2):
        number = apex + step - clip["first_frame"]
        until(page, f"document.getElementById('pair').dataset.frame === '{number}'")
        for name, known in frames.items():
            seen = pixels(page, f"[data-clip={name}]")
            near = range(number - 3, number + 4)
            best = max(near, key=lambda n: float(np.corrcoef(known[n], seen)[0, 1]))
            assert best == number, name
        press(page, "ArrowRight")
    press(page, "m")
    assert page.locator("#pair").is_hidden()
    assert page.input_value("#speed") == "0.5"  # as it was set before


def test_a_stretch_that_the_timeline_shows_is_looped(desk: Desk) -> None:
    page = open_review(desk, "ada")
    press(page, "l")
    assert "zoom the timeline" in page.locator("#say").inner_text()
    press(page, "+", "+", "+", "+", "+", "+", "l", "Space")
    seen = once_round(page)
    stop = 100 * float(page.locator("#timeline .plot").get_attribute("data-to") or "nan")
    assert 40 < stop < 100
    assert len([frame for frame in seen if frame > stop]) <= 5


def test_a_looped_event_does_not_leave_its_stretch(desk: Desk, station: Station) -> None:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    event: dict[str, Any] = found.payload["events"][0]
    page = open_review(desk, "ada")
    press(page, "n", "l")
    at_frame(page, event["apex_frame"])
    press(page, "Space")
    seen = once_round(page)
    assert min(seen) >= event["onset_frame"] - 10
    # Pictures after the last one may be up before the jump back: a screen is not a video. How far
    # they lie behind it depends on the machine's load; that they are few does not.
    turn = next(k for k in range(1, len(seen)) if seen[k] < seen[k - 1])
    behind = [frame for frame in seen[:turn] if frame > event["offset_frame"] + 10]
    assert len(behind) <= 5
    assert seen[turn] <= event["onset_frame"] + 10


def once_round(page: Page) -> list[int]:
    """The frames that are shown until playing begins again at an earlier one; then it stops."""
    page.evaluate(
        """() => {
          window.seen = [];
          const stage = document.getElementById("stage");
          new MutationObserver(() => window.seen.push(Number(stage.dataset.frame)))
            .observe(stage, { attributeFilter: ["data-frame"] });
        }"""
    )
    until(page, "window.seen.some((frame, k) => k && frame < window.seen[k - 1])")
    press(page, "Space")
    seen: list[int] = page.evaluate("window.seen")
    return seen


def test_onset_against_apex_turns_only_when_asked(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium, reduced_motion="reduce") as desk:
        page = open_review(desk, "ada")
        press(page, "n")
        face = page.locator("#face")
        page.wait_for_selector("#face[aria-label='The face at the apex']")
        assert page.locator("[data-face=flicker]").is_hidden()
        press(page, "t")
        assert face.get_attribute("aria-label") == "The face at the onset"
    with desk_at(station, chromium, reduced_motion="no-preference") as desk:
        page = open_review(desk, "ada")
        press(page, "n")
        page.click("[data-face=flicker]")
        turned = "document.getElementById('face').getAttribute('aria-label').endsWith('{}')"
        for side in ("apex", "onset", "apex"):
            until(page, turned.format(side))
        press(page, "t")
        assert page.locator("[data-face=flicker]").get_attribute("aria-pressed") == "false"


def test_nothing_is_drawn_while_nothing_changes(desk: Desk) -> None:
    page = open_review(desk, "ada")
    press(page, "n", "c")
    at_frame(page, 128)
    count = """() => {
      window.drawn = 0;
      for (const name of ["clearRect", "drawImage", "stroke"]) {
        const own = CanvasRenderingContext2D.prototype[name];
        CanvasRenderingContext2D.prototype[name] = function (...given) {
          window.drawn += 1;
          return own.apply(this, given);
        };
      }
    }"""
    page.evaluate(count)
    quiet = """async () => {
      const frame = () => new Promise(requestAnimationFrame);
      for (let tries = 0, still = 0; tries < 2000; tries += 1) {
        window.drawn = 0;
        await frame();
        still = window.drawn ? 0 : still + 1;
        if (still === 60) return true;
      }
      return false;
    }"""
    assert page.evaluate(quiet)
    press(page, "ArrowRight")
    until(page, "window.drawn > 0")


def test_a_long_curve_keeps_its_extremes(desk: Desk) -> None:
    """Ten minutes at 200 frames a second on 700 pixels: each column's least and greatest stay."""
    page = open_review(desk, "ada")
    points = page.evaluate(
        """async () => {
          const { thin } = await import("/static/viewer/scale.js");
          const hash = (_, k) => Math.imul(k, 0x9e3779b1) >>> 8;
          const values = Float32Array.from({ length: 120000 }, hash);
          values[77777] = 4e9;
          values.fill(NaN, 50000, 52000);
          return thin(values, 0, values.length, 700);
        }"""
    )
    values = ((np.arange(120_000, dtype=np.uint32) * np.uint32(0x9E3779B1)) >> 8).astype(np.float32)
    values[77_777], values[50_000:52_000] = 4e9, np.nan
    assert len(points) <= 2 * 701
    kept = {k: values[k] for k in points if k >= 0}
    edges = [column * 120_000 // 700 for column in range(701)]
    for first, last in pairwise(edges):
        part = values[first:last]
        if np.isnan(part).all():
            continue
        inside = [v for k, v in kept.items() if first <= k < last]
        assert max(inside) == np.nanmax(part) and min(inside) == np.nanmin(part)
    assert -1 in points  # a gap stays a gap


def test_the_help_names_every_key(desk: Desk) -> None:
    page = open_review(desk, "ada")
    press(page, "?")
    shown = page.locator("dialog kbd").all_inner_texts()
    assert set("←→↑↓npar123ikoesmtfcvzq,.?") <= set(shown)
    assert {"Space", "Delete", "Shift z", "Shift s", "Ctrl z", "Ctrl y", "Page Up"} <= set(shown)
    press(page, "a")  # nothing happens behind the dialog
    press(page, "Escape")
    page.wait_for_selector("dialog", state="detached")
    assert page.locator("#progress").inner_text() == "0 of 3 events decided"


def test_files_ask_nobody() -> None:
    assert len(LOADED) > 40
    for file in LOADED:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://|innerHTML|\beval\(", text), file


def test_the_timeline_says_what_would_have_been_missed(desk: Desk, station: Station) -> None:
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    rows, columns = found.review["frames_bin"]["rows"], found.review["frames_bin"]["columns"]
    path = station.store.folder(RECORDING) / "frames.bin"
    table = np.fromfile(path, dtype="<f4").reshape(len(columns), rows)
    limits = {"forehead": 0.2, "eyes": np.inf, "nose": 0.1, "mouth": 0.5, "chin": np.nan}
    for name, value in limits.items():
        table[columns.index(f"limit_{name}")] = value
    table[columns.index("limit_mouth"), : rows // 2] = 0.1
    path.write_bytes(table.tobytes())
    page = open_review(desk, "ada")
    page.click("summary:has-text('Legend')")
    assert page.locator("#legend-missed").is_visible()
    press(page, "Escape")
    assert page.locator("#legend-missed").is_hidden()
    place = page.evaluate(
        """() => {
          const canvas = document.querySelector("#timeline canvas.curve");
          const { left, top, width, height } = canvas.getBoundingClientRect();
          return [left, top, width, height, canvas.width / width];
        }"""
    )
    left, top, width, height, ratio = place
    lanes = height - 24 - 2 * 24 - SOUND_ROW  # above the axis and both lanes
    strip = lanes - 6 - 5 * 5
    values = page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector("#timeline canvas.curve");
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          return x.map((a) => y.map((b) => data[4 * (b * canvas.width + a) + 1]));
        }""",
        [
            [round(ratio * (62 + share * (width - 74))) for share in (0.25, 0.75)],
            [round(ratio * (strip + 5 * row + 2)) for row in range(5)],
        ],
    )
    early, late = np.array(values)
    assert early[0] - early[1] > 60  # lids are closed, brows open
    assert list(early[[0, 2, 3, 4]]) == [early[0]] * 4
    assert late[3] == early[1] and late[0] == early[0]  # the mouth's second half
    page.mouse.move(left + 62 + 0.75 * (width - 74), top + strip + 10)
    frame = round(0.75 * rows)
    t = [float(table[columns.index(f"t{k}"), frame]) for k in range(6)]
    scale = np.sqrt(abs(t[0] * t[4] - t[1] * t[3]))
    title = page.locator("#timeline .readout").inner_text()
    assert "found half the time" in title
    assert "lids closed" in title and "chin not known" in title
    for name, value in (("brows", 0.2), ("nose", 0.1), ("mouth", 0.5)):
        said = re.search(rf"{name} ([\d.]+)", title)
        assert said and float(said[1]) == pytest.approx(value * scale, abs=0.08), title


@pytest.mark.parametrize("size", [WIDE, {"width": 1280, "height": 720}], ids=["900", "720"])
def test_what_a_decision_needs_is_in_the_window(
    station: Station, chromium: Browser, size: dict[str, int]
) -> None:
    with desk_at(station, chromium, viewport=size) as desk:
        page = open_review(desk, "ada")
        press(page, "n")
        at_frame(page, 128)
        press(page, "w")
        page.keyboard.type("lip corner")
        parts = ["#stage", "#play", "#speed", "#sound", "#magnified", "#timeline .plot", "#undo"]
        parts += [".overview", "#accept", "#reject", "#choices > :last-child", "#note", "#done"]
        for part in (*parts, ".event[data-key=m2]", "#face", "#tab-history"):
            place = box(page, part)
            assert place["x"] >= 0 and place["y"] >= 0, part
            assert place["x"] + place["width"] <= size["width"], part
            assert place["y"] + place["height"] <= size["height"], part
        assert page.evaluate("scrollY") == 0


def test_on_a_phone_no_message_lies_on_the_curve(station: Station, chromium: Browser) -> None:
    with desk_at(station, chromium, viewport={"width": 390, "height": 844}) as desk:
        page = open_review(desk, "pia")
        press(page, "n", "a")
        page.locator("#say", has_text="accepted").wait_for()
        plot = box(page, "#timeline .plot")
        line = box(page, "#say")
        assert line["y"] + line["height"] <= plot["y"]
        page.locator("#inspector").evaluate("(panel) => panel.scrollIntoView()")
        page.wait_for_selector("#say.away", state="attached")
        press(page, "r")
        page.locator("#say", has_text="rejected").wait_for()
        line = box(page, "#say")
        assert line["y"] > 0 and line["y"] + line["height"] <= 844
        settled(page)


def test_the_number_at_the_playhead_covers_the_whole_time_below_it(desk: Desk) -> None:
    page = open_review(desk, "zoe")
    number, plot = box(page, ".playhead span"), box(page, "#timeline .plot")
    assert number["x"] == pytest.approx(plot["x"] + 62, abs=1.5)  # where "0 s" begins
    assert number["width"] >= 30


def test_sound_is_heard_at_normal_speed_and_drawn(desk: Desk) -> None:
    page = open_review(desk, "ada")
    muted = "document.getElementById('video').muted"
    drawn = """(shares) => {
      const canvas = document.querySelector("#timeline canvas.curve");
      const { width, height } = canvas.getBoundingClientRect(), ratio = canvas.width / width;
      const copy = new OffscreenCanvas(canvas.width, canvas.height)
        .getContext("2d", { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const top = height - 24 - 2 * 24 - 32 + 4; // near the upper edge of the row
      return shares.map((share) => {
        const x = Math.round(ratio * (62 + share * (width - 74)));
        return copy.getImageData(x - 3, Math.round(ratio * top), 6, 1).data.some(Boolean);
      });
    }"""
    click = CLICK_S / CLIP.seconds
    assert page.evaluate(drawn, [click, 0.1, 0.9]) == [True, False, False]
    press(page, "Space")
    until(page, f"!{muted}")
    press(page, "s")
    assert page.evaluate(muted) is False  # half the speed
    press(page, "s")
    assert page.evaluate(muted) is True  # a quarter
    press(page, "Shift+S", "Shift+S", "Shift+S")
    assert page.input_value("#speed") == "2"
    assert page.evaluate("document.getElementById('video').playbackRate") == 2
    assert page.evaluate(muted) is False
    press(page, "q")
    assert page.evaluate(muted) is True
    page.reload()
    page.wait_for_selector("html[data-open]")
    assert page.locator("#mute").get_attribute("aria-pressed") == "false"  # as it was chosen
    press(page, "q")
    assert page.locator("#mute").get_attribute("aria-pressed") == "true"


def test_another_coder_in_the_same_tab_begins_at_the_beginning(desk: Desk) -> None:
    page = open_review(desk, "ada")
    press(page, "n", "n")
    page.click("#coder")
    page.fill("#coder-name", "bea")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_selector("html[data-open]")
    assert page.input_value("#frame") == "0"
    assert page.locator(".event[aria-current]").count() == 0


def test_jumps_of_a_second_and_of_five(desk: Desk) -> None:
    page = open_review(desk, "ada")
    for keys, frame in (
        ([".", "."], 200),
        (["PageDown"], 699),
        (["PageUp"], 199),
        ([",", ","], 0),
    ):
        press(page, *keys)
        at_frame(page, frame)
    page.click("#five-on")
    at_frame(page, 500)
    page.click("#second-back")
    at_frame(page, 400)


def test_the_list_is_narrowed_and_ordered(desk: Desk, station: Station) -> None:
    page = open_review(desk, "joy")
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    machine: list[dict[str, Any]] = found.payload["events"]

    def listed() -> list[str]:
        names: list[str] = page.locator("#events .count").all_inner_texts()
        return names

    def by(value: Any) -> list[str]:
        return [str(k + 1) for k in sorted(range(len(machine)), key=lambda k: value(machine[k]))]

    page.select_option("#sort", "strength")
    assert listed() == by(lambda event: -event["strength"])
    page.select_option("#sort", "sure")
    assert listed() == by(lambda event: event["probabilities"][event["label"]])
    page.select_option("#sort", "class")
    assert listed() == by(lambda event: event["label"]) == ["3", "1", "2"]
    press(page, "n", "ArrowDown", "r")  # in this order, from the first on
    assert saved(station.store, "joy", 1)[0].status == "rejected"
    page.select_option("#show", "open")
    assert listed() == ["3", "2"]
    press(page, "n", "n", "n", "a")  # round among the open ones
    page.select_option("#show", "class surprise")
    assert listed() == ["2"]
    page.select_option("#show", "unsure")
    page.select_option("#sort", "state")
    assert listed() == [str(k + 1) for k, event in enumerate(machine) if event["uncertain"]]
    page.select_option("#show", "added")
    assert listed() == []
    press(page, "n")
    assert "All events" in page.locator("#say").inner_text()
    settled(page)


def test_a_correction_stays_and_a_decision_may(desk: Desk, station: Station) -> None:
    page = open_review(desk, "kay")
    current = page.locator(".event[aria-current] .count")
    press(page, "n", "a")
    assert current.inner_text() == "2"
    press(page, "p")  # the first is decided: from the other end
    assert current.inner_text() == "3"
    press(page, "ArrowUp", "ArrowUp", "3")
    assert current.inner_text() == "1"
    page.uncheck("#advance")
    press(page, "n", "r")
    assert current.inner_text() == "2"
    assert [event.status for event in saved(station.store, "kay", 3)] == [
        "accepted",
        "rejected",
        "pending",
    ]
    settled(page)


def test_markers_are_rows_of_the_timeline(desk: Desk, station: Station) -> None:
    given = [
        {"tier": "film", "label": "sea", "onset_s": 1.0, "offset_s": 3.5},
        {"tier": "film", "label": "snakes", "onset_s": 4.0, "offset_s": 6.0},
        {"tier": "keys", "label": "go", "onset_s": 5.0},
    ]
    made = markers.add_markers(station.store, RECORDING, given, origin="trial.csv")
    page = open_review(desk, "ada")
    press(page, "]")
    at_frame(page, 100)
    assert page.locator("#say").inner_text() == "film: sea (0:01.000 to 0:03.500)"
    press(page, "]", "]")
    at_frame(page, 500)
    press(page, "[")
    at_frame(page, 400)
    plot = box(page, "#timeline .plot")
    first = plot["y"] + plot["height"] - 24 - 2 * 24 - 2 * MARKER_ROW + 8
    x = plot["x"] + 62 + 2.0 / CLIP.seconds * (plot["width"] - 74)
    page.mouse.click(x, first)  # anywhere on it: to its onset
    at_frame(page, 100)
    page.mouse.move(x, first)
    assert "film: sea" in page.locator("#timeline .readout").inner_text()
    page.click("#tab-recording")
    page.click("#markers-list button:has-text('go')")
    at_frame(page, 500)
    for marker in made:
        markers.remove_marker(station.store, marker.id)


def test_a_stretch_is_marked_out_with_shift(desk: Desk, station: Station) -> None:
    page = open_review(desk, "lou")
    plot = box(page, "#timeline .plot")

    def at(seconds: float) -> float:
        return float(plot["x"] + 62 + seconds / CLIP.seconds * (plot["width"] - 74))

    page.keyboard.down("Shift")
    page.mouse.move(at(5.8), plot["y"] + 60)
    page.mouse.down()
    page.mouse.move(at(6.0), plot["y"] + 60)
    page.mouse.move(at(6.3), plot["y"] + 60)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_selector("dialog[open]")
    press(page, "2")
    event = saved(station.store, "lou", 1)[-1]
    assert event.label == "positive" and event.machine is None
    assert abs(event.onset_frame - 580) <= 1 and abs(event.offset_frame - 630) <= 1
    score = np.fromfile(station.store.folder(RECORDING) / "frames.bin", dtype="<f4")
    found = reviews.get_analysis(station.store, RECORDING)
    assert found is not None
    columns, rows = found.review["frames_bin"]["columns"], found.review["frames_bin"]["rows"]
    curve = score.reshape(len(columns), rows)[columns.index("score")]
    stretch = slice(event.onset_frame, event.offset_frame + 1)
    assert event.apex_frame == event.onset_frame + int(np.nanargmax(curve[stretch]))
    settled(page)
