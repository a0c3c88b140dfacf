"""Several people in one video: told apart, numbered, and one of them followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.face.landmarks import DlibLandmarks
from micromimic.face.people import People, find_people
from micromimic.face.signals import FaceSignals
from micromimic.face.tracking import FaceTracker
from micromimic.media.video import VideoWriter, open_source
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.actors.warped import warped_face
from micromimic.synthesis.clips import ClipConfig, render
from micromimic.synthesis.schedule import plan_clip

FPS = 12.0


def followed(video: Path, people: People, number: int) -> FaceSignals:
    tracker = FaceTracker(wanted=people.wanted(number))
    with open_source(video) as source:
        for frame in source:
            tracker.update(frame.gray, frame.time)
    return tracker.finish()


def written(path: Path, pictures: Iterator[np.ndarray]) -> Path:
    first = next(pictures)
    with VideoWriter(path, FPS, first.shape[1], first.shape[0], False, crf=10) as writer:
        writer.write(first)
        for picture in pictures:
            writer.write(picture)
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One face twice, large at the left and small at the right: only places tell them apart."""
    config = ClipConfig(
        seconds=3.5, fps=FPS, width=320, height=240, second_face=0.6, face_px=150.0, face_x=0.35,
        events_per_minute=0, macros_per_minute=0, blinks_per_minute=0, head_moves_per_minute=0,
    )  # fmt: skip
    return written(tmp_path_factory.mktemp("pair") / "a.mp4", render(plan_clip(config, 6)))


def test_people_are_numbered_by_how_large_they_are_seen(pair: Path) -> None:
    with open_source(pair) as source:
        people = find_people(source, DlibLandmarks())
    assert (len(people.persons), people.looks) == (2, 4)
    assert [len(person.times) for person in people.persons] == [4, 4]
    first, second = (followed(pair, people, number) for number in (1, 2))
    assert first.found.all() and second.found.all()
    assert (first.others_seen, second.others_seen) == (1, 1)
    left, right = (np.median(s.transform[:, 0, 2]) for s in (first, second))
    assert left + 100 < right
    assert np.median(second.interocular()) == pytest.approx(
        0.6 * np.median(first.interocular()), rel=0.1
    )
    for number in (0, 3):
        with pytest.raises(InputError, match=f"expected a person from 1 to 2, got {number}"):
            people.wanted(number)


def test_where_nobody_is_seen_nobody_is_called_a_person() -> None:
    with pytest.raises(InputError, match="expected a face in the video, found none; use a"):
        People((), looks=3, every_s=1.0).wanted(1)


def test_who_changes_places_is_followed(tmp_path: Path) -> None:
    """A cut to the other camera: the same two people, each on the other side, one alone first."""
    portrait = Portrait(width=240, height=240, colour=False)
    one, other = (warped_face(n, portrait).picture[::2, ::2] for n in (1, 6))
    nobody = np.full_like(one, 90.0)
    scenes = [np.hstack(pair) for pair in ((one, other), (other, one), (nobody, other))]

    def pictures() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(1)
        for scene in (scene for scene in scenes for _ in range(int(1.5 * FPS))):
            noise = rng.normal(0, 2, scene.shape)
            yield np.clip(scene + noise, 0, 255).astype(np.uint8)

    video = written(tmp_path / "a.mp4", pictures())
    with open_source(video) as source:
        people = find_people(source)
    assert len(people.persons) == 2
    sides = {}
    for number in (1, 2):
        signals = followed(video, people, number)
        right = signals.transform[:, 0, 2] + 14 * signals.pixels_per_unit() > 240
        thirds = np.array_split(np.arange(len(right)), 3)
        sides[number] = [
            "gone"
            if signals.found[third].mean() < 0.1
            else ("right" if right[third[-2]] else "left")
            for third in thirds
        ]
    assert sorted(sides.values()) == [["left", "right", "gone"], ["right", "left", "right"]]
