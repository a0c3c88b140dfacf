"""One clip of a manifest, the number in a picture's name, and the mark of synthetic clips."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

Kind = Literal["frames", "video", "image", "flow_map"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
EventKind = Literal["micro", "macro"]


@dataclass(frozen=True)
class Clip:
    """One clip that holds one micro-expression.

    Parameters
    ----------
    dataset, subject, clip : str
        names; a clip's name is unique within its subject.
    label : str
        class; several of them, where the scheme has such clips, are joined with ``+``.
    kind : Kind
        what ``path`` is: a folder of frames, a video, a picture of the apex, or a flow map.
    path : Path
        absolute, or relative to the working directory.
    onset, apex, offset, fps : int | None, float | None
        frame numbers, frames a second; None where unknown.
    extra : Mapping[str, str]
        further columns.

    Raises
    ------
    ValueError
        if onset, apex and offset are out of order.

    Examples
    --------
    >>> Clip("mine", "006", "006_1_2", "positive", "video", Path("a.mp4"), onset=3, offset=9).key
    'mine/006/006_1_2'
    """

    dataset: str
    subject: str
    clip: str
    label: str
    kind: Kind
    path: Path
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    fps: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [n for n in (self.onset, self.apex, self.offset) if n is not None]
        if known != sorted(known):
            raise ValueError(
                f"expected onset <= apex <= offset, got {self.onset}, {self.apex}, {self.offset}"
            )

    @property
    def who(self) -> str:
        """The subject, qualified: ``mine/006``."""
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> str:
        """The clip, qualified: ``mine/006/006_1_2``."""
        return f"{self.who}/{self.clip}"


@dataclass(frozen=True)
class Event:
    """An expression in a long video, from its onset's frame to its offset's.

    Examples
    --------
    >>> Event("mine", "006", "talk", onset=10, apex=None, offset=20, kind="micro").key
    'mine/006/talk'
    """

    dataset: str
    subject: str
    video: str
    onset: int
    apex: int | None  # None where it is not coded
    offset: int
    kind: EventKind
    label: str = ""  # class; empty where unknown

    @property
    def key(self) -> str:
        return f"{self.dataset}/{self.subject}/{self.video}"


def frame_number(name: str) -> int | None:
    """The last run of digits of a picture's name."""
    digits = re.findall(r"\d+", Path(name).stem)
    return int(digits[-1]) if digits else None


SYNTHETIC: Final = "synthetic"  # of the manifest: ``yes`` for clips that `synth databases` made
_LEVELS: Final = 4  # folders to look up: a user may point anywhere inside the database


def is_synthetic_folder(folder: Path) -> bool:
    """Whether a folder lies within what `micromimic synth databases` wrote."""
    for place in [folder.absolute(), *folder.absolute().parents][:_LEVELS]:
        try:
            content = json.loads((place / "truth.json").read_text(encoding="utf-8"))
            if content["schema"].startswith("micromimic.databases/"):
                return True
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return False


def is_synthetic(clip: Clip) -> bool:
    return clip.extra.get(SYNTHETIC) == "yes"
