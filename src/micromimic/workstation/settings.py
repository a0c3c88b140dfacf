"""What a server is told when it starts: checked once, never changed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GIB: Final = 1024**3
DEFAULT_PORT: Final = 8420


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a server listens, and who may enter.

    Args:
        host: address to listen on; anything but loopback needs a ``token``.
        port: 0 takes a free one.
        token: what every request must carry; None on loopback, where none is needed.

    Raises:
        ValueError: no such port or token, or an open address without a token.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None

    def __post_init__(self) -> None:
        _check_range("port", self.port, 0, 65535)
        if self.token is None and not is_loopback(self.host):
            raise ValueError(
                f"expected a token for the open address {self.host}, got none; pass --token-file"
            )
        if self.token is not None:
            check_token(self.token)


@dataclass(frozen=True)
class Settings(Access):
    """How one workstation runs.

    Args:
        data: the data folder: videos, pictures, and the database unless ``url`` names another.
        url: of the database; None is SQLite in the data folder.
        max_bytes: largest upload.
        max_seconds: longest video.
        retention_days: days until an uploaded video and its pictures are removed, where the
            upload names no other; 0 keeps them.
        jobs: videos analysed at the same time.
        memory_mb: what one analysis may take.
        model: an ONNX file that names the events; None is the shipped one.

    Raises:
        ValueError: a value out of range, or an open address without a token.

    >>> Settings(Path("data")).max_bytes
    4294967296
    >>> Settings(Path("data"), host="0.0.0.0")
    Traceback (most recent call last):
    ...
    ValueError: expected a token for the open address 0.0.0.0, got none; pass --token-file
    """

    data: Path
    url: str | None = None
    max_bytes: int = 4 * GIB
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
            _check_range(name, getattr(self, name), low, high)


def _check_range(name: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"expected {name} from {low} to {high}, got {value}")


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``[HOST:]PORT``; the host is this machine where it is left out.

    Raises:
        ValueError: no port, or one that does not exist.

    >>> parse_address("8421"), parse_address("0.0.0.0:80"), parse_address("[::1]:9000")
    (('127.0.0.1', 8421), ('0.0.0.0', 80), ('::1', 9000))
    """
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not 0 <= number <= 65535 or (":" in bare and bare == host):
        raise ValueError(
            f"expected PORT or HOST:PORT with a port from 0 to 65535, got {text!r}; "
            "pass for example 8421"
        )
    return bare or "127.0.0.1", number


def is_loopback(host: str) -> bool:
    """Whether a name or address can only mean this machine.

    >>> [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "host.evil.example")]
    [True, True, True, False, False]
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_token(token: str) -> None:
    """Refuse a token that a header or a link cannot carry.

    Raises:
        ValueError: empty, longer than 256, or with characters outside A-Z a-z 0-9 . _ ~ -.
    """
    plain = token.isascii() and all(c.isalnum() or c in "._~-" for c in token)
    if not (plain and 1 <= len(token) <= 256):
        raise ValueError(
            "expected a token of 1 to 256 letters, digits, '.', '_', '~' or '-', got another; "
            "choose a plain one, 20 characters or more"
        )
