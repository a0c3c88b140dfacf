"""Which pictures of a recording are looked at, and how: track, orientation, shape, rate, lines."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from micromimic.cli.main import main
from micromimic.core.errors import InputError
from micromimic.media.decoding.decoder import choose_track
from micromimic.media.live.open import open_live
from micromimic.media.video import open_source
from micromimic.media.writer import ProxyWriter

W, H = 64, 48
ONE = 1 << 16

Picture = NDArray[np.uint8]

# Display matrix (a, b, c, d) of ISO 14496-12: (x, y) is shown at (a x + c y, b x + d y). EXIF's
# number for the same orientation, and the picture's way from stored to shown.
ORIENTATIONS = {
    1: ((1, 0, 0, 1), lambda p: p),
    2: ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    3: ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    4: ((1, 0, 0, -1), lambda p: p[::-1]),
    5: ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
    6: ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    7: ((0, -1, -1, 0), lambda p: np.rot90(p.swapaxes(0, 1), 2)),
    8: ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
}


def quarters(width: int = W, height: int = H) -> Picture:
    """Four quarters of different grey: no two orientations of it are alike."""
    picture = np.empty((height, width), np.uint8)
    middle, half = height // 2, width // 2
    picture[:middle, :half], picture[:middle, half:] = 220, 160
    picture[middle:, :half], picture[middle:, half:] = 100, 40
    return picture


def corners(picture: Picture) -> list[int]:
    """Grey of the four quarters, as read from left to right and from top to bottom."""
    height, width = picture.shape[:2]
    grey = picture if picture.ndim == 2 else picture[..., 1]
    return [int(grey[y * height // 4, x * width // 4]) for y in (1, 3) for x in (1, 3)]


def is_like(picture: Picture, expected: Picture) -> bool:
    """Of one size, and alike but for the codec."""
    return picture.shape[:2] == expected.shape and np.allclose(
        corners(picture),
        corners(expected),
        atol=16,  # video's black is 16, its white 235
    )


def write(
    path: Path,
    tracks: Sequence[tuple[Picture, int]],
    *,
    rate: int = 25,
    codec: str = "libx264",
    shape: Fraction | None = None,
    default: Sequence[int] = (),
    metadata: dict[str, str] | None = None,
    sound: bool = False,
) -> Path:
    """A video of still pictures: for each track one, and how many frames of it."""
    mp4 = path.suffix in (".mp4", ".mov")
    options = {"movflags": "use_metadata_tags"} if mp4 else {}
    with av.open(str(path), "w", options=options) as out:
        out.metadata.update(metadata or {})
        streams = []
        for number, (picture, _) in enumerate(tracks):
            stream = out.add_stream(codec, rate=rate)
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if shape is not None:
                stream.codec_context.sample_aspect_ratio = shape
            if number in default:
                stream.disposition = av.stream.Disposition.default
            streams.append(stream)
        speech = out.add_stream("aac", rate=16000, layout="mono") if sound else None
        for index in range(max(count for _, count in tracks)):
            for stream, (picture, count) in zip(streams, tracks, strict=True):
                if index < count:
                    frame = av.VideoFrame.from_ndarray(picture, format="gray")
                    frame = frame.reformat(format=stream.pix_fmt)
                    frame.pts, frame.time_base = index, Fraction(1, rate)
                    out.mux(stream.encode(frame))
        if speech is not None:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            silence.sample_rate, silence.pts = 16000, 0
            out.mux(speech.encode(silence))
            out.mux(speech.encode(None))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write the display matrix of an MP4 file's only track (ISO 14496-12, 8.3.2)."""
    a, b, c, d = (value * ONE for value in matrix)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def codes(path: Path, **options: int | float | None) -> list[str]:
    with open_source(path, **options) as source:  # type: ignore[arg-type]
        assert len(list(source)) > 1
        return [notice.code for notice in source.notices]


