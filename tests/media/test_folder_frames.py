"""Pictures as a recording: numbers that are missing, bits in use, stacks and animations."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from micromimic.core.errors import InputError
from micromimic.media.frames import FrameSource
from micromimic.media.video import open_source
from micromimic.preparation.sources import read_picture

W, H = 64, 48


def pictures(count: int) -> list[np.ndarray]:
    """Moving smooth grey pictures, from 20 to 230."""
    rng = np.random.default_rng(0)
    base = cv2.GaussianBlur(rng.random((H + 2 * count, W)).astype(np.float32), (0, 0), 3)
    base = (base - base.min()) / np.ptp(base) * 210 + 20
    return [base[2 * i : 2 * i + H].astype(np.uint8) for i in range(count)]


def folder_of(folder: Path, images: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, image in images.items():
        assert cv2.imwrite(str(folder / name), image)
    return folder


def times(source: FrameSource) -> list[float]:
    return [round(frame.time, 6) for frame in source]


def test_missing_numbers_are_dropped_frames(tmp_path: Path) -> None:
    numbers = [*range(180, 201), *range(221, 241)]
    images = dict(zip((f"img{n}.png" for n in numbers), pictures(41), strict=True))
    with open_source(folder_of(tmp_path / "f", images), fps=100) as source:
        assert times(source) == [round((n - 180) / 100, 6) for n in numbers]
        assert [f.index for f in source] == list(range(41))
        assert [round(f.time, 6) for f in source.frames_at([20, 21])] == [0.2, 0.41]
        (notice,) = source.notices
    assert notice.code == "dropped_frames"
    assert "20 are missing in 1 gap, the first between img200.png and img221.png" in notice.message


@pytest.mark.parametrize(
    ("names", "places"),
    [
        ([f"a_{n}.png" for n in (5, 10, 15, 25)], [0, 1, 2, 4]),  # every fifth, and one is missing
        ([f"cam3_{n:04}_0.png" for n in (1, 2, 3, 4, 6)], [0, 1, 2, 3, 5]),
        ([f"{n}.png" for n in (1, 4, 9, 16)], [0, 1, 2, 3]),  # no sequence: order is all there is
        (["a.png", "b.png", "d.png"], [0, 1, 2]),
        (["a1.png", "a2.png", "a3.png", "b7.png"], [0, 1, 2, 3]),
        (
            [f"{n}.png" for n in (20260101120000123, 20260101120000124, 20260101120000999)],
            [0, 1, 2],
        ),
    ],
)
def test_numbers_count_where_they_are_consecutive_elsewhere(
    tmp_path: Path, names: list[str], places: list[int]
) -> None:
    images = dict(zip(names, pictures(len(names)), strict=True))
    with open_source(folder_of(tmp_path / "f", images), fps=10) as source:
        assert times(source) == [place / 10 for place in places]
        assert bool(source.notices) == (places != list(range(len(places))))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("colour", [False, True])
def test_a_folder_uses_the_bits_that_are_there(tmp_path: Path, bits: int, colour: bool) -> None:
    grays = pictures(6)
    deep = [gray.astype(np.uint16) << (bits - 8) for gray in grays]
    if colour:
        deep = [np.repeat(picture[..., None], 3, axis=2) for picture in deep]
    images = {f"{n}.png": picture for n, picture in enumerate(deep)}
    with open_source(folder_of(tmp_path / "f", images), fps=10) as source:
        for frame, want in zip(source, grays, strict=True):
            assert np.abs(frame.gray.astype(int) - want).max() <= 1
            assert np.abs(frame.rgb().astype(int) - want[..., None]).max() <= 1
        assert source.notices == ()
    gray, rgb = read_picture(tmp_path / "f" / "0.png")
    assert np.abs(gray.astype(int) - grays[0]).max() <= 1
    assert np.array_equal(rgb[..., 0], gray)


def test_light_that_changes_does_not_change_the_scale(tmp_path: Path) -> None:
    levels = [100, 100, 3000, 100, 4000, 100]  # of 12 bits
    images = {f"{n}.png": np.full((H, W), level, np.uint16) for n, level in enumerate(levels)}
    with open_source(folder_of(tmp_path / "f", images), fps=10) as source:
        assert [int(frame.gray[0, 0]) for frame in source] == [level >> 4 for level in levels]
        # One that no sample saw, brighter than all of them:
        cv2.imwrite(str(tmp_path / "f" / "1.png"), np.full((H, W), 9000, np.uint16))
        assert [int(frame.gray[0, 0]) for frame in source][:2] == [6, 255]
        (notice,) = source.notices
        assert notice.code == "clipped_light"
        assert "than the 12 bits" in notice.message
        assert "1 frame is brighter" in notice.message


def test_one_depth_a_folder(tmp_path: Path) -> None:
    first, second = pictures(2)
    mixed = folder_of(tmp_path / "f", {"0.png": first, "1.png": second.astype(np.uint16) << 8})
    with (
        open_source(mixed, fps=10) as source,
        pytest.raises(InputError, match=r"8 bits like 0.png, got 16 in .*1.png"),
    ):
        list(source)
    floats = folder_of(tmp_path / "g", {f"{n}.tif": np.ones((H, W), np.float32) for n in (1, 2)})
    with pytest.raises(InputError, match="8 or 16 bits, got float32"):
        open_source(floats, fps=10)


@pytest.mark.parametrize("pixel_format", ["gray16le", "gray16be", "rgb48le"])
def test_a_video_uses_the_bits_that_are_there(tmp_path: Path, pixel_format: str) -> None:
    # Dark at first, as recordings fade in: what the first frames need is not enough.
    grays = [gray // 16 if n < 20 else gray for n, gray in enumerate(pictures(60))]
    png = pixel_format == "gray16be"
    path = tmp_path / ("deep.mov" if png else "deep.mkv")
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png" if png else "ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, pixel_format
        for gray in grays:
            deep = gray.astype(np.uint16) << 4  # 12 bits, in 16
            if pixel_format == "rgb48le":
                deep = np.repeat(deep[..., None], 3, axis=2)
            name = pixel_format.replace("be", "le")
            picture = av.VideoFrame.from_ndarray(deep, format=name).reformat(format=pixel_format)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    with open_source(path) as source:
        frames = list(source)
        for frame, want in zip(frames, grays, strict=True):
            assert np.abs(frame.gray.astype(int) - want).max() <= 1
            assert np.abs(frame.rgb().astype(int) - want[..., None]).max() <= 1
        assert np.array_equal(next(source.frames_at([40])).gray, frames[40].gray)
        assert not [notice for notice in source.notices if notice.code == "clipped_light"]


def stack(path: Path, images: list[np.ndarray], **options: object) -> Path:
    first, *others = [Image.fromarray(image) for image in images]
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("kind", ["8", "12 in 16", "colour"])
def test_a_tiff_stack_is_a_recording(tmp_path: Path, kind: str) -> None:
    grays = pictures(8)
    images = {
        "8": grays,
        "12 in 16": [gray.astype(np.uint16) << 4 for gray in grays],
        "colour": [np.repeat(gray[..., None], 3, axis=2) for gray in grays],
    }[kind]
    path = stack(tmp_path / "s.tif", images, compression="tiff_lzw")
    with pytest.raises(InputError, match=r"frame rate of the 8 pictures in .*; say it with --fps"):
        open_source(path)
    with open_source(path, fps=200) as source:
        assert (source.width, source.height, source.expected_frames) == (W, H, 8)
        frames = list(source)
        assert [f.time for f in frames] == [n / 200 for n in range(8)]
        for frame, want in zip(frames, grays, strict=True):
            assert np.abs(frame.gray.astype(int) - want).max() <= 1
            assert np.abs(frame.rgb().astype(int) - want[..., None]).max() <= 1
        again = list(source.frames_at([2, 2, 7]))
        assert [f.index for f in again] == [2, 2, 7]
        assert np.array_equal(again[2].gray, frames[7].gray)
        with pytest.raises(IndexError, match="got 8"):
            list(source.frames_at([8]))


def test_an_animated_webp_is_a_recording_at_its_own_times(tmp_path: Path) -> None:
    grays = pictures(6)
    colour = [np.repeat(gray[..., None], 3, axis=2) for gray in grays]
    path = stack(tmp_path / "a.webp", colour, lossless=True, duration=[40, 20, 60, 10, 40, 40])
    with open_source(path) as source:
        assert times(source) == [0.0, 0.04, 0.06, 0.12, 0.13, 0.17]
        frames = list(source)
        for frame, want in zip(frames, grays, strict=True):
            assert np.abs(frame.gray.astype(int) - want).max() <= 1
        (later,) = source.frames_at([4])
        assert later.time == frames[4].time
        assert np.array_equal(later.rgb(), frames[4].rgb())
    with open_source(path, fps=100) as source:
        assert times(source) == [n / 100 for n in range(6)]


def test_single_and_uneven_files_of_pictures_are_told(tmp_path: Path) -> None:
    grays = pictures(3)
    for name in ("one.tif", "one.webp"):
        Image.fromarray(grays[0]).save(tmp_path / name)
        with pytest.raises(InputError, match="a single picture"):
            open_source(tmp_path / name, fps=100)
    uneven = stack(tmp_path / "u.tif", [grays[0], grays[1], grays[2][:20]])
    with (
        open_source(uneven, fps=100) as source,
        pytest.raises(InputError, match="64x48 of 8 bits like the first, got picture 3 of 64x20"),
    ):
        list(source)
    cut = stack(tmp_path / "c.tif", grays)
    cut.write_bytes(cut.read_bytes()[:-700])
    with pytest.raises(InputError, match=r"c.tif"), open_source(cut, fps=100) as source:
        list(source)
    several = folder_of(tmp_path / "f", {"1.tif": grays[0]})
    stack(several / "0.tif", grays)
    with pytest.raises(InputError, match=r"one picture a file, got 3 in .*0.tif; pass that file"):
        open_source(several, fps=100)


def test_a_rate_of_frames_is_a_cameras(tmp_path: Path) -> None:
    images = {f"{n}.png": picture for n, picture in enumerate(pictures(3))}
    folder = folder_of(tmp_path / "f", images)
    for fps in (1e9, 10_001.0, 1e-9, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"frame rate from 0.1 to 10000, got .*--fps"):
            open_source(folder, fps=fps)
    assert Fraction(open_source(folder, fps=10_000).nominal_fps or 0) == 10_000
