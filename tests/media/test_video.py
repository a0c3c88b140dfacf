"""Reading and writing frames: every container, format and kind of damage we promise to bear."""

from __future__ import annotations

import errno
import struct
import threading
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from micromimic.core.errors import InputError, OutputError
from micromimic.media import writer as writer_module
from micromimic.media.clock import Clock
from micromimic.media.decoding.decoder import Decoder
from micromimic.media.recording import Prefetch
from micromimic.media.video import VideoSource, VideoWriter, open_source

W, H = 64, 48


def pictures(count: int, width: int = W, height: int = H, seed: int = 0) -> list[np.ndarray]:
    """Smooth moving grey pictures, each different."""
    rng = np.random.default_rng(seed)
    base = cv2.GaussianBlur(rng.random((height + 2 * count, width)).astype(np.float32), (0, 0), 3)
    base = (base - base.min()) / np.ptp(base) * 255
    return [base[2 * i : 2 * i + height].astype(np.uint8) for i in range(count)]


def encode(
    path: Path,
    grays: list[np.ndarray],
    pts: list[int] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    base: Fraction = Fraction(1, 1000),
) -> Path:
    """Encode with chosen timestamps, the independent way: straight through PyAV."""
    pts = pts or [i * 40 for i in range(len(grays))]
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = grays[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = base
        for gray, at in zip(grays, pts, strict=True):
            rgb = np.repeat(gray[..., None], 3, axis=2) if gray.ndim == 2 else gray
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = at, base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def rotate_mp4(path: Path, degrees_clockwise: int) -> None:
    """Set the display matrix of a track as phones do (ISO 14496-12, 8.3.2)."""
    one = 1 << 16
    a, b = {0: (one, 0), 90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees_clockwise]
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def our_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("micromimic")]


def test_writer_is_lossless_for_grey_and_keeps_time(tmp_path: Path) -> None:
    frames = pictures(30)
    with VideoWriter(tmp_path / "a.mp4", 29.97, W, H) as writer:
        for frame in frames:
            writer.write(frame)
    with open_source(tmp_path / "a.mp4") as source:
        read = list(source)
        assert (source.width, source.height, source.expected_frames) == (W, H, 30)
        assert source.nominal_fps == pytest.approx(29.97, abs=1e-3)
        assert source.damage == ()
    assert [f.index for f in read] == list(range(30))
    assert all(np.array_equal(f.gray, g) for f, g in zip(read, frames, strict=True))
    assert np.allclose([f.time for f in read], np.arange(30) / 29.97, atol=1e-4)
    assert all(f.gray.strides[1] == 1 and f.gray.dtype == np.uint8 for f in read)
    assert not any(f.gray.flags.writeable for f in read)  # others are predicted from it
    assert np.abs(read[3].rgb().astype(int) - frames[3][..., None]).max() <= 1


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (65, 49)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = pictures(4, *size)
    with VideoWriter(tmp_path / "a.mkv", 25, *size) as writer:
        for frame in frames:
            writer.write(frame)
    with open_source(tmp_path / "a.mkv") as source:
        assert (source.width, source.height) == size
        assert all(np.array_equal(f.gray, g) for f, g in zip(source, frames, strict=True))


