"""Damaged videos, models and tables: a result or one line, never a crash, a hang, a raw exception.

``MICROMIMIC_FUZZ_VIDEOS=5000 MICROMIMIC_FUZZ_MODELS=1000 MICROMIMIC_FUZZ_TABLES=1000 pytest
tests/test_reader_fuzz.py`` reads more of them than the few of every day; file n is the same on
every machine. Every demuxer that `media.decoding.decoder.FORMATS` admits has files of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import cv2
import numpy as np
import pytest

from micromimic.media.decoding.decoder import FORMATS
from micromimic.models.action_units import SHIPPED_UNITS
from micromimic.models.onnx import SHIPPED
from micromimic.synthesis.clips import ClipConfig, write_clip

from ..fake_databases import small_casme2, small_samm, small_smic
from ..mutations import HEADERS, mutated, mutated_text

VIDEOS, MODELS, TABLES = (
    int(os.environ.get(f"MICROMIMIC_FUZZ_{kind}", few))
    for kind, few in (("VIDEOS", "120"), ("MODELS", "30"), ("TABLES", "80"))
)
FOUND_VIDEOS = (1099, 1448, 3093, 3170, 4016)
FOUND_MODELS = (621, 928)
"""Runs that once ended otherwise than they should: read every day."""
PATIENCE_S = 120.0
"""A file of a second that is read for longer hangs."""
CHILD = Path(__file__).resolve().parents[1] / "reader_child.py"
CLIP = ClipConfig(
    seconds=2.0, fps=15.0, width=320, height=240, face_px=220.0, peak_px=2.0,
    events_per_minute=30.0, macros_per_minute=0.0, blinks_per_minute=0.0,
    head_moves_per_minute=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """How a file of one demuxer is made: FFmpeg's muxer, encoder, size, pixels."""

    muxer: str
    codec: str
    size: tuple[int, int] = (160, 120)
    pixels: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = ()


KINDS: dict[str, Kind] = {
    "mov": Kind("mov", "libx264"),
    "matroska": Kind("matroska", "libx264"),
    "webm": Kind("webm", "libvpx"),
    "avi": Kind("avi", "mpeg4"),
    "mpeg": Kind("mpeg", "mpeg2video"),
    "mpegts": Kind("mpegts", "libx264"),
    "mpegvideo": Kind("mpeg2video", "mpeg2video"),
    "asf": Kind("asf", "wmv2"),
    "flv": Kind("flv", "flv1"),
    "mxf": Kind("mxf", "mpeg2video"),
    "ogg": Kind("ogg", "libvpx"),
    "gif": Kind("gif", "gif", pixels="rgb8"),
    "apng": Kind("apng", "apng", pixels="rgb24"),
    "yuv4mpegpipe": Kind("yuv4mpegpipe", "wrapped_avframe"),
    "nut": Kind("nut", "mpeg4"),
    "wtv": Kind("wtv", "mpeg2video"),
    "rm": Kind("rm", "rv10", (176, 144)),
    "gxf": Kind("gxf", "mpeg2video", (720, 576)),
    "swf": Kind("swf", "flv1"),
    "h264": Kind("h264", "libx264"),
    "hevc": Kind("hevc", "libx265", (320, 240)),
    "obu": Kind("obu", "libsvtav1", (320, 240)),
    "ivf": Kind("ivf", "libvpx"),
    "m4v": Kind("m4v", "mpeg4"),
    "mjpeg": Kind("mjpeg", "mjpeg", pixels="yuvj420p"),
    "h261": Kind("h261", "h261", (352, 288)),
    "h263": Kind("h263", "h263", (176, 144)),
    "dv": Kind("dv", "dvvideo", (720, 576)),
    "dnxhd": Kind("dnxhd", "dnxhd", (1280, 720), "yuv422p", options=(("b", "60M"),)),
}


def video_of(kind: Kind, path: Path, frames: int = 12) -> bytes | None:
    """A moving picture in this format; None where this FFmpeg cannot write it."""
    width, height = kind.size
    y, x = np.mgrid[:height, :width]
    try:
        with av.open(str(path), "w", format=kind.muxer) as sink:
            stream = sink.add_stream(kind.codec, rate=Fraction(25), options=dict(kind.options))
            stream.width, stream.height, stream.pix_fmt = width, height, kind.pixels
            for n in range(frames):
                grey = (128 + 100 * np.sin((x + 3 * n) / 9) * np.cos((y - 2 * n) / 7)).astype("u1")
                picture = av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, 2), "rgb24")
                sink.mux(stream.encode(picture.reformat(format=kind.pixels)))
            sink.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError, NotImplementedError):
        return None
    return path.read_bytes()


