"""From one clip of a manifest to what models see, against planted truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from micromimic.core.canonical import apply_affine, canonical_to_image
from micromimic.core.errors import InputError, NoFaceError
from micromimic.datasets.manifest import Clip
from micromimic.face.crops import face_crop
from micromimic.face.landmarks import DlibLandmarks
from micromimic.media.video import VideoWriter
from micromimic.models.preprocess import read_flow_png
from micromimic.models.samples import View
from micromimic.motion.apex import apex_of_clip, cell_curves, fixed_cells, locate
from micromimic.preparation.clip import (
    ARTICLE,
    VIEWS as KINDS,
    PrepareConfig,
    Prepared,
    prepare_clip,
)
from micromimic.preparation.sources import read_frames
from micromimic.synthesis.clips import ClipPlan, plan_clip, planted_field, planted_poses, render
from micromimic.synthesis.schedule import single_movement

FPS = 100.0
FIRST = 40
VIEWS: tuple[View, ...] = ("flow", "faces", "volume")
CONFIG = replace(
    single_movement(1.6, FPS), width=320, height=240, face_px=225.0, colour=True, drift_px=4.0
)

Make = Callable[..., Clip]


@pytest.fixture(scope="module")
def backend() -> DlibLandmarks:
    return DlibLandmarks()


@pytest.fixture(scope="module")
def plan() -> ClipPlan:
    return plan_clip(CONFIG, 9)


@pytest.fixture(scope="module")
def truth(plan: ClipPlan) -> tuple[int, int, int]:
    """Onset, apex and offset as indices of the whole rendered clip."""
    move = plan.micro[0]
    onset, apex, offset = (round(t * FPS) for t in (move.onset, move.apex, move.offset))
    return onset, apex, offset


@pytest.fixture(scope="module")
def frames(plan: ClipPlan, truth: tuple[int, int, int]) -> list[np.ndarray]:
    """RGB pictures from onset to offset."""
    return list(render(plan, frames=range(truth[0], truth[2] + 1)))


def write_frames(folder: Path, pictures: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures, FIRST):
        cv2.imwrite(str(folder / f"img{number}.png"), picture[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, frames: list[np.ndarray]) -> Clip:
    folder = write_frames(tmp_path_factory.mktemp("clip") / "frames", frames)
    return Clip("casme2", "sub01", "EP02", "positive", "frames", folder, fps=FPS)


@pytest.fixture(scope="module")
def prepared(clip: Clip, backend: DlibLandmarks) -> Prepared:
    return prepare_clip(clip, VIEWS, backend=backend)


@pytest.fixture
def make(tmp_path: Path, clip: Clip) -> Make:
    """A clip of other frames."""

    def build(pictures: list[np.ndarray], **changes: Any) -> Clip:
        folder = tmp_path / f"frames{len(list(tmp_path.iterdir()))}"
        return replace(clip, path=write_frames(folder, pictures), **changes)

    return build


# --- the views ---


def test_shapes_and_types(prepared: Prepared, frames: list[np.ndarray]) -> None:
    assert prepared.flow is not None
    assert prepared.faces is not None
    assert prepared.volume is not None
    assert (prepared.flow.shape, prepared.flow.dtype) == ((3, 28, 28), np.float32)
    assert (prepared.faces.shape, prepared.faces.dtype) == ((5, 224, 224, 3), np.uint8)
    assert (prepared.volume.shape, prepared.volume.dtype) == ((len(frames), 170, 140), np.uint8)


def test_the_apex_is_spotted_and_told(prepared: Prepared, truth: tuple[int, int, int]) -> None:
    assert prepared.apex is not None
    assert abs(prepared.apex - FIRST - (truth[1] - truth[0])) <= 2
    assert prepared.notes == (f"apex spotted: frame {prepared.apex} (robust)",)


def test_the_flow_is_what_was_planted(
    prepared: Prepared, plan: ClipPlan, truth: tuple[int, int, int]
) -> None:
    place = planted_poses(plan)[truth[0]]
    centres = np.stack(np.meshgrid(np.arange(28) + 0.5, np.arange(28) + 0.5), -1)
    points = apply_affine(place, centres.reshape(-1, 2)).reshape(28, 28, 2)
    spots = ((points - 0.5) / 2).astype(np.float32)
    field = cv2.remap(planted_field(plan, 0), spots[..., 0], spots[..., 1], cv2.INTER_LINEAR)
    uv = np.moveaxis(field @ np.linalg.inv(place[:, :2]).T, -1, 0)
    assert prepared.flow is not None
    strong = np.hypot(*uv) > 0.3 * np.hypot(*uv).max()
    for found, planted in zip(prepared.flow[:2], uv, strict=True):
        if np.abs(planted).max() > 0.3 * np.abs(uv).max():
            assert np.corrcoef(found[strong], planted[strong])[0, 1] > 0.8


def test_faces_are_the_apex_then_its_neighbours(
    clip: Clip, frames: list[np.ndarray], make: Make, backend: DlibLandmarks
) -> None:
    # every frame one grey level brighter than the one before: crops tell which frame they are
    dim = [(0.7 * f).astype(np.uint8) for f in frames]
    counted = [(f + k).astype(np.uint8) for k, f in enumerate(dim)]
    last = FIRST + len(frames) - 1
    both: tuple[View, ...] = ("faces", "volume")
    found = prepare_clip(make(counted, apex=FIRST + 12), both, backend=backend)
    assert found.faces is not None
    assert found.volume is not None
    plain = prepare_clip(make(dim, apex=FIRST + 12), both, backend=backend)
    added = [(a.astype(int) - b).mean() for a, b in zip(found.faces, plain.faces, strict=True)]
    assert np.round(added).tolist() == [12, 11, 13, 10, 14]
    levels = (found.volume.astype(int) - plain.volume).mean((1, 2))
    assert np.round(levels).tolist() == list(range(len(frames)))
    at_end = prepare_clip(replace(clip, apex=last), ("faces",), backend=backend).faces
    assert at_end is not None
    assert (at_end[2] == at_end[0]).all() and (at_end[4] == at_end[0]).all()
    assert not (at_end[1] == at_end[0]).all() and not (at_end[3] == at_end[1]).all()


def test_the_face_fills_its_crops(prepared: Prepared, backend: DlibLandmarks) -> None:
    """Brows and chin inside, eyes level, and both crops the same face."""
    assert prepared.faces is not None
    assert prepared.volume is not None
    for gray, (height, width) in (
        (cv2.cvtColor(prepared.faces[0], cv2.COLOR_RGB2GRAY), (224, 224)),
        (prepared.volume[0], (170, 140)),
    ):
        marks = locate(gray, backend) / [width, height]
        assert marks[17:27, 1].min() > 0.05 and marks[8, 1] < 0.98
        assert marks[0, 0] > 0.02 and marks[16, 0] < 0.98
        eyes = marks[36:42].mean(0), marks[42:48].mean(0)
        assert eyes[0] == pytest.approx(((5.9 + 5) / 38, (6.6 + 3) / 38), abs=0.02)
        assert eyes[1] == pytest.approx(((20.9 + 5) / 38, (6.6 + 3) / 38), abs=0.02)


def test_volumes_are_registered_to_the_onset(prepared: Prepared, plan: ClipPlan) -> None:
    """The head moves by pixels; what is left in the volume is noise and the expression."""
    assert prepared.volume is not None
    nose = prepared.volume[:, 60:110, 50:90].astype(float)
    left = np.abs(nose - nose[0]).mean((1, 2))
    assert left[1:].max() < 1.6 * np.median(left[1:])


def test_grey_pictures_give_equal_channels(
    frames: list[np.ndarray], tmp_path: Path, clip: Clip, backend: DlibLandmarks
) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    for number, picture in enumerate(frames[:20]):
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        cv2.imwrite(str(folder / f"006_{number:05d}.bmp"), gray)
    found = prepare_clip(replace(clip, path=folder, apex=12), ("faces",), backend=backend)
    assert found.faces is not None
    assert (found.faces == found.faces[..., :1]).all()
    assert found.faces.std() > 20


def test_the_same_clip_gives_the_same_bits(
    clip: Clip, prepared: Prepared, backend: DlibLandmarks
) -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1 if threads > 1 else 2)
    try:
        again = prepare_clip(clip, VIEWS, backend=backend)
    finally:
        cv2.setNumThreads(threads)
    for view in VIEWS:
        np.testing.assert_array_equal(again.view(view), prepared.view(view))


def test_views_do_not_depend_on_what_else_is_asked(
    clip: Clip, prepared: Prepared, backend: DlibLandmarks
) -> None:
    found = prepare_clip(clip, ("volume",), backend=backend)
    np.testing.assert_array_equal(found.view("volume"), prepared.volume)
    assert found.apex is None
    assert found.flow is None
    assert found.faces is None


def test_the_articles_rule_can_be_had(
    clip: Clip, frames: list[np.ndarray], backend: DlibLandmarks
) -> None:
    found = prepare_clip(clip, ("flow",), PrepareConfig(apex="article"), backend=backend)
    assert found.notes == (f"apex spotted: frame {found.apex} (article)",)
    assert found.apex == FIRST + apex_of_clip(frames, method="article", backend=backend)


@pytest.mark.parametrize(
    ("apex", "rule"), [("annotated", None), ("article", None), ("robust", "robust")]
)
def test_an_annotated_apex_is_taken_but_by_our_own_rule(
    clip: Clip, prepared: Prepared, backend: DlibLandmarks, apex: Any, rule: str | None
) -> None:
    row = replace(clip, apex=FIRST + 3)
    found = prepare_clip(row, ("faces",), PrepareConfig(apex=apex), backend=backend)
    assert found.apex == (prepared.apex if rule else FIRST + 3)
    assert found.notes == (prepared.notes if rule else ())


def test_the_articles_way_finds_landmarks_in_every_frame(
    clip: Clip, frames: list[np.ndarray], backend: DlibLandmarks
) -> None:
    gray = read_frames(clip, 1000).gray
    marks = [locate(picture, backend) for picture in gray]
    curve = cell_curves(fixed_cells(gray, marks), eps=-1).mean(1)
    found = prepare_clip(clip, ("faces",), ARTICLE, backend=backend)
    row = 1 + int(np.argmax(curve[1:]))
    assert found.apex == FIRST + row
    assert found.faces is not None
    for crop, k in zip(
        found.faces, np.clip([row, row - 1, row + 1], 0, len(gray) - 1), strict=False
    ):
        np.testing.assert_array_equal(crop, face_crop(frames[k], canonical_to_image(marks[k])))


@pytest.mark.parametrize("wrong", [{"apex": "best"}, {"landmarks": "all"}, {"neighbour": "next"}])
def test_unknown_ways_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"expected {next(iter(wrong))} .* or .*, got"):
        PrepareConfig(**wrong)


def test_an_unknown_rate_is_told(clip: Clip, backend: DlibLandmarks) -> None:
    found = prepare_clip(replace(clip, fps=None), ("flow",), backend=backend)
    assert "taking 200 frames/s" in found.notes[0]


class _WantsRoom:
    """A detector that fails where a face fills its picture."""

    def __init__(self, backend: DlibLandmarks, height: int) -> None:
        self._backend = backend
        self._height = height

    def detect(self, gray: np.ndarray, long_side: int) -> list[Any]:
        return self._backend.detect(gray, long_side) if len(gray) > self._height else []

    def landmarks(self, gray: np.ndarray, box: Any) -> np.ndarray:
        return self._backend.landmarks(gray, box)


def test_cropped_copies_are_searched_with_room_around_them(
    frames: list[np.ndarray], make: Make, backend: DlibLandmarks
) -> None:
    place = canonical_place(frames[0], backend)
    corners = apply_affine(place, np.array([[0.0, 1.0], [27.0, 29.0]])).round().astype(int)
    (left, top), (right, bottom) = corners
    tight = [f[top:bottom, left:right] for f in frames[:12]]
    wants_room = _WantsRoom(backend, bottom - top)
    found = prepare_clip(make(tight, apex=FIRST + 8), ("faces",), backend=wants_room)
    assert found.faces is not None
    whole = face_crop(frames[8], place)
    inner = np.s_[50:150, 60:150]
    error = found.faces[0].astype(int) - whole
    assert np.abs(error)[inner].mean() < 12  # half a pixel of jitter in the landmarks
    with pytest.raises(NoFaceError):
        nothing = _WantsRoom(backend, 10_000)
        prepare_clip(make(tight, apex=FIRST + 8), ("faces",), backend=nothing)


def canonical_place(picture: np.ndarray, backend: DlibLandmarks) -> np.ndarray:
    return canonical_to_image(locate(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), backend))


# --- the kinds ---


def test_a_video_gives_what_its_frames_give(
    frames: list[np.ndarray], clip: Clip, tmp_path: Path, backend: DlibLandmarks
) -> None:
    grey = [np.repeat(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)[..., None], 3, 2) for f in frames]
    folder = write_frames(tmp_path / "grey", grey)
    video = tmp_path / "clip.mkv"
    with VideoWriter(video, FPS, 320, 240) as writer:
        for picture in [grey[0]] * 3 + grey:
            writer.write(picture[..., 0])
    of_frames = prepare_clip(replace(clip, path=folder), VIEWS, backend=backend)
    row = replace(clip, kind="video", path=video, onset=3, offset=2 + len(frames), fps=None)
    of_video = prepare_clip(row, VIEWS, backend=backend)
    assert of_frames.apex is not None
    assert of_video.apex == of_frames.apex - FIRST + 3
    assert of_video.notes == (f"apex spotted: frame {of_video.apex} (robust)",)  # fps is its own
    assert of_frames.volume is not None
    assert of_video.volume is not None
    assert np.abs(of_video.volume.astype(int) - of_frames.volume).max() <= 3
    np.testing.assert_allclose(of_video.flow, of_frames.flow, atol=0.02)
    whole = prepare_clip(replace(row, onset=None, offset=None), ("volume",), backend=backend)
    assert whole.volume is not None
    assert len(whole.volume) == len(frames) + 3
    with pytest.raises(InputError, match=f"expected frames up to 99, got {len(frames) + 3}"):
        prepare_clip(replace(row, offset=99), ("volume",), backend=backend)
    short = PrepareConfig(most_frames=10)
    for other in (row, replace(row, onset=None, offset=None)):
        with pytest.raises(InputError, match="at most 10 frames"):
            prepare_clip(other, ("volume",), short, backend=backend)


def test_a_picture_gives_its_face(
    frames: list[np.ndarray], clip: Clip, tmp_path: Path, backend: DlibLandmarks
) -> None:
    cv2.imwrite(str(tmp_path / "apex.png"), frames[9][..., ::-1])
    row = replace(clip, kind="image", path=tmp_path / "apex.png")
    found = prepare_clip(row, ("faces",), backend=backend)
    wanted = face_crop(frames[9], canonical_place(frames[9], backend))
    np.testing.assert_array_equal(found.faces, wanted[None])
    assert (found.apex, found.notes) == (None, ())
    (tmp_path / "text.png").write_text("no picture")
    for name, error, message in (
        ("text.png", InputError, "cannot be read"),
        ("gone.png", InputError, "expected to read"),
        ("wall.png", NoFaceError, "expected a face in .*wall.png"),
    ):
        if name == "wall.png":
            cv2.imwrite(str(tmp_path / name), np.full((90, 120), 99, np.uint8))
        with pytest.raises(error, match=message):
            prepare_clip(replace(row, path=tmp_path / name), ("faces",), backend=backend)


def test_a_flow_map_is_read_as_it_is(clip: Clip, tmp_path: Path, backend: DlibLandmarks) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "m.png"), picture)
    row = replace(clip, kind="flow_map", path=tmp_path / "m.png")
    found = prepare_clip(row, ("flow",), backend=backend)
    np.testing.assert_array_equal(found.flow, read_flow_png(tmp_path / "m.png"))


@pytest.mark.parametrize(("kind", "view"), [("flow_map", "faces"), ("image", "volume")])
def test_a_view_that_a_kind_cannot_give_is_told(clip: Clip, kind: Any, view: Any) -> None:
    with pytest.raises(InputError, match=f"looks at {view}, got kind {kind} for casme2/sub01/EP02"):
        prepare_clip(replace(clip, kind=kind), (view,))
    assert view not in KINDS[kind]


# --- what is not as the manifest has it ---


def test_onset_and_offset_are_numbers_in_names(
    clip: Clip, prepared: Prepared, backend: DlibLandmarks
) -> None:
    part = replace(clip, onset=FIRST + 4, offset=FIRST + 15)
    found = prepare_clip(part, ("volume",), backend=backend)
    assert found.volume is not None
    assert len(found.volume) == 12


def test_missing_frames_are_told(
    frames: list[np.ndarray], make: Make, backend: DlibLandmarks
) -> None:
    row = make(frames, onset=FIRST - 2, apex=FIRST + 13, offset=FIRST + len(frames) - 1)
    (row.path / f"img{FIRST + 5}.png").write_bytes(b"")  # as missing as the next
    (row.path / f"img{FIRST + 13}.png").unlink()
    found = prepare_clip(row, VIEWS, backend=backend)
    assert found.apex == FIRST + 12
    assert found.notes == (
        f"4 of {len(frames) + 2} frames from onset to offset are missing",
        f"apex frame {FIRST + 13} is missing, {FIRST + 12} is taken",
    )
    assert found.volume is not None
    assert len(found.volume) == len(frames) - 2


def test_clips_that_cannot_be_used_are_told(
    frames: list[np.ndarray], make: Make, backend: DlibLandmarks
) -> None:
    row = make(frames)
    last = FIRST + len(frames) - 1
    cases = (
        ({"apex": 500}, "apex, frame 500, among the frames"),
        ({"apex": FIRST}, "apex after the onset"),
        ({"onset": 700, "offset": 800}, f"expected frames 700 to 800 in .*, got {FIRST} to {last}"),
        ({"offset": FIRST + 1}, "at least 3 frames to spot"),
        ({"offset": FIRST}, "at least 2 frames from onset"),
    )
    for changes, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            prepare_clip(replace(row, **changes), ("flow",), backend=backend)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="at most 9 frames"):
        prepare_clip(row, ("flow",), PrepareConfig(most_frames=9), backend=backend)
    (row.path / f"reg_img{FIRST + 3}.png").write_bytes((row.path / f"img{FIRST}.png").read_bytes())
    with pytest.raises(InputError, match=f"each frame once, got img{FIRST + 3}.png and reg_img"):
        prepare_clip(row, ("flow",), backend=backend)


def test_pictures_without_numbers_are_told(
    frames: list[np.ndarray], clip: Clip, tmp_path: Path, backend: DlibLandmarks
) -> None:
    for name, picture in zip("abc", frames, strict=False):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    with pytest.raises(InputError, match="numbered pictures in .*3 pictures without numbers"):
        prepare_clip(replace(clip, path=tmp_path), ("flow",), backend=backend)


def test_another_face_at_the_apex_is_told(
    frames: list[np.ndarray], make: Make, backend: DlibLandmarks
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, frames[0].shape, np.uint8)
    changed = [noise if k in (11, 12, 13) else f for k, f in enumerate(frames)]
    row = make(changed, apex=FIRST + 12)
    with pytest.raises(InputError, match="onset's face again at the apex"):
        prepare_clip(row, ("flow",), backend=backend)
    found = prepare_clip(replace(row, apex=FIRST + 9), ("volume", "faces"), backend=backend)
    assert f"the face is lost in 3 of {len(frames)} frames" in found.notes
    assert found.volume is not None
    assert len(found.volume) == len(frames) - 3
    with pytest.raises(InputError, match="lost it in"):
        prepare_clip(
            replace(row, onset=FIRST + 10, apex=None, offset=FIRST + 13), ("flow",), backend=backend
        )


def test_faces_that_are_not_there_are_told(make: Make, backend: DlibLandmarks) -> None:
    walls = [np.full((80, 100, 3), 90 + k, np.uint8) for k in range(5)]
    with pytest.raises(NoFaceError, match="found none"):
        prepare_clip(make(walls), ("flow",), backend=backend)
