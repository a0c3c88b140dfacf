"""A video with sound, of one without."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 16_000


def with_click(video: Path, seconds: float, click_s: float) -> None:
    """Give a video a track of sound: silent but for a click of 10 ms."""
    silent = video.with_name(f"silent{video.suffix}")
    video.replace(silent)
    samples = np.zeros((1, round(seconds * RATE)), np.float32)
    samples[:, round(click_s * RATE) :][:, : RATE // 100] = 0.9
    with av.open(str(silent)) as source, av.open(str(video), "w") as out:
        pictures = out.add_stream_from_template(source.streams.video[0])
        sound: Any = out.add_stream("aac", rate=RATE, layout="mono")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    silent.unlink()
