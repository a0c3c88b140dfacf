"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

from micromimic.errors import OutputError


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file completely or leave what was there; text as UTF-8, missing folders are made.

    Args:
        path: the file.
        content: all of it.

    Raises:
        OutputError: if it cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # nothing was written where even this fails
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"expected to write {path}, got: {error.strerror}; choose another --out"
        ) from error