def test_writer_keeps_colour(tmp_path: Path) -> None:
    colour = np.zeros((H, W, 3), np.uint8)
    colour[: H // 2, : W // 2] = 200, 30, 40
    colour[H // 2 :, W // 2 :] = 20, 60, 220
    with VideoWriter(tmp_path / "c.mp4", 25, W, H) as writer:
        for _ in range(3):
            writer.write(colour)
    with open_source(tmp_path / "c.mp4") as source:
        frame = next(iter(source))
    inner = (slice(2, H // 2 - 2), slice(2, W // 2 - 2))
    assert np.abs(frame.rgb()[inner].astype(int) - (200, 30, 40)).max() <= 3
    luma = 0.299 * colour[..., 0] + 0.587 * colour[..., 1] + 0.114 * colour[..., 2]
    assert np.abs(frame.gray - luma).max() <= 2


def test_keyframe_at_least_each_second(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 10, W, H) as writer:
        for frame in pictures(35):
            writer.write(frame)
    with av.open(str(tmp_path / "a.mp4")) as container:
        keys = [i for i, f in enumerate(container.decode(video=0)) if f.key_frame]
    assert max(np.diff([*keys, 35])) <= 10


def test_writer_leaves_nothing_after_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="stop"),
        VideoWriter(tmp_path / "a.mp4", 25, W, H) as writer,
    ):
        writer.write(pictures(1)[0])
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_writer_on_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer_module.Path, "replace", full)
    with (
        pytest.raises(OutputError, match=r"No space left.*room"),
        VideoWriter(tmp_path / "a.mp4", 25, W, H) as writer,
    ):
        writer.write(pictures(1)[0])
    assert list(tmp_path.iterdir()) == []


def test_writer_says_what_it_expected(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"expected to write .*; choose a writable folder"):
        VideoWriter(tmp_path / "missing" / "a.mp4", 25, W, H)
    with (
        pytest.raises(ValueError, match=r"frame must be \(48, 64\)"),
        VideoWriter(tmp_path / "a.mp4", 25, W, H) as writer,
    ):
        writer.write(np.zeros((H, W + 1), np.uint8))


def test_variable_rate_and_late_start(tmp_path: Path) -> None:
    pts = [700, 733, 900, 910, 1500, 1501]
    path = encode(tmp_path / "vfr.mkv", pictures(6), pts, options={"bf": "2"})
    with open_source(path) as source:
        times = [f.time for f in source]
        assert source.damage == ()
    assert np.allclose(times, (np.array(pts) - 700) / 1000, atol=1e-9)


def test_stated_rate_overrides_the_file(tmp_path: Path) -> None:
    path = encode(tmp_path / "slow.mp4", pictures(5))
    with open_source(path, fps=200) as source:
        assert source.nominal_fps == 200
        assert [f.time for f in source] == [i / 200 for i in range(5)]
        assert [f.time for f in source.frames_at([2, 4])] == [2 / 200, 4 / 200]


def test_clock_repairs_only_what_is_broken() -> None:
    clock = Clock(Fraction(1, 1000), step=0.04)
    times = [clock.seconds(p) for p in (0, 40, 40, 120, 90, 160)]
    assert times[:2] == [0.0, 0.04]
    assert times[3] == 0.12
    assert times[5] == 0.16
    assert all(np.diff(times) > 0)
    assert clock.repaired == 2
    restart = Clock(Fraction(1, 1000), step=0.04)
    assert np.allclose([restart.seconds(p) for p in (9000, 9040, 0, 40)], [0, 0.04, 0.08, 0.12])
    nothing = Clock(Fraction(1, 1000), step=0.04)
    times = [nothing.seconds(None) for _ in range(50)]
    assert all(np.diff(times) > 0)
    assert times[-1] == pytest.approx(49 * 0.04, abs=0.03)


def test_stream_without_timestamps(tmp_path: Path) -> None:
    path = encode(tmp_path / "raw.h264", pictures(20), options={"bf": "0"})
    with open_source(path) as source:
        times = [f.time for f in source]
        again = [f.gray for f in source.frames_at([3, 15])]
        every = [f.gray for f in source]
    assert len(times) == 20
    assert times[0] == 0
    assert all(np.diff(times) > 0)
    assert all(np.array_equal(a, every[i]) for a, i in zip(again, (3, 15), strict=True))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    colour = [np.repeat(g[..., None], 3, axis=2) for g in pictures(3)]
    for picture in colour:
        picture[:10, :10] = 255, 0, 0
    with VideoWriter(tmp_path / "r.mp4", 25, W, H) as writer:
        for picture in colour:
            writer.write(picture)
    with open_source(tmp_path / "r.mp4") as source:
        plain = list(source)
    rotate_mp4(tmp_path / "r.mp4", degrees)
    with open_source(tmp_path / "r.mp4") as source:
        turned = list(source)
        size = source.width, source.height
        later = next(source.frames_at([2]))
    assert size == ((H, W) if degrees in (90, 270) else (W, H))
    for before, after in zip(plain, turned, strict=True):
        assert np.array_equal(np.rot90(before.gray, -degrees // 90), after.gray)
        assert np.array_equal(np.rot90(before.rgb(), -degrees // 90), after.rgb())
        assert after.gray.strides[1] == 1
    assert np.array_equal(later.gray, turned[2].gray)


FULL = ("ffv1", "gray"), ("ffv1", "gray16le"), ("ffv1", "gray10le"), ("ffv1", "bgra")
FULL = (*FULL, ("png", "rgb24"), ("png", "gray16be"), ("png", "rgba"), ("libx264rgb", "bgr24"))
LIMITED = ("libx264", "yuv420p"), ("ffv1", "yuv420p10le"), ("ffv1", "yuva420p")
LIMITED = (*LIMITED, ("ffv1", "yuv444p16le"), ("ffv1", "yuv411p"))


@pytest.mark.parametrize(("codec", "pixel_format"), [*FULL, *LIMITED])
def test_every_pixel_format_gives_the_same_grey(
    tmp_path: Path, codec: str, pixel_format: str
) -> None:
    frames = pictures(3)
    path = tmp_path / ("f.mov" if codec == "png" else "f.mkv")
    options = {"qp": "0"} if codec.startswith("libx264") else {}
    encode(path, frames, codec=codec, pixel_format=pixel_format, options=options)
    scale, base = (219 / 255, 16) if (codec, pixel_format) in LIMITED else (1, 0)
    with open_source(path) as source:
        for frame, want in zip(source, frames, strict=True):
            assert np.abs(frame.gray - (want.astype(float) * scale + base)).max() <= 2
            assert np.abs(frame.rgb().astype(int) - want[..., None]).max() <= 3


def test_gif_with_its_palette_and_delays(tmp_path: Path) -> None:
    frames = [np.full((H, W), v, np.uint8) for v in (10, 120, 240)]
    path = encode(tmp_path / "p.gif", frames, [0, 10, 50], "gif", "rgb8", base=Fraction(1, 100))
    with open_source(path) as source:
        read = list(source)
    assert np.allclose([f.time for f in read], [0, 0.1, 0.5])
    for frame, value in zip(read, (10, 120, 240), strict=True):
        assert abs(int(frame.gray[H // 2, W // 2]) - value) <= 32  # rgb8 has 4-8 steps a channel


def test_seeking_equals_reading_in_order(tmp_path: Path) -> None:
    frames = pictures(120)
    path = encode(tmp_path / "b.mp4", frames, options={"bf": "3", "g": "20", "crf": "20"})
    with open_source(path) as source:
        read = list(source)
        wanted = [0, 3, 3, 41, 42, 80, 99, 119]
        found = list(source.frames_at(wanted))
    assert [f.index for f in found] == wanted
    for frame in found:
        assert np.array_equal(frame.gray, read[frame.index].gray)
        assert frame.time == read[frame.index].time


def test_frames_at_without_a_first_pass(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", pictures(30))
    with open_source(path) as source:
        found = list(source.frames_at([4, 29]))
        read = list(source)
        assert all(np.array_equal(f.gray, read[f.index].gray) for f in found)
        with pytest.raises(ValueError, match="ascend"):
            source.frames_at([5, 4])
        with pytest.raises(IndexError, match="got 30"):
            list(source.frames_at([3, 30]))


@pytest.mark.parametrize("name", ["WolfgangLanger_Pexels.mp4", "face_noface.mov"])
def test_real_videos_seek_as_they_read(shared_videos: Path, name: str) -> None:
    with av.open(str(shared_videos / name)) as container:
        reference = [
            (f.time, int(np.asarray(f.to_ndarray(format="gray"), int).sum()))
            for f in container.decode(video=0)
        ]
    with open_source(shared_videos / name) as source:
        read = [(f.time, f.gray.sum(dtype=int), f.gray.shape) for f in source]
        wanted = [2, len(read) // 3, len(read) // 3 + 1, len(read) - 20, len(read) - 1]
        found = list(source.frames_at(wanted))
        assert source.damage == ()
        assert {shape for _, _, shape in read} == {(source.height, source.width)}
    start = reference[0][0]
    assert np.allclose([t for t, _, _ in read], [t - start for t, _ in reference], atol=1e-6)
    assert [f.gray.sum(dtype=int) for f in found] == [read[i][1] for i in wanted]
    steps = np.diff([t for t, _, _ in read])
    assert (np.ptp(steps) > 0.01) == (name == "face_noface.mov")


def test_truncated_mp4_gives_what_decodes(tmp_path: Path) -> None:
    noise = [np.random.default_rng(i).integers(0, 255, (H, W), np.uint8) for i in range(60)]
    path = encode(tmp_path / "t.mp4", noise, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with open_source(path) as source:
        count = sum(1 for _ in source)
        assert 20 < count < 60
        assert len(source.damage) >= 1
        assert any("ends early" in line and "60" in line for line in source.damage)


def test_truncated_mkv_gives_what_decodes(tmp_path: Path) -> None:
    noise = [np.random.default_rng(i).integers(0, 255, (H, W), np.uint8) for i in range(100)]
    path = encode(tmp_path / "t.mkv", noise)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with open_source(path) as source:
        assert 20 < sum(1 for _ in source) < 100
        assert any("ends early" in line for line in source.damage)


def test_damaged_middle_is_told(tmp_path: Path) -> None:
    noise = [np.random.default_rng(i).integers(0, 255, (H, W), np.uint8) for i in range(40)]
    path = encode(tmp_path / "d.mp4", noise)
    data = bytearray(path.read_bytes())
    for third in (1, 2):
        place = len(data) * third // 3
        data[place : place + 900] = np.random.default_rng(third).bytes(900)
    path.write_bytes(data)
    with open_source(path) as source:
        assert sum(1 for _ in source) >= 34
        assert any("damaged" in line or "decoded" in line for line in source.damage)


def _make_bad(kind: str, folder: Path) -> Path:
    path = folder / "bad.mp4"
    if kind == "missing":
        return path
    if kind == "empty folder":
        return folder
    if kind == "text":
        path.write_text("hello\n" * 500)
    elif kind == "text named txt":
        path = folder / "notes.txt"
        path.write_text("hello\n" * 500)
    elif kind == "zero bytes":
        path.touch()
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", "y" * 5000)
    elif kind == "picture":
        path = folder / "one.png"
        cv2.imwrite(str(path), np.zeros((20, 20), np.uint8))
        return path
    elif kind == "one frame":
        return encode(path, pictures(1))
    elif kind == "sound":
        with av.open(str(folder / "s.wav"), "w") as out:
            stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 8000), np.int16), format="s16", layout="mono"
            )
            frame.sample_rate = 8000
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return folder / "s.wav"
    elif kind == "no index":
        encode(path, pictures(20))
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"moov") - 4])
    return path


BAD = {
    "missing": "does not exist; check the path",
    "empty folder": "at least two frames .* got none",
    "text": "expected a video, got .*",
    "text named txt": "expected a video, got .*",
    "zero bytes": "0 bytes; record or copy it again",
    "zip": "expected a video, got .* cannot be opened as one",
    "picture": "at least two frames .* single picture",
    "one frame": "at least two frames .* single picture",
    "sound": "without a video stream .*; pass a video file",
    "no index": "expected a video, got .* incomplete or damaged",
}


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_input_is_one_line(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=BAD[kind]) as caught:
        open_source(_make_bad(kind, tmp_path))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("expected ")
    assert "; " in message
    assert capfd.readouterr().err == ""


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.mp4", pictures(3))

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="got Permission denied; check its permissions"):
        open_source(path)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_rate_must_be_positive(tmp_path: Path, fps: float) -> None:
    with pytest.raises(InputError, match="frame rate from"):
        open_source(tmp_path, fps=fps)


def test_name_with_a_colon(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", pictures(3)).rename(tmp_path / "http:x é%03d.mp4")
    with open_source(path) as source:
        assert sum(1 for _ in source) == 3


@pytest.mark.parametrize(("kind", "size"), [("yuv420p", 1.5), ("yuv444p10le", 7), ("bgr0", 5)])
def test_frames_that_wait_take_no_more_than_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: float
) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, kind
        for _ in range(60):
            out.mux(stream.encode(av.VideoFrame(64, 48, kind)))
        out.mux(stream.encode(None))
    monkeypatch.setattr("micromimic.media.recording.READ_AHEAD_BYTES", round(20 * 64 * 48 * size))
    with VideoSource(tmp_path / "a.mkv") as source:
        frames = iter(source)
        next(frames)
        [waiting] = source._reading
        assert waiting.items.most == 20 // 4  # handfuls


def test_frames_are_counted_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg loses other pictures of a damaged file with another number of threads."""
    opened: list[int | None] = []

    class Spy(Decoder):
        def __init__(self, path: Path, threads: int | None = None, track: int | None = None):
            opened.append(threads)
            super().__init__(path, threads, track)

    monkeypatch.setattr("micromimic.media.video.Decoder", Spy)
    path = encode(tmp_path / "a.mp4", pictures(40))
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[10]
    content = bytearray(path.read_bytes())
    assert packet.pos is not None
    content[packet.pos + 4 : packet.pos + packet.size] = bytes([0x61]).ljust(packet.size - 4, b"x")
    path.write_bytes(content)
    with VideoSource(path, threads=3) as source:
        times = [frame.time for frame in source]
        assert source.index is None
        first = opened[-1]
        assert [frame.time for frame in source.frames_at(range(len(times)))] == times
    assert opened[-1] == first == 3


def test_a_decoder_has_no_more_threads_than_are_of_use(tmp_path: Path) -> None:
    """Each holds pictures: 64 of them would be as much memory as all else."""
    with VideoWriter(tmp_path / "a.mp4", 25.0, 64, 48) as writer:
        for picture in pictures(3, 64, 48):
            writer.write(picture)
    with Decoder(tmp_path / "a.mp4", 64) as decoder:
        assert decoder.stream.codec_context.thread_count == 16


@pytest.mark.parametrize("how", ["break", "error", "close source", "generator", "exhaust"])
def test_no_thread_is_left(tmp_path: Path, how: str) -> None:
    path = encode(tmp_path / "a.mp4", pictures(100))
    with open_source(path, read_ahead=2) as source:
        if how == "error":
            with pytest.raises(ZeroDivisionError):
                for frame in source:
                    _ = 1 // frame.index
        elif how == "close source":
            frames = iter(source)
            next(frames)
            assert our_threads()
            source.close()
        elif how == "generator":
            frames = iter(source)
            next(frames)
            frames.close()  # type: ignore[attr-defined]
        else:
            for frame in source:
                if how == "break" and frame.index == 3:
                    break
    assert our_threads() == []
    with pytest.raises(ValueError, match="after close"):
        next(iter(source))


def test_prefetch_stays_bounded_and_passes_errors_on() -> None:
    made: list[int] = []

    def produce(count: int) -> object:
        for i in range(count):
            made.append(i)
            yield i
        raise InputError("expected more, got the end; go on")

    with Prefetch(lambda: produce(1000), ahead=4) as items:
        assert next(items) == 0
        assert len(made) <= 7  # one taken, four waiting, one in hand, one in the making
    with (
        pytest.raises(InputError, match="got the end"),
        Prefetch(lambda: produce(2), ahead=4) as items,
    ):
        list(items)
    assert our_threads() == []


def write_pictures(folder: Path, names: list[str], colour: bool = False) -> list[np.ndarray]:
    folder.mkdir(exist_ok=True)
    frames = pictures(len(names))
    for name, frame in zip(names, frames, strict=True):
        picture = cv2.merge([frame, frame // 2, 255 - frame]) if colour else frame
        ok, data = cv2.imencode(Path(name).suffix, picture)
        assert ok
        (folder / name).write_bytes(data.tobytes())
    return frames


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".JPG"])
@pytest.mark.parametrize("colour", [False, True])
def test_folder_in_natural_order(tmp_path: Path, ending: str, colour: bool) -> None:
    names = [f"bild é{i}{ending}" for i in (1, 2, 9, 10, 100)]
    frames = write_pictures(tmp_path / "frames", names, colour)
    (tmp_path / "frames" / f".hidden{ending}").write_bytes(b"x")
    (tmp_path / "frames" / "Thumbs.db").write_bytes(b"x")
    tolerance = 6 if ending == ".JPG" else 1
    with open_source(tmp_path / "frames", fps=100) as source:
        read = list(source)
        later = list(source.frames_at([1, 4]))
        assert (source.width, source.height, source.expected_frames) == (W, H, 5)
        assert source.nominal_fps == 100
    assert [f.time for f in read] == [i / 100 for i in range(5)]
    for frame, want in zip(read, frames, strict=True):
        blue, green, red = (want, want // 2, 255 - want) if colour else (want, want, want)
        luma = 0.114 * blue + 0.587 * green + 0.299 * red
        assert np.abs(frame.gray - luma).max() <= tolerance
        if ending != ".JPG":
            assert np.array_equal(frame.rgb(), np.stack([red, green, blue], -1))
    assert np.array_equal(later[1].gray, read[4].gray)


def test_folder_of_16_bits(tmp_path: Path) -> None:
    for i, frame in enumerate(pictures(3)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), frame.astype(np.uint16) * 257)
    with open_source(tmp_path, fps=10) as source:
        for frame, want in zip(source, pictures(3), strict=True):
            assert np.abs(frame.gray.astype(int) - want).max() <= 1


def test_bad_folders(tmp_path: Path) -> None:
    write_pictures(tmp_path / "one", ["a.png"])
    with pytest.raises(InputError, match=r"at least two frames .* got only a\.png"):
        open_source(tmp_path / "one", fps=25)

    write_pictures(tmp_path / "two", ["a1.png", "a2.png", "a3.png"])
    with pytest.raises(InputError, match="--fps"):
        open_source(tmp_path / "two")

    cv2.imwrite(str(tmp_path / "two" / "a2.png"), np.zeros((H, W + 2), np.uint8))
    with (
        open_source(tmp_path / "two", fps=25) as source,
        pytest.raises(InputError, match=r"64x48 like a1\.png, got 66x48 in .*a2\.png"),
    ):
        list(source)

    (tmp_path / "two" / "a2.png").write_bytes(b"not a picture")
    with (
        open_source(tmp_path / "two", fps=25) as source,
        pytest.raises(InputError, match=r"a2\.png, which cannot be read"),
    ):
        list(source)
    assert our_threads() == []
