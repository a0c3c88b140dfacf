"""A process that reads the files named on its standard input, a line of JSON each, and says how.

Run by `test_reader_fuzz`: a crash of the process, or its silence, is then a finding with a name.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from micromimic.core.errors import MicromimicError

MEMORY_MB = 2000
FRAMES = 400


def read_video(path: Path) -> str:
    """Every frame, then some of them again in colour."""
    from micromimic.media.video import open_source

    with open_source(path, fps=25.0 if path.suffix in (".tif", ".tiff") else None) as source:
        count, last = 0, -1.0
        for frame in source:
            assert frame.time > last, f"times do not rise: {frame.time} after {last}"
            assert frame.gray.shape == (source.height, source.width)
            last, count = frame.time, count + 1
            if count == FRAMES:
                break
        wanted = sorted({0, count // 2, count - 1})
        for frame in source.frames_at(wanted if count else []):
            assert frame.rgb().shape == (source.height, source.width, 3)
    return f"{count} frames"


def analyze_video(path: Path) -> str:
    """All of the analysis."""
    from micromimic import analyze

    return f"{len(analyze(path).events)} events"


def read_model(path: Path) -> str:
    """Open and answer."""
    from micromimic.models.onnx import load_model

    model = load_model(path)
    shapes = {"flow": (2, 3, 28, 28), "faces": (2, 3, 224, 224), "volume": (2, 12)}
    scores = model.probabilities(np.zeros(shapes[model.view], np.float32))
    return f"scores {np.shape(scores)}"


def read_units(path: Path) -> str:
    """The other kind of model file."""
    from micromimic.models.action_units import load_unit_model

    load_unit_model(path)
    return "opened"


def read_table(path: Path) -> str:
    """Whatever reads a table of this name."""
    from micromimic.datasets.corrections import read_corrections
    from micromimic.datasets.events import read_events
    from micromimic.datasets.manifest import read_manifest
    from micromimic.datasets.read import read_database
    from micromimic.evaluation.audit.epochs import read_epochs
    from micromimic.evaluation.predictions import Predictions

    readers: dict[str, Callable[[], object]] = {
        "manifest": lambda: read_manifest(path, check_files=False),
        "predictions": lambda: Predictions.read(path),
        "corrections": lambda: read_corrections(path),
        "events": lambda: read_events(path),
        "epochs": lambda: read_epochs(path),
        "casme2": lambda: read_database("casme2", path.parent / "casme2", path),
        "samm": lambda: read_database("samm", path.parent / "samm", path),
        "smic": lambda: read_database("smic", path.parent / "smic", path),
    }
    readers[path.stem.split("-")[0]]()
    return "read"


READERS: dict[str, Callable[[Path], str]] = {
    "video": read_video,
    "analyze": analyze_video,
    "model": read_model,
    "units": read_units,
    "table": read_table,
}


def outcome(kind: str, path: Path) -> dict[str, str]:
    """``result`` is done, refused (one line of ours) or raised (anything else)."""
    try:
        return {"result": "done", "message": READERS[kind](path)}
    except MicromimicError as error:
        text = str(error)
        one_line = "\n" not in text and (text.startswith("expected ") or ", got" in text)
        return {"result": "refused" if one_line else "raised", "message": str(error)}
    except Exception:  # noqa: BLE001 - the finding itself
        return {"result": "raised", "message": traceback.format_exc()}


def main() -> None:
    """Answer each line until there are no more."""
    # Nothing that a library prints, in C or in Python, is taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        import resource
    except ImportError:  # not on Windows
        pass
    else:
        from micromimic import analyze  # noqa: F401 - what is mapped now is not counted

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MEMORY_MB * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for line in sys.stdin:
        kind, path = json.loads(line)
        answers.write(json.dumps(outcome(kind, Path(path))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