# ------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("exif", ORIENTATIONS)
def test_every_display_matrix(tmp_path: Path, exif: int) -> None:
    matrix, shown = ORIENTATIONS[exif]
    path = write(tmp_path / "v.mp4", [(quarters(), 3)])
    set_matrix(path, matrix)
    expected = shown(quarters())
    with open_source(path) as source:
        assert (source.width, source.height) == expected.shape[::-1]
        frames = [*source, *source.frames_at([1])]
        assert all(is_like(frame.gray, expected) for frame in frames)
        assert all(is_like(frame.rgb(), expected) for frame in frames)
        assert all(frame.gray.strides[1] == 1 for frame in frames)


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_orientation_of_pictures(tmp_path: Path, kind: str, mode: str) -> None:
    for exif, (_, shown) in ORIENTATIONS.items():
        folder = tmp_path / str(exif)
        folder.mkdir()
        tags = Image.Exif()
        tags[0x0112] = exif
        for number in (1, 2):
            picture = Image.fromarray(quarters()).convert(mode)
            picture.save(folder / f"img{number}.{kind}", kind, exif=tags)
        expected = shown(quarters())
        with open_source(folder, fps=100) as source:
            assert (source.width, source.height) == expected.shape[::-1], exif
            for frame in (*source, *source.frames_at([1])):
                assert is_like(frame.gray, expected), exif
                assert is_like(frame.rgb(), expected), exif


def cine(pictures: Sequence[NDArray[np.unsignedinteger]]) -> bytes:
    """A high-speed camera's file, whose rows lie from bottom to top as in a bitmap."""
    height, width = pictures[0].shape
    count, bits = len(pictures), 8 * pictures[0].itemsize
    size = pictures[0].nbytes
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, size, 0, 0, 0, 0)
    setup = (b"ST".rjust(142, b"\0") + struct.pack("<H", 5820)).ljust(5820, b"\0")
    offsets_at = 44 + len(bitmap) + len(setup)
    head = (b"CI", 44, 0, 1, 0, count, 0, count, 44, 44 + len(bitmap), offsets_at, b"\0" * 8)
    offsets = [offsets_at + 8 * count + n * (size + 8) for n in range(count)]
    images = b"".join(struct.pack("<II", 8, size) + picture[::-1].tobytes() for picture in pictures)
    return (
        struct.pack("<2sHHHiIiIIII8s", *head)
        + bitmap
        + setup
        + struct.pack(f"<{count}q", *offsets)
        + images
    )


@pytest.mark.parametrize(("kind", "factor"), [("u1", 1), ("<u2", 16), ("<u2", 257)])
def test_rows_from_bottom_to_top(tmp_path: Path, kind: str, factor: int) -> None:
    path = tmp_path / "v.cine"
    path.write_bytes(cine([(quarters().astype("u2") * factor).astype(kind)] * 4))
    with open_source(path) as source:
        for frame in (*source, *source.frames_at([2])):
            assert np.allclose(frame.gray, quarters(), atol=1)
            assert is_like(frame.rgb(), quarters())


# ------------------------------------------------------------------------- shape of the pixels


@pytest.mark.parametrize(
    ("stored", "shape", "size"),
    [
        ((32, 48), Fraction(2), (64, 48)),
        ((64, 24), Fraction(1, 2), (64, 48)),
        ((72, 48), Fraction(8, 9), (72, 54)),
        ((64, 48), Fraction(1280, 1279), (64, 48)),
        ((64, 48), Fraction(1), (64, 48)),
    ],
)
def test_pixels_become_square(
    tmp_path: Path, stored: tuple[int, int], shape: Fraction, size: tuple[int, int]
) -> None:
    path = write(tmp_path / "v.mp4", [(quarters(*stored), 3)], shape=shape)
    expected = quarters(*size)
    with open_source(path) as source:
        assert (source.width, source.height) == size
        for frame in (*source, *source.frames_at([1])):
            assert is_like(frame.gray, expected)
            assert is_like(frame.rgb(), expected)
        assert source.notices == ()


