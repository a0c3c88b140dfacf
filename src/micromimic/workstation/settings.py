"""What a workstation is told when it starts: checked once, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from micromimic.workstation.access import Access, check_range

GB: Final = 10**9
"""As disks and pages count."""


@dataclass(frozen=True)
class Settings(Access):
    """How one workstation runs.

    ``data`` holds videos, pictures, and the database unless ``url`` names another; videos are
    removed after ``retention_days`` where their upload names no other time (0 keeps them); ``jobs``
    of them are analysed at a time, each with ``memory_mb``; ``model`` is an ONNX file that names
    the events in place of the shipped one.

    >>> Settings(Path("data")).max_bytes
    4000000000
    >>> Settings(Path("data"), host="0.0.0.0")
    Traceback (most recent call last):
    ...
    ValueError: expected a token for the open address 0.0.0.0, got none; pass --token-file
    """

    data: Path
    url: str | None = None
    max_bytes: int = 4 * GB
    max_seconds: float = 3600.0
    retention_days: int = 30
    jobs: int = 1
    memory_mb: int = 4096
    model: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # Workers run elsewhere: a path relative to this folder would mean another there.
        object.__setattr__(self, "data", Path(self.data).expanduser().absolute())
        if self.model is not None:
            object.__setattr__(self, "model", Path(self.model).expanduser().absolute())
        for name, low, high in (
            ("max_bytes", 1, 1 << 50),
            ("max_seconds", 1, 30 * 86400),
            ("retention_days", 0, 36500),
            ("jobs", 1, 256),
            ("memory_mb", 256, 1 << 24),
        ):
            check_range(name, getattr(self, name), low, high)