def written_by_hand() -> dict[str, bytes]:
    """Formats that FFmpeg only reads: headers as their specifications give them."""
    rng = np.random.default_rng(3)
    width, height, count = 32, 24, 4
    pixels = [rng.integers(0, 255, width * height, dtype=np.uint8).tobytes() for _ in range(count)]
    ser = struct.pack("<14s7i", b"LUCAM-RECORDER", 0, 0, 0, width, height, 8, count)
    ser = ser.ljust(178, b"\0") + b"".join(pixels)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, width * height, 0, 0, 0, 0)
    at = 44 + len(bitmap)
    setup = (b"ST".rjust(142, b"\0") + struct.pack("<H", 5820)).ljust(5820, b"\0")
    offsets_at = at + len(setup)
    images_at = offsets_at + 8 * count
    size = width * height + 8
    cine = struct.pack(
        "<2sHHHiIiIIII8s", b"CI", 44, 0, 1, 0, count, 0, count, 44, at, offsets_at, b"\0" * 8
    )
    offsets = b"".join(struct.pack("<q", images_at + n * size) for n in range(count))
    images = b"".join(struct.pack("<II", 8, width * height) + data for data in pixels)
    flic = struct.pack("<IHHHHHHI", 0, 0xAF11, count, width, height, 8, 3, 5).ljust(128, b"\0")
    for data in pixels:
        chunk = struct.pack("<IH", 6 + len(data), 16) + data
        flic += struct.pack("<IHH8s", 16 + len(chunk), 0xF1FA, 1, b"\0" * 8) + chunk
    noise = rng.bytes(4000)
    return {
        "ser": ser,
        "cine": cine + bitmap + setup + offsets + images,
        "flic": flic,
        # no encoder writes these: their start codes, then noise
        "vc1": b"\0\0\x01\x0f\xc8\x41" + noise + b"\0\0\x01\x0d" + noise,
        "cavsvideo": b"\0\0\x01\xb0\x20\x20" + noise + b"\0\0\x01\xb3" + noise,
        "vvc": b"\0\0\0\x01\0\x79" + noise + b"\0\0\0\x01\0\x81" + noise,
        "dirac": b"BBCD\0\0\0\0\x10\0\0\0\0" + noise + b"BBCD\x88" + noise,
        "av1": b"\x0a\x0b\0\0\0" + noise,
    }


def pictures() -> dict[str, bytes]:
    """Single pictures and stacks."""
    rng = np.random.default_rng(4)
    frames = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    kinds = {"png_pipe": ".png", "jpeg_pipe": ".jpg", "bmp_pipe": ".bmp", "webp_pipe": ".webp"}
    made = {name: cv2.imencode(ending, frames[0])[1].tobytes() for name, ending in kinds.items()}
    made["tiff_pipe"] = cv2.imencodemulti(".tiff", frames)[1].tobytes()
    return made


def sounds(folder: Path) -> dict[str, bytes]:
    """Files that hold no picture."""
    made = {}
    codecs = {"wav": "pcm_s16le", "mp3": "libmp3lame", "flac": "flac", "aiff": "pcm_s16be"}
    for name, codec in {**codecs, "aac": "aac"}.items():
        path = folder / f"sound.{name}"
        with av.open(str(path), "w", format="adts" if name == "aac" else name) as sink:
            stream = sink.add_stream(codec, rate=44100)
            stream.layout = "mono"
            for n in range(4):
                wave = np.sin(np.arange(1024)[None] / 9 + n).astype(np.float32)
                sound = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
                sound.sample_rate, sound.pts = 44100, 1024 * n
                resampled = av.AudioResampler(stream.format or "s16", "mono", 44100).resample(sound)
                for piece in resampled:
                    sink.mux(stream.encode(piece))
            sink.mux(stream.encode(None))
        made[name] = path.read_bytes()
    return made


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A whole file for each demuxer on the list."""
    folder = tmp_path_factory.mktemp("originals")
    made = {name: video_of(kind, folder / f"v.{name}") for name, kind in KINDS.items()}
    written = {name: data for name, data in made.items() if data}
    assert {*made} - {*written} <= {"hevc", "obu"}, "every FFmpeg can write these"
    return written | written_by_hand() | pictures() | sounds(folder)


def test_every_demuxer_on_the_list_has_a_file(originals: dict[str, bytes]) -> None:
    built_apart = {"hevc", "obu"}  # their encoders are not part of every FFmpeg
    assert {*FORMATS} - {*originals} <= built_apart


@dataclass(frozen=True)
class Case:
    """One damaged file."""

    name: str
    kind: str
    file: str
    data: bytes


class Reader:
    """The child process, started anew after each crash or hang."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None

    def read(self, case: Case) -> dict[str, str]:
        """How a file was read; ``result`` may be crashed or hung, too."""
        path = self._folder / case.file
        path.write_bytes(case.data)
        child = self._started()
        assert child.stdin is not None and child.stdout is not None
        stop = threading.Timer(PATIENCE_S, child.kill)
        stop.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(json.dumps([case.kind, str(path)]) + "\n")
                child.stdin.flush()
            line = child.stdout.readline()
        finally:
            hung = not stop.is_alive()
            stop.cancel()
        if line:
            answer: dict[str, str] = json.loads(line)
            return answer
        code = child.wait()
        self.close()
        return {"result": "hung" if hung else "crashed", "message": f"exit status {code}"}

    def _started(self) -> subprocess.Popen[str]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()
            child.communicate()