def test_a_circle_is_round_in_what_browsers_play(tmp_path: Path) -> None:
    squeezed = cv2.ellipse(
        np.zeros((480, 320), np.uint8), (160, 240), (80, 160), 0, 0, 360, 255, -1
    )
    path = write(tmp_path / "v.mp4", [(squeezed, 3)], shape=Fraction(2))
    proxied = tmp_path / "proxy.mp4"
    with open_source(path) as source, ProxyWriter(proxied, source.width, source.height) as writer:
        for frame in source:
            writer.write(frame.rgb(), frame.time)
    with av.open(str(proxied)) as proxy:
        grey = next(proxy.decode(video=0)).to_ndarray(format="gray")
        assert (proxy.streams.video[0].sample_aspect_ratio or 1) == 1
    assert grey.shape == (480, 640)
    across, down = ((grey > 128).any(axis=axis).sum() for axis in (0, 1))
    assert across == pytest.approx(321, abs=3)
    assert down == pytest.approx(321, abs=3)


def test_pixels_are_stretched_before_they_are_turned(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", [(quarters(32, 48), 3)], shape=Fraction(2))
    set_matrix(path, ORIENTATIONS[6][0])
    with open_source(path) as source:
        assert (source.width, source.height) == (48, 64)
        assert is_like(next(iter(source)).gray, ORIENTATIONS[6][1](quarters(64, 48)))


def test_an_impossible_shape_is_said_and_not_used(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", [(quarters(), 3)], shape=Fraction(20))
    with open_source(path) as source:
        assert (source.width, source.height) == (W, H)
    assert codes(path) == ["pixel_shape"]


# ----------------------------------------------------------------------------------- which track

SMALL, LARGE = quarters(), quarters(2 * W, 2 * H)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
def test_a_larger_track_of_few_frames_is_not_chosen(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"v.{ending}", [(LARGE, 6), (SMALL, 20)], default=(0, 1))
    with open_source(path) as source:
        assert (source.width, source.height) == (W, H)
        assert len(list(source)) == 20
        (notice,) = source.notices
    assert notice.code == "several_tracks"
    assert (
        "has 2 video tracks (number 1 of 128 x 96 pixels, 2 of 64 x 48 pixels): number 2"
        in notice.message
    )
    with open_source(path, track=1) as source:
        assert (source.width, source.height) == (2 * W, 2 * H)
        assert len(list(source)) == 6
        assert [frame.gray.shape for frame in source.frames_at([4])] == [(2 * H, 2 * W)]
        assert source.notices == ()
    with pytest.raises(InputError, match="track from 1 to 2 in .*, got 3; pass one of them"):
        open_source(path, track=3)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_the_default_track_goes_first(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"v.{ending}", [(LARGE, 20), (SMALL, 6)], default=(1,))
    with open_source(path) as source:
        assert (source.width, source.height) == (W, H)
    assert codes(path) == ["several_tracks"]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_single_picture_is_no_choice(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"v.{ending}", [(LARGE, 1), (SMALL, 20)], default=(0,))
    with open_source(path) as source:
        assert (source.width, source.height) == (W, H)
    assert codes(path) == []
    with pytest.raises(InputError, match="got a single picture"):
        open_source(path, track=1)


def test_covers_and_thumbnails_are_no_tracks(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as out:
        cover, video = out.add_stream("mjpeg", rate=25), out.add_stream("libx264", rate=25)
        cover.disposition = av.stream.Disposition.attached_pic
        for stream, picture in ((cover, LARGE), (video, SMALL)):
            stream.height, stream.width = picture.shape
            stream.pix_fmt = "yuvj420p" if stream is cover else "yuv420p"
        for stream, picture, count in ((cover, LARGE, 1), (video, SMALL, 3)):
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(picture, "gray").reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = index, Fraction(1, 25)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    assert codes(path) == []
    with open_source(path, track=1) as source:
        assert (source.width, source.height) == (W, H)


def test_equal_tracks_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", [(SMALL, 5), (SMALL, 5)], default=())
    with av.open(str(path)) as container:
        number, notice = choose_track(container, path, None, lambda: av.open(str(path)))
    assert (number, notice is None) == (1, False)


def test_only_files_have_tracks(tmp_path: Path) -> None:
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), SMALL)
    with pytest.raises(InputError, match="choose track 2 of, got pictures at"):
        open_source(tmp_path, fps=100, track=2)
    with pytest.raises(InputError, match="choose track 2 of, got another source"):
        open_live("0", track=2)


def test_live_plays_the_track_that_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", [(LARGE, 6), (SMALL, 20)], default=(1,))
    for track, width in ((None, W), (1, 2 * W)):
        live = open_live(str(path), track=track)
        arrival = live.next(5.0)
        assert arrival is not None
        assert arrival.frame.gray.shape[1] == width
        live.close()


# ---------------------------------------------------------------------------------- capture rate


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("com.android.capture.fps", "240.000000"),
        ("com.lge.capture.fps", "240"),
        ("CaptureFrameRate", "240 fps"),
    ],
)
def test_times_are_those_of_the_camera(tmp_path: Path, key: str, value: str) -> None:
    path = write(tmp_path / "v.mp4", [(SMALL, 9)], rate=30, metadata={key: value})
    with open_source(path) as source:
        times = [frame.time for frame in source]
        assert source.nominal_fps == 240
        assert source.expected_frames == 9
        assert [frame.time for frame in source.frames_at([6])] == [pytest.approx(6 / 240)]
        (notice,) = source.notices
    assert np.allclose(times, np.arange(9) / 240)
    assert notice.code == "capture_rate"
    assert "plays 30 frames/s and states 240 as captured" in notice.message
    assert "--fps" in notice.message


