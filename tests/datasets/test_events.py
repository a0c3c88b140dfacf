"""Long videos and their events: what is read back, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from micromimic.core.errors import InputError
from micromimic.datasets.clip import Event
from micromimic.datasets.events import (
    Video,
    events_path,
    read_events,
    read_videos,
    videos_path,
    write_events,
)
from micromimic.datasets.manifest import Clip, write_manifest

from ..fake_databases import frames, sheet

HEADER = ["dataset", "subject", "video", "onset", "apex", "offset", "kind", "label"]
EVENTS = (
    Event("mine", "s1", "v1", 12, 15, 20, "micro", "surprise"),
    Event("mine", "s1", "v1", 30, None, 59, "macro"),
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two videos: pictures 10 to 59, and pictures whose ends the manifest says."""
    folder = frames(tmp_path / "v1", range(10, 60))
    other = frames(tmp_path / "v2", range(5))
    rows = [
        Clip("mine", "s1", "v1", "", "frames", folder, fps=30.0),
        Clip("mine", "s2", "v2", "", "frames", other, onset=0, offset=900),
    ]
    write_manifest(tmp_path / "long.csv", rows)
    return tmp_path / "long.csv"


def test_videos_and_events_come_back(manifest: Path) -> None:
    videos = read_videos(manifest)
    folder = manifest.parent
    assert videos == (
        Video("mine", "s1", "v1", "frames", folder / "v1", 30.0, 10, 59),
        Video("mine", "s2", "v2", "frames", folder / "v2", None, 0, 900),
    )
    path = events_path(manifest)
    write_events(path, EVENTS)
    assert path.read_text(encoding="utf-8").splitlines()[1:] == [
        "mine,s1,v1,12,15,20,micro,surprise", "mine,s1,v1,30,,59,macro,",
    ]  # fmt: skip
    assert read_events(path, videos) == EVENTS == read_events(path)
    assert videos_path(path) == manifest


def test_kinds_as_databases_write_them(tmp_path: Path) -> None:
    row = ["mine", "s1", "v1", 30.0, "", 59, "Macro-expression", ""]
    path = sheet(tmp_path / "e.csv", [HEADER, row], ";")
    assert read_events(path) == EVENTS[1:]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"onset": 25}, "ends after it begins, got onset 25 and offset 20 in line 2"),
        ({"offset": 60}, "within the frames 10 to 59 of mine/s1/v1, got 12 to 60 in line 2"),
        ({"onset": 9}, "within the frames 10 to 59 of mine/s1/v1, got 9 to 20 in line 2"),
        ({"apex": 21}, "the apex between onset 12 and offset 20, got 21 in line 2"),
        ({"kind": "tiny"}, "a kind among micro, macro, got 'tiny' in line 2"),
        ({"video": "v9"}, "a video of the manifest, got mine/s1/v9 in line 2"),
        ({"onset": "x"}, "onset to be a frame number, got 'x' in line 2"),
        ({"onset": -3}, "onset to be a frame number, got '-3' in line 2"),
        ({"subject": ""}, "a subject of one line in line 2 of .*, got nothing"),
    ],
)
def test_events_that_cannot_be(manifest: Path, change: dict[str, object], text: str) -> None:
    row = {
        **dict(zip(HEADER, ["mine", "s1", "v1", 12, 15, 20, "micro", "a"], strict=True)),
        **change,
    }
    path = sheet(events_path(manifest), [HEADER, list(row.values())])
    with pytest.raises(InputError, match=text) as error:
        read_events(path, read_videos(manifest))
    assert "\n" not in str(error.value)


def test_an_event_listed_twice_and_a_missing_column(manifest: Path) -> None:
    row = ["mine", "s1", "v1", 12, 15, 20, "micro", "a"]
    path = sheet(events_path(manifest), [HEADER, row, row])
    with pytest.raises(InputError, match="got that of line 2 again in line 3"):
        read_events(path)
    with pytest.raises(InputError, match="got none named kind; add them"):
        read_events(sheet(path, [HEADER[:-2], row[:-2]]))


def test_a_folder_without_pictures(manifest: Path) -> None:
    for picture in (manifest.parent / "v1").iterdir():
        picture.unlink()
    with pytest.raises(InputError, match="numbered pictures in .* for video mine/s1/v1, got none"):
        read_videos(manifest)
