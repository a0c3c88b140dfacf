"""A video file that appears when it is complete, or not at all."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from micromimic.core.errors import OutputError
from micromimic.core.files import begun


class WholeVideo:
    """Base of what encodes into a temporary file; leaving ``with`` moves it into place.

    Subclasses set the attributes; after an error nothing is left. ``path``: where the file will be;
    ``temporary``: where it is until then.
    """

    path: Path
    temporary: Path
    _container: Any
    _stream: Any
    _begun: ExitStack

    def _begin(self, path: Path, **options: Any) -> None:
        """Open the container in a file beside ``path``; a folder that refuses it says so now."""
        self.path = path
        with ExitStack() as stack:
            try:
                self.temporary = stack.enter_context(begun(path.parent, path.suffix or ".part"))
                self._container = av.open(f"file:{self.temporary}", "w", **options)
            except (OSError, ValueError) as error:
                raise self._failure(error) from None
            self._begun = stack.pop_all()

    def _mux(self, picture: av.VideoFrame | None) -> None:
        """Encode one picture; None flushes."""
        try:
            self._container.mux(self._stream.encode(picture))
        except (OSError, av.error.FFmpegError) as error:
            self.discard()
            raise self._failure(error) from None

    def close(self) -> None:
        """Finish the file and move it into place."""
        self._mux(None)
        try:
            self._container.close()
            self.temporary.replace(self.path)
            self._begun.close()
        except (OSError, av.error.FFmpegError) as error:
            self.discard()
            raise self._failure(error) from None

    def discard(self) -> None:
        """Leave nothing behind; may be called twice."""
        with contextlib.suppress(OSError, av.error.FFmpegError):
            self._container.close()
        self._begun.close()

    def _failure(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(
            f"expected to write {self.path}, got {reason}; choose a writable folder with room"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