def test_the_user_knows_better(tmp_path: Path) -> None:
    metadata = {"com.android.capture.fps": "240"}
    path = write(tmp_path / "v.mp4", [(SMALL, 5)], rate=30, metadata=metadata)
    with open_source(path, fps=120) as source:
        assert np.allclose([frame.time for frame in source], np.arange(5) / 120)
        assert source.notices == ()


@pytest.mark.parametrize(
    ("stated", "sound", "used"),
    [
        ("30", False, False),  # as it is played
        ("25.1", False, False),
        ("60", True, False),  # the camera slowed down in the dark
        ("60", False, True),
        ("240", True, True),
        ("0", False, False),  # nonsense
        ("-240", False, False),
        ("nan", False, False),
        ("1e9", False, False),
        ("99999999", False, False),
    ],
)
def test_which_capture_rates_are_used(tmp_path: Path, stated: str, sound: bool, used: bool) -> None:
    metadata = {"com.android.capture.fps": stated}
    path = write(tmp_path / "v.mkv", [(SMALL, 5)], rate=30, metadata=metadata, sound=sound)
    assert (codes(path) == ["capture_rate"]) is used
    with open_source(path) as source:
        assert source.nominal_fps == pytest.approx(float(stated) if used else 30)


@pytest.mark.parametrize(
    ("text", "fps"),
    [('captureFps="119.88p" formatFps="29.97p"', 119.88), ('captureFps="59.94i"', None)],
)
def test_the_description_that_sony_writes(tmp_path: Path, text: str, fps: float | None) -> None:
    path = write(tmp_path / "v.mp4", [(SMALL, 5)], rate=30)
    xml = f"<NonRealTimeMeta><VideoFormat><VideoFrame {text}/></VideoFormat></NonRealTimeMeta>"
    inner = b"\0\0\0\0" + struct.pack(">I4sI", 12 + len(xml), b"xml ", 0) + xml.encode()
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", 8 + len(inner), b"meta") + inner)
        file.write(struct.pack(">I4sQ", 1, b"free", 1 << 62))  # a size that no file has
    assert codes(path) == (["capture_rate"] if fps else [])
    with open_source(path) as source:
        assert source.nominal_fps == pytest.approx(fps or 30)


# ------------------------------------------------------------------------------------ interlaced


