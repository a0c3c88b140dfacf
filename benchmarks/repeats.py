"""How many new pictures a frame are found in recordings that repeat some, and in others.

    python benchmarks/repeats.py [--seconds 6] [VIDEO ...]

A rendered clip of 100 frames/s and the first seconds of each video (best: none that repeats by
itself) are encoded again as they are, with each picture shown twice, one in five shown twice (25
in 30), and two and three times in turn (24 in 60). A row each: true, and found in each encoding.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from micromimic.media.decoding.repeats import RepeatWatch
from micromimic.media.video import open_source
from micromimic.synthesis.clips import plan_clip, render
from micromimic.synthesis.schedule import ClipConfig

Picture = NDArray[np.uint8]

PATTERNS = {"as it is": (1,), "twice": (2,), "25 in 30": (1, 1, 1, 1, 2), "24 in 60": (2, 3)}
ENCODINGS: dict[str, tuple[str, dict[str, str]]] = {
    "x264 crf 18": ("libx264", {"crf": "18"}),
    "x264 crf 23": ("libx264", {"crf": "23"}),
    "x264 crf 28": ("libx264", {"crf": "28"}),
    "crf 23, no B": ("libx264", {"crf": "23", "bf": "0"}),
    "crf 28, superfast": ("libx264", {"crf": "28", "preset": "superfast"}),
    "mpeg2, B": ("mpeg2video", {"b": "4M", "bf": "2", "g": "12"}),
}


def encode(path: Path, pictures: list[Picture], codec: str, options: dict[str, str]) -> None:
    """Write pictures, 50 a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=50, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = (side // 2 * 2 for side in pictures[0].shape)
        stream.pix_fmt = "yuv420p"
        for at, picture in enumerate(pictures):
            even = np.ascontiguousarray(picture[: stream.height, : stream.width])
            frame = av.VideoFrame.from_ndarray(even, format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = at, Fraction(1, 50)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def sources(videos: list[Path], seconds: float) -> Iterator[tuple[str, list[Picture]]]:
    """Names and pictures of what is encoded."""
    yield "rendered", list(render(plan_clip(ClipConfig(seconds=seconds, fps=100.0), 0)))
    for video in videos:
        with open_source(video) as source:
            count = round(seconds * (source.nominal_fps or 25.0))
            yield video.name, [frame.gray for frame in islice(source, count)]


def cost_ms(pictures: list[Picture]) -> float:
    """Of one frame, processor time."""
    watch, start = RepeatWatch(), time.process_time()
    for picture in pictures:
        watch.add(picture)
    return 1000 * (time.process_time() - start) / len(pictures)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    right = {name: [0, 0] for name in PATTERNS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        for name, filmed in sources(options.videos, options.seconds):
            print(f"{name}: {cost_ms(filmed):.3f} ms a frame", flush=True)
            for pattern, times in PATTERNS.items():
                shown = [p for k, p in enumerate(filmed) for _ in range(times[k % len(times)])]
                true, cells = len(filmed) / len(shown), []
                for encoding, (codec, settings) in ENCODINGS.items():
                    encode(path, shown, codec, settings)
                    with open_source(path) as source:
                        assert sum(1 for _ in source) == len(shown)
                        cells.append(f"{encoding} {source.picture_share:.3f}")
                        right[pattern][0] += abs(source.picture_share / true - 1) <= 0.05
                        right[pattern][1] += 1
                print(f"  {pattern} ({true:.3f}): " + "; ".join(cells), flush=True)
    print("within 5 %: " + ", ".join(f"{name} {a} of {b}" for name, (a, b) in right.items()))


if __name__ == "__main__":
    main()
