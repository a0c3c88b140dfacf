"""What a file of another tool says of a video, whatever tool wrote it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from micromimic.core.errors import InputError

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True)
class Annotation:
    """A stretch of time with a label; a point where it ends where it begins.

    Seconds are those of a player of the video. ``modifiers`` say more of the label, ``note`` is
    for people. ``apex_s`` is None where the tool knows of none; ``frames`` are onset, apex and
    offset where the file has them.
    """

    tier: str
    label: str
    onset_s: float
    offset_s: float
    apex_s: float | None = None
    modifiers: str = ""
    note: str = ""
    frames: tuple[int, int, int] | None = None
    where: str = ""
    codes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotated:
    """What a file says of one video.

    ``where`` names it in messages; ``media`` are the names of the files that it may be; empty
    where the file does not say. ``fps`` is the rate that the file claims. ``nested`` are tiers that
    hang on others, which have no times of their own. ``coder`` is whose it is, where it says so.
    """

    where: str
    annotations: tuple[Annotation, ...]
    media: tuple[str, ...] = ()
    fps: float | None = None
    nested: tuple[str, ...] = ()
    coder: str = ""

    @property
    def tiers(self) -> tuple[str, ...]:
        """Those with times of their own, in their order."""
        return tuple(dict.fromkeys(item.tier for item in self.annotations))

    def only(self, tiers: Sequence[str]) -> Annotated:
        """Of these tiers; of all for none. `InputError` where one is not there."""
        for name in tiers:
            if name in self.nested:
                raise InputError(
                    f"expected a tier with times of its own in {self.where}, got {name!r}, which "
                    "hangs on another; name its parent"
                )
            if name not in self.tiers:
                raise InputError(
                    f"expected a tier of {self.where} ({_listed(self.tiers)}), got {name!r}; "
                    "name one of them"
                )
        if not tiers:
            return self
        found = tuple(item for item in self.annotations if item.tier in tiers)
        return replace(self, annotations=found, nested=())


def file_name(path: str) -> str:
    """The last part of a path or address, of whatever system.

    >>> file_name("C:\\\\study\\\\P01.mp4"), file_name("file:///a/P01.mp4")
    ('P01.mp4', 'P01.mp4')
    """
    return path.replace("\\", "/").rsplit("/", 1)[-1].strip()


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by what they have in common, each looked at once; in their order."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "none there") + more
