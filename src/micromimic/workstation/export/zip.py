"""A zip archive made piece by piece, while it is being sent: no copy of it lies anywhere."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final, cast

_CHUNK: Final = 1 << 20


def zip_pieces(entries: Iterable[tuple[str, str | bytes | Path]]) -> Iterator[bytes]:
    """The archive of files by name: text, bytes, or a file that is copied as it is.

    Files are read as the pieces are taken; where one goes meanwhile, the archive ends early.
    """
    sink = _Sink()
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            if isinstance(content, Path):
                with content.open("rb") as source, archive.open(name, "w", force_zip64=True) as to:
                    while piece := source.read(_CHUNK):
                        to.write(piece)
                        yield sink.take()
            else:
                archive.writestr(name, content, zipfile.ZIP_DEFLATED)
            yield sink.take()
    yield sink.take()


class _Sink:
    """A file without a place to go back to: what is written waits until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits elsewhere."""

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