def check(folder: Path, cases: Iterable[Case], keep: str) -> Counter[str]:
    """Read all; every fault is named, and its file kept where the campaign is a long one."""
    counts: Counter[str] = Counter()
    faults = []
    reader = Reader(folder)
    try:
        for case in cases:
            answer = reader.read(case)
            counts[answer["result"]] += 1
            if answer["result"] not in ("done", "refused"):
                faults.append(f"{case.name}: {answer['result']}: {answer['message']}")
                if place := os.environ.get("MICROMIMIC_FUZZ_KEEP"):
                    (Path(place) / f"{keep}-{case.name}-{case.file}").write_bytes(case.data)
    finally:
        reader.close()
    sys.stderr.write(f"{keep}: {dict(counts)}\n")
    assert not faults, f"{len(faults)} of {counts.total()}:\n" + "\n".join(faults[:40])
    return counts


def video_cases(originals: dict[str, bytes], face: bytes) -> Iterator[Case]:
    """All demuxers in turn; every tenth file is the face, analysed whole."""
    names = sorted(originals)
    for run in sorted({*range(VIDEOS), *FOUND_VIDEOS}):
        if run % 10 == 9:
            yield Case(f"face-{run}", "analyze", "face.mp4", mutated(face, run))
            continue
        name = names[run % len(names)]
        data = mutated(originals[name], run // len(names) + 97 * (run % len(names)), HEADERS)
        ending = {"tiff_pipe": ".tiff", "webp_pipe": ".webp"}.get(name, f".{name}")
        yield Case(f"{name}-{run}", "video", f"video{ending}", data)


def test_damaged_videos(tmp_path: Path, originals: dict[str, bytes]) -> None:
    write_clip(tmp_path / "clip.mp4", CLIP, 5, crf=16, preset="superfast")
    face = (tmp_path / "clip.mp4").read_bytes()
    counts = check(tmp_path, video_cases(originals, face), "video")
    assert counts["done"] and counts["refused"]


def test_damaged_models(tmp_path: Path) -> None:
    sources = (("model", SHIPPED.read_bytes()), ("units", SHIPPED_UNITS.read_bytes()))
    cases = (
        Case(f"{sources[run % 2][0]}-{run}", sources[run % 2][0], "model.onnx", mutated(
            sources[run % 2][1], run, HEADERS))
        for run in sorted({*range(MODELS), *FOUND_MODELS})
    )  # fmt: skip
    assert check(tmp_path, cases, "model")["refused"]


def table_originals(folder: Path) -> dict[str, bytes]:
    """Whole tables of each kind that is read, and the trees that go with them."""
    small_casme2(folder / "casme2")
    small_samm(folder / "samm")
    small_smic(folder / "smic")
    return {
        "casme2": next((folder / "casme2").glob("*.csv")).read_bytes(),
        "samm": next((folder / "samm").glob("*.csv")).read_bytes(),
        "manifest": b"dataset,subject,clip,label,kind,path,onset,apex,offset,fps\n"
        b"casme2,01,EP02_01f,positive,frames,a/b,46,59,86,200\n"
        b"samm,006,006_1_2,negative,video,c.mp4,,,,\n"
        b"smic,s01,s1_ne_01,surprise,flow_map,d.png,1,2,3,29.97\n",
        "predictions": b"dataset,subject,clip,fold,seed,y_true,y_pred,p_negative,p_positive,"
        b"p_surprise\ncasme2,01,a,0,0,positive,negative,0.6,0.3,0.1\n"
        b"smic,s01,b,1,0,surprise,surprise,0.1,0.1,0.8\n",
        "corrections": b"dataset,subject,clip,field,value,reason\n"
        b"casme2,04,EP12_01f,apex,91,the table has none\n",
        "events": b"dataset,subject,video,onset,apex,offset,kind,label\n"
        b"samm-long,006,006_1,46,59,86,micro,negative\n"
        b"samm-long,006,006_1,100,,400,macro,\n",
        "epochs": b"dataset,subject,clip,fold,seed,epoch,y_true,y_pred\n"
        b"casme2,01,a,0,0,1,positive,negative\n"
        b"casme2,01,a,0,0,2,positive,positive\n",
    }


def test_damaged_tables(tmp_path: Path) -> None:
    tables = table_originals(tmp_path)
    names = sorted(tables)
    cases = (
        Case(f"{(name := names[run % len(names)])}-{run}", "table", f"{name}-table.csv",
             mutated_text(tables[name], run))
        for run in range(TABLES)
    )  # fmt: skip
    counts = check(tmp_path, cases, "table")
    assert counts["done"] and counts["refused"]
