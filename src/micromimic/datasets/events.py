"""Long videos and what happens in them: the events table that lies beside a manifest of videos.

``NAME.events.csv`` beside ``NAME.csv``: columns ``dataset,subject,video,onset,apex,offset,kind,
label``, one row an event; ``video`` is the manifest's ``clip``. Frames are numbered as in the
pictures' names, or count decoded frames from 0 in a video file; an event ends with its offset.
A video without a row has no event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final, Literal

from micromimic.core.errors import InputError
from micromimic.datasets.clip import Clip, Event, EventKind, frame_number
from micromimic.datasets.manifest import manifest_clips
from micromimic.datasets.table import check_names, frame_of, read_table, records, write_table
from micromimic.media.formats import IMAGE_ENDINGS

COLUMNS: Final = ("dataset", "subject", "video", "onset", "apex", "offset", "kind", "label")
_KINDS: Final[dict[str, EventKind]] = {
    "micro": "micro", "micro-expression": "micro", "macro": "macro", "macro-expression": "macro",
}  # fmt: skip


@dataclass(frozen=True)
class Video:
    """A long video.

    Examples
    --------
    >>> Video("mine", "006", "talk", "video", Path("talk.mp4")).who
    'mine/006'
    """

    dataset: str
    subject: str
    video: str
    kind: Literal["frames", "video"]  # ``frames`` for a folder of pictures
    path: Path
    fps: float | None = None  # frames a second; None where the manifest does not say
    first: int = 0  # number of its first frame
    last: int | None = None  # and of its last; None where nothing says it

    @property
    def who(self) -> str:
        """The subject, qualified: ``mine/006``."""
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> str:
        """The video, qualified: ``mine/006/006_1``."""
        return f"{self.who}/{self.video}"


def events_path(manifest: str | Path) -> Path:
    return Path(manifest).with_suffix(".events.csv")


def videos_path(events: str | Path) -> Path:
    """Where the manifest of an events table lies: the other way round."""
    path = Path(events)
    return path.with_name(path.name.removesuffix(".csv").removesuffix(".events") + ".csv")


def read_videos(manifest: str | Path) -> tuple[Video, ...]:
    """The long videos of a manifest; columns onset and offset, where filled, are their ends.

    Raises
    ------
    InputError
        if it is no manifest, lists none, or a video is not there.
    """
    clips = manifest_clips(Path(manifest))
    videos = tuple(_video(clip) for clip in clips if clip.kind in ("frames", "video"))
    if not videos:
        raise InputError(f"expected videos in {manifest}, got none; list some")
    return videos


def _video(clip: Clip) -> Video:
    first, last = clip.onset, clip.offset
    if clip.kind == "frames" and (first is None or last is None):
        files = (file for file in clip.path.iterdir() if file.suffix.casefold() in IMAGE_ENDINGS)
        numbers = [n for file in files if (n := frame_number(file.name)) is not None]
        if not numbers:
            raise InputError(
                f"expected numbered pictures in {clip.path} for video {clip.key}, got none; "
                "correct the path"
            )
        first, last = min(numbers), max(numbers)
    kind: Literal["frames", "video"] = "frames" if clip.kind == "frames" else "video"
    names = clip.dataset, clip.subject, clip.clip
    return Video(*names, kind, clip.path, clip.fps, first or 0, last)


def read_events(
    path: str | Path, videos: Sequence[Video] | None = None, *, what: str = "a table of events"
) -> tuple[Event, ...]:
    """Read and check a table of events.

    Parameters
    ----------
    path : str | Path
        the table; ``apex`` and ``label`` may be absent or empty.
    videos : Sequence[Video] | None
        those that the events must lie in, as `read_videos` gives them; None does not ask.
    what : str
        for messages.

    Raises
    ------
    InputError
        a missing column, an unknown kind or video, an event that ends before it begins or lies
        outside its video, an apex outside its event, an event listed twice.
    """
    required = tuple(name for name in COLUMNS if name not in ("apex", "label"))
    frame = read_table(path, required, known=COLUMNS, what=what)
    known = None if videos is None else {video.key: video for video in videos}
    events: dict[Event, str] = {}
    for where, row in records(frame, path):
        event = event_of(row, where)
        if event in events:
            first = events[event].removesuffix(f" of {path}")
            raise InputError(
                f"expected each event once, got that of {first} again in {where}; remove one"
            )
        if known is not None:
            check_place(event, known.get(event.key), where)
        events[event] = where
    return tuple(events)


def write_events(path: str | Path, events: Iterable[Event]) -> None:
    """Write a table of events."""
    import pandas as pd  # noqa: PLC0415 - slow to load

    rows = [astuple(event) for event in events]
    write_table(path, pd.DataFrame(rows, columns=list(COLUMNS), dtype=object))


def event_of(row: dict[str, str], where: str) -> Event:
    check_names(row, ("dataset", "subject", "video"), where)
    kind = _KINDS.get(row["kind"].casefold())
    if kind is None:
        raise InputError(
            f"expected a kind among micro, macro, got {row['kind']!r} in {where}; correct it"
        )
    onset, offset = (frame_of(row[name], name, where) for name in ("onset", "offset"))
    apex = frame_of(row["apex"], "apex", where) if row.get("apex") else None
    if onset > offset:
        raise InputError(
            f"expected an event that ends after it begins, got onset {onset} and offset {offset} "
            f"in {where}; correct them"
        )
    if apex is not None and not onset <= apex <= offset:
        raise InputError(
            f"expected the apex between onset {onset} and offset {offset}, got {apex} in {where}; "
            "correct it, or leave it empty"
        )
    names = row["dataset"], row["subject"], row["video"]
    return Event(*names, onset, apex, offset, kind, row.get("label", ""))


def check_place(event: Event, video: Video | None, where: str) -> None:
    if video is None:
        raise InputError(
            f"expected a video of the manifest, got {event.key} in {where}; correct its name"
        )
    if event.onset < video.first or (video.last is not None and event.offset > video.last):
        last = "its end" if video.last is None else str(video.last)
        raise InputError(
            f"expected an event within the frames {video.first} to {last} of {video.key}, got "
            f"{event.onset} to {event.offset} in {where}; correct it"
        )
