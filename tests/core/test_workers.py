"""Several processes on one machine: whose the cores are, and who answers Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
from joblib import cpu_count, delayed

from micromimic.core.workers import Workers, on_workers, own_threads, run_tasks
from micromimic.media.decoding.decoder import Decoder
from micromimic.media.video import VideoWriter


def seen_in_worker(clip: Path) -> tuple[int | None, int, bool]:
    """Threads that are this process's own, those of a decoder, and whether Ctrl-C is ignored."""
    with Decoder(clip) as decoder:
        next(decoder.pictures())
        threads = decoder.stream.codec_context.thread_count
    return own_threads(), threads, signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_workers_share_the_cores(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip, 25.0, 64, 64) as writer:
        for level in range(3):
            writer.write(np.full((64, 64), level, np.uint8))
    share = max(1, cpu_count() // 2)
    with on_workers(Workers(2)):
        seen = list(run_tasks(delayed(seen_in_worker)(clip) for _ in range(4)))
    assert seen == [(share, share, True)] * 4


def test_one_job_has_the_machine_to_itself() -> None:
    before = signal.getsignal(signal.SIGINT)
    with on_workers(Workers(1)):
        assert list(run_tasks([delayed(own_threads)()])) == [None]
    assert signal.getsignal(signal.SIGINT) is before
