"""Live sources: files at their own speed, cameras that are unplugged, pushed frames.

Cameras are played by a class that behaves as OpenCV's does: no camera was ever on the machine that
these ran on. Pictures carry their number, so that a frame taken for another is seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from micromimic.core.errors import InputError, SourceLostError
from micromimic.core.mailbox import Mailbox
from micromimic.media.live.camera import CameraOptions, CameraSource, open_camera
from micromimic.media.live.open import open_live
from micromimic.media.live.push import PushSource
from micromimic.media.live.source import Arrival, FileSource
from micromimic.media.video import open_source

from ..live_servers import (
    HANG_S,
    HEIGHT,
    WIDTH,
    check_order,
    numbered,
    numbers,
    take,
    take_all,
    take_until_lost,
)

pytestmark = pytest.mark.usefixtures("no_thread_left")


# ---- a file at its own speed ----------------------------------------------------------------


def test_a_file_plays_at_its_own_speed(uneven: Path) -> None:
    with open_source(uneven) as source:
        wanted = [frame.time for frame in source]
    with FileSource(uneven) as live:
        assert live.finite
        got = take_all(live)
    check_order(got)
    assert numbers(got) == list(range(30))
    assert [a.frame.time for a in got] == wanted
    played = np.array([a.arrived for a in got]) - got[0].arrived
    assert (played >= np.array(wanted) - 1e-6).all()  # never before its time
    # Nor slower: where the machine was late for a frame, those after it keep their distance.
    assert np.median(np.diff(played) - np.diff(wanted)) == pytest.approx(0.0, abs=1e-6)


def test_a_file_is_not_read_faster_than_it_plays(uneven: Path) -> None:
    with FileSource(uneven) as live:
        first = take(live, 1)[0]
        while (second := live.next(0.0)) is None:
            pass
        assert first.arrived + 0.02 - 1e-6 <= second.arrived <= time.monotonic()


def test_one_thread_decodes_a_file_and_waits_until_frames_are_due(uneven: Path) -> None:
    before = set(threading.enumerate())
    with FileSource(uneven) as live:
        take(live, 3)
        assert len(set(threading.enumerate()) - before) <= 1


def test_frames_of_a_slow_reader_are_late_and_not_lost(uneven: Path) -> None:
    class Slow(FileSource):
        def _open(self, device: ExitStack) -> Iterator[Arrival]:
            for arrival in super()._open(device):
                time.sleep(0.04)  # twice as slow as the uneven plays
                yield Arrival(arrival.frame, time.monotonic())

    with Slow(uneven) as live:
        got = take_all(live)
    assert numbers(got) == list(range(30))
    late = np.array([a.arrived - a.frame.time for a in got]) - got[0].arrived
    assert late[14] > 0.2  # 15 frames, 0.02 s late each


def test_a_reader_does_not_wait_for_its_consumer(uneven: Path) -> None:
    with FileSource(uneven) as live:
        take(live, 1)
        assert live._reading is not None
        waiting = live._reading.items
        ends = time.monotonic() + HANG_S
        while (
            len(waiting) < 29
            or (oldest := waiting.oldest()) is None
            or (time.monotonic() <= oldest.arrived)
        ):
            assert time.monotonic() < ends, "it does not read on"
        asked = time.monotonic()
        got = take_all(live)
    assert numbers(got) == list(range(1, 30))
    # The first was there when it was due: that nobody asked for it shows as the consumer's delay.
    assert got[0].arrived < asked


def test_an_uneven_reader_catches_up(uneven: Path) -> None:
    with FileSource(uneven) as live:
        assert take_all(live)[-1].frame.time == pytest.approx(29 * 0.02 + 0.2)
        with pytest.raises(EOFError):
            live.next(0.0)
        assert live.reopen() is False


def test_a_folder_plays_with_a_rate(tmp_path: Path) -> None:
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered(number))
    with open_live(tmp_path, fps=100) as live:  # type: ignore[attr-defined]
        got = take_all(live)
    assert numbers(got) == list(range(6))
    assert [a.frame.time for a in got] == pytest.approx([n / 100 for n in range(6)])
    with pytest.raises(InputError, match="--fps"):
        open_live(tmp_path)


def test_a_broken_picture_in_a_folder_is_told(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered(number))
    (tmp_path / "2.png").write_bytes(b"no picture")
    with FileSource(tmp_path, fps=200) as live, pytest.raises(InputError, match=r"2\.png"):
        take(live, 4)


# ---- closing --------------------------------------------------------------------------------


def test_closing_wakes_a_waiting_reader() -> None:
    source = PushSource()
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(EOFError):
            source.next(HANG_S)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    source.close()
    assert ended.wait(HANG_S / 2)
    thread.join()
    source.close()


def test_closing_in_the_middle_leaves_nothing(uneven: Path) -> None:
    live = FileSource(uneven)
    take(live, 3)
    live.close()
    live.close()
    with pytest.raises(EOFError):
        live.next(0.1)
    FileSource(uneven).close()  # never asked for a frame


def test_a_queue_gives_what_came_before_its_failure() -> None:
    source = PushSource(length=4)
    source.put(numbered(1))
    source.put(numbered(2))
    source.end()
    assert source.put(numbered(3)) is False
    assert numbers(take_all(source)) == [1, 2]


def test_a_full_queue_makes_the_maker_wait() -> None:
    queue = Mailbox[Arrival](2)
    source = PushSource()
    for number in range(3):
        source.put(numbered(number))
    items = take(source, 3)
    assert queue.offer(items[0]) and queue.offer(items[1]) and not queue.offer(items[2])
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(queue.offer(items[2], wait=True)))
    thread.start()
    assert queue.take(1.0) is items[0]
    thread.join(HANG_S)
    assert done == [True]
    queue.close()
    assert not queue.offer(items[0], wait=True)


# ---- cameras --------------------------------------------------------------------------------


class PlayedCapture:
    """Plays numbered colour pictures as ``cv2.VideoCapture`` does, then is unplugged."""

    def __init__(self, frames: int, start: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)):
        self.left, self.number, self.size = frames, start, size
        self.asked: dict[int, float] = {}
        self.released = 0
        self.read_by: set[int] = set()

    def isOpened(self) -> bool:  # noqa: N802
        return self.left > 0

    def set(self, key: int, value: float) -> bool:
        self.asked[key] = value
        return False  # this camera has one mode

    def get(self, key: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        assert not self.released
        self.read_by.add(threading.get_ident())
        time.sleep(0.002)
        if self.left == 0:
            return False, None
        self.left -= 1
        self.number += 1
        gray = cv2.resize(numbered(self.number - 1), self.size)
        return True, np.stack([gray, gray, gray // 2], axis=2)

    def release(self) -> None:
        self.released += 1


def cameras(*captures: PlayedCapture) -> Callable[[int | str], PlayedCapture]:
    """A factory that gives these, one after the other."""
    rest = list(captures)
    return lambda device: rest.pop(0)


def test_a_camera_is_asked_for_its_highest_rate() -> None:
    capture = PlayedCapture(20)
    with CameraSource(0, open_capture=cameras(capture)) as camera:
        got = take(camera, 10)
        assert camera.name == "camera 0" and not camera.finite
    check_order(got)
    assert numbers(got) == list(range(10))
    assert capture.asked[cv2.CAP_PROP_FPS] >= 500
    assert capture.asked[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert capture.released == 1
    # Times are arrivals.
    played = [a.arrived - got[0].arrived for a in got]
    assert [a.frame.time for a in got] == pytest.approx(played, abs=1e-9)


def test_a_camera_is_asked_for_what_the_caller_wants() -> None:
    capture = PlayedCapture(5)
    options = CameraOptions(1280, 720, 60)
    with CameraSource("/dev/video7", options, open_capture=cameras(capture)) as camera:
        assert camera.name == "/dev/video7"
    keys = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
    assert [capture.asked[key] for key in keys] == [1280, 720, 60]
    assert capture.released == 1


def test_a_cameras_colours_are_in_order() -> None:
    with CameraSource(0, open_capture=cameras(PlayedCapture(2))) as camera:
        frame = take(camera, 1)[0].frame
    rgb = frame.rgb()
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2] // 2)  # OpenCV gives blue first


def test_an_unplugged_camera_is_lost_and_comes_back() -> None:
    shut, other = PlayedCapture(0), PlayedCapture(8, start=100, size=(2 * WIDTH, 2 * HEIGHT))
    first = PlayedCapture(5)
    camera = CameraSource(0, open_capture=cameras(first, shut, other))
    with camera:
        got = take_until_lost(camera)
        assert numbers(got) == list(range(5))
        with pytest.raises(SourceLostError, match="camera 0"):
            camera.next(0.0)
        assert camera.reopen() is False
        with pytest.raises(SourceLostError):
            camera.next(0.0)
        assert camera.reopen() is True
        got += take(camera, 8)
    check_order(got)
    assert numbers(got[5:]) == list(range(100, 108))  # scaled to the size of before
    played = [a.arrived - got[0].arrived for a in got]  # times go on, with the gap
    assert [a.frame.time for a in got] == pytest.approx(played, abs=1e-9)
    assert [c.released for c in (first, shut, other)] == [1, 1, 1]


def test_a_camera_is_read_and_released_by_one_thread() -> None:
    capture = PlayedCapture(1000)
    camera = CameraSource(0, open_capture=cameras(capture))
    take(camera, 3)
    camera.close()
    assert capture.released == 1 and len(capture.read_by) == 1


def test_a_driver_that_raises_is_told_and_released() -> None:
    class Broken(PlayedCapture):
        def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
            raise cv2.error("ioctl failed")

    capture = Broken(1)
    camera = CameraSource(0, open_capture=cameras(capture))
    with camera, pytest.raises(SourceLostError, match="ioctl failed"):
        take(camera, 1)
    assert capture.released == 1


def test_a_camera_that_does_not_open_is_told() -> None:
    capture = PlayedCapture(0)
    with pytest.raises(InputError, match="not in use by another program"):
        CameraSource(3, open_capture=cameras(capture))
    assert capture.released == 1


def test_no_such_camera(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="camera at /dev/video97, got"):
        open_live("97")
    with pytest.raises(InputError, match="camera at /dev/video98, got"):
        open_live("/dev/video98")
    with pytest.raises(InputError, match="camera at /dev/video97"):
        open_camera(97)
    assert capfd.readouterr() == ("", "")  # OpenCV kept quiet


# ---- what is watched ------------------------------------------------------------------------


def test_a_source_passes_as_it_is() -> None:
    source = PushSource()
    assert open_live(source) is source
    assert isinstance(open_live(None), PushSource)


@pytest.mark.parametrize("bad", [1.5, True, b"0", [0]])
def test_what_is_no_source_is_told(bad: Any) -> None:
    with pytest.raises(InputError, match="pass 0 for the first camera"):
        open_live(bad)


@pytest.mark.parametrize("scheme", ["udp", "rtmp", "file", "concat"])
def test_other_addresses_are_refused(scheme: str) -> None:
    with pytest.raises(InputError, match=f"got {scheme}://"):
        open_live(f"{scheme}://127.0.0.1/x")


def test_missing_and_empty_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for name, said in (("none.mp4", "does not exist"), ("empty.mp4", "0 bytes")):
        with pytest.raises(InputError, match=said):
            open_live(str(tmp_path / name))