def test_interlaced_frames_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "v.mpg"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        stream.codec_context.flags |= (
            av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        )
        graph = av.filter.Graph()
        source = graph.add_buffer(template=stream, time_base=Fraction(1, 25))
        graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink"))
        graph.configure()
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(SMALL, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            graph.vpush(frame)
            out.mux(stream.encode(graph.vpull()))
        out.mux(stream.encode(None))
    with open_source(path) as video:
        assert len(list(video)) == 6
        (notice,) = video.notices
    assert notice.code == "interlaced"
    assert "has 6 interlaced frames" in notice.message
    assert "bwdif" in notice.message


# ------------------------------------------------------------------------------- to the results


@pytest.fixture(scope="module")
def photograph() -> Picture:
    """A face in the public domain."""
    return np.ascontiguousarray(astronaut()[:300, 60:400, 1])


def test_warnings_stand_in_the_results(tmp_path: Path, photograph: Picture) -> None:
    grass = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
    path = write(
        tmp_path / "v.mp4",
        [(grass, 8), (photograph, 24)],
        default=(0, 1),
        metadata={"com.android.capture.fps": "200"},
    )
    found = {}
    for name, arguments in {"file": [], "track": ["--track", "2"], "fps": ["--fps", "100"]}.items():
        out = tmp_path / name
        assert main(["analyze", str(path), "--out", str(out), *arguments]) == 0
        events = json.loads((out / "v" / "events.json").read_text())
        warnings = [warning["code"] for warning in events["warnings"]]
        chosen = [code for code in warnings if code in ("several_tracks", "capture_rate")]
        found[name] = events["source"]["fps"], events["source"]["width"], chosen
    assert found == {
        "file": (200.0, 340, ["several_tracks", "capture_rate"]),
        "track": (200.0, 340, ["capture_rate"]),
        "fps": (100.0, 340, ["several_tracks"]),
    }


def test_live_says_what_it_chose(
    tmp_path: Path, photograph: Picture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path / "v.mp4",
        [(SMALL, 5), (photograph, 10)],
        default=(0, 1),
        metadata={"com.android.capture.fps": "200"},
    )
    assert main(["live", str(path)]) == 0
    said = capfd.readouterr().err
    assert "number 2 is analysed" in said
    assert "states 200 as captured" in said
    assert main(["live", str(path), "--quiet"]) == 0
    assert capfd.readouterr().err == ""
    assert main(["live", str(path), "--track", "1"]) == 1
    assert "expected a face" in capfd.readouterr().err


@pytest.mark.parametrize("bits", [24, 8])
def test_pictures_stored_from_below(tmp_path: Path, bits: int) -> None:
    """Uncompressed AVI: FFmpeg hands such pictures out with lines that run backwards."""
    path = tmp_path / "raw.avi"
    first = np.tile((np.arange(48, dtype=np.uint8) * 5)[:, None], (1, 64))
    path.write_bytes(bottom_up_avi([first, 255 - first], bits))
    with open_source(path) as source:
        frames = list(source)
    assert [np.abs(frame.gray.astype(int) - want).max() for frame, want in zip(
        frames, (first, 255 - first), strict=True)] == [0, 0]  # fmt: skip
    assert np.array_equal(frames[0].rgb(), np.repeat(first[..., None], 3, 2))


def bottom_up_avi(pictures: list[np.ndarray], bits: int) -> bytes:
    """Device-independent bitmaps in an AVI, as Video for Windows defines it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    height, width = pictures[0].shape
    size, count = width * height * bits // 8, len(pictures)
    greys = b"".join(bytes([i, i, i, 0]) for i in range(256)) if bits == 8 else b""
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, size, 0, 0, 0, 0) + greys
    stream = struct.pack(
        "<4s4sIHHIIIIIIIIhhhh",
        *(b"vids", b"DIB ", 0, 0, 0, 0, 1, 25, 0, count, size, 0, 0, 0, 0, width, height),
    )
    head = struct.pack("<14I", 40000, 0, 0, 16, count, 0, 1, size, width, height, 0, 0, 0, 0)
    rows = [np.repeat(p[..., None], bits // 8, 2)[::-1].tobytes() for p in pictures]
    strl = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bitmap))
    hdrl = chunk(b"LIST", b"hdrl" + chunk(b"avih", head) + strl)
    movi = chunk(b"LIST", b"movi" + b"".join(chunk(b"00db", row) for row in rows))
    return chunk(b"RIFF", b"AVI " + hdrl + movi)
