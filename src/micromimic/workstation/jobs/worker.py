"""The process that opens what somebody sent: one video in, one folder out, and then it ends.

    python -m micromimic.workstation.jobs.worker

The first line on stdin is a `Task` as JSON; stdin then stays open as long as the server lives. On
stdout come lines of JSON: ``{"missing": [...]}`` once, ``{"frames", "pixels"}`` (of a frame) where
the file states them, ``{"stage", "done", "total"}`` now and then, and at the end ``{"finished":
true}`` or ``{"error": "one line", "refused"}``, true where the video itself is at fault. Results
lie in the task's folder.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from micromimic.core.errors import InputError, MicromimicError, NoFaceError, OutputError
from micromimic.workstation.jobs.confinement import LimitError, Limits, confine, end_with_server

MODULE: Final = "micromimic.workstation.jobs.worker"
LONGEST_ERROR: Final = 500
"""Characters of an error's line."""
_REPORT_EVERY_S: Final = 0.2
_LONGEST_TASK: Final = 1 << 16

Send = Callable[[dict[str, object]], None]


@dataclass(frozen=True)
class Task:
    """What a worker is to do: results of ``video`` go to ``folder``, which is there and empty.

    ``name`` is what people call the video, ``parent`` the process id of the server, ``fps`` stands
    against the file's own timing, ``person`` is who of several is analysed, ``model`` is an ONNX
    file in place of the shipped one. With a ``stretch`` (onset, apex, offset) only that is looked
    at, by the analysis in ``results``.

    >>> task = Task("a.mp4", "out", "a", 1)
    >>> Task.from_line(task.to_line()) == task
    True
    """

    video: str
    folder: str
    name: str
    parent: int
    fps: float | None = None
    person: int | None = None
    max_seconds: float | None = None
    limits: Limits = field(default_factory=Limits)
    model: str | None = None
    results: str = ""
    stretch: tuple[int, ...] = ()

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Task:
        values = json.loads(line)
        fixed = {"limits": Limits(**values["limits"]), "stretch": tuple(values["stretch"])}
        return cls(**{**values, **fixed})


def main() -> int:
    """Do the task on stdin; the exit status is 0 when there is a result or an error's line."""
    os.umask(0o077)  # what it writes shows a face
    send = message_sender()
    task = Task.from_line(_first_line())
    end_with_server(task.parent)
    try:
        run = _prepare(task, send)
        send({"missing": confine(task.limits)})
        run()
    except BaseException as error:  # noqa: BLE001 - whatever a file does, the server gets a line
        if not isinstance(error, MicromimicError):
            traceback.print_exc()
        send({"error": error_line(error, task), "refused": is_refused(error)})
    else:
        send({"finished": True})
    return 0


def _prepare(task: Task, send: Send) -> Callable[[], None]:
    """Load everything that the work needs, while there are no limits yet."""
    import cv2  # noqa: PLC0415 - the pipe to the server is watched first

    from micromimic.analysis.analyze import AnalyzeConfig, load_late  # noqa: PLC0415 - as above
    from micromimic.face.landmarks import DlibLandmarks  # noqa: PLC0415 - as above
    from micromimic.report import page, tables  # noqa: F401, PLC0415 - else loaded when it writes
    from micromimic.workstation.jobs.artifacts import write_recording  # noqa: PLC0415 - as above
    from micromimic.workstation.jobs.evidence import write_evidence  # noqa: PLC0415 - as above

    cv2.setNumThreads(1)
    config = AnalyzeConfig(model=None if task.model is None else Path(task.model))
    load_late(config.model)
    video, folder = Path(task.video), Path(task.folder)
    how: dict[str, Any] = {"fps": task.fps, "config": config, "decoder_threads": 1}
    if task.stretch:
        return lambda: write_evidence(video, Path(task.results), folder, task.stretch, **how)
    last_sent = ("", 0.0)

    def progress(done: int, total: int | None, stage: str) -> None:
        nonlocal last_sent
        now = time.monotonic()
        if stage != last_sent[0] or now - last_sent[1] >= _REPORT_EVERY_S:
            last_sent = (stage, now)
            send({"stage": stage, "done": done, "total": total})

    return partial(
        write_recording,
        video,
        folder,
        name=task.name,
        person=task.person,
        max_seconds=task.max_seconds,
        progress=progress,
        on_stated=lambda frames, pixels: send({"frames": frames, "pixels": pixels}),
        backend=DlibLandmarks(),
        **how,
    )


def _first_line() -> bytes:
    """Read unbuffered, so that nothing after the line is swallowed."""
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        line = pipe.readline(_LONGEST_TASK)
    if not line.endswith(b"\n"):
        raise SystemExit("expected a task in one line on stdin, got none; start it by a server")
    return line


def message_sender() -> Send:
    """Keep stdout for messages: what a library prints goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)

    def send(message: dict[str, object]) -> None:
        os.write(out, json.dumps(message).encode() + b"\n")

    return send


def error_line(error: BaseException, task: Task) -> str:
    """One line for people, without the places of this machine.

    >>> from micromimic.core.errors import InputError
    >>> task = Task("/data/recordings/1f/video.mp4", "/data/w", "talk.mp4", 1)
    >>> error_line(InputError("expected a video, got /data/recordings/1f/video.mp4; check"), task)
    'expected a video, got talk.mp4; check'
    """
    if _is_out_of_memory(error):
        text = (
            f"expected a video that {task.limits.memory_mb} MB of memory are enough for, got a "
            "larger one; scale it down or cut it into parts"
        )
    elif isinstance(error, OutputError):
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else None
        got = (cause.strerror if cause else None) or str(error).split(", got", 1)[-1].split(";")[0]
        text = f"expected to write the results, got {got.strip(' :')}; make room on the server"
    elif isinstance(error, MicromimicError):
        text = str(error)
    else:
        text = f"expected a video that can be analysed, got {type(error).__name__}: {error}"
    text = text.replace(task.video, task.name).replace(task.folder, "the server")
    return " ".join(text.split())[:LONGEST_ERROR]


def is_refused(error: BaseException) -> bool:
    """Whether the video itself is at fault, so that it would fail again."""
    if isinstance(error, LimitError) or isinstance(error.__context__, OSError):
        return False
    return isinstance(error, InputError | NoFaceError)


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether a library could not have the memory that it asked for, each in its own words."""
    if isinstance(error, MicromimicError):
        return False
    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN):
        return True  # no room for another thread's stack is told as "try again"
    words = ("Insufficient memory", "bad_alloc", "allocate memory", "start new thread")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


if __name__ == "__main__":
    sys.exit(main())
