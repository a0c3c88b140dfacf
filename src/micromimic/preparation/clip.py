"""From one clip to what models see: apex, flow map, face crops, volume."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import (
    apply_affine,
    canonical_to_image,
    follow,
    invert_affine,
    scale_of,
)
from micromimic.core.errors import InputError, NoFaceError
from micromimic.datasets.manifest import Clip, Kind
from micromimic.face.crops import MIN_SIMILARITY, FaceFollower, Followed, face_crop, volume_frame
from micromimic.face.landmarks import DlibLandmarks, LandmarkBackend
from micromimic.models.preprocess import read_flow_png
from micromimic.models.samples import View
from micromimic.motion.apex import apex_of_cells, fixed_cells, locate, stable_cells
from micromimic.motion.flow import FlowConfig, average_reach, flow_of_spans
from micromimic.preparation.sources import ClipFrames, Gray, read_frames, read_picture

VIEWS: Final[Mapping[Kind, tuple[View, ...]]] = {
    "flow_map": ("flow",),
    "image": ("faces",),
    "frames": ("flow", "faces", "volume"),
    "video": ("flow", "faces", "volume"),
}
"""What clips of a kind can give."""
NEIGHBOURS: Final = (0, -1, 1, -2, 2)  # frames from the apex of the face crops, in their order
USUAL_FPS: Final = 200.0  # taken where nobody says: usual among databases of clips

Apex = Literal["annotated", "article", "robust"]
Neighbour = Literal["before", "after"]
Landmarks = Literal["onset", "each"]


@dataclass(frozen=True)
class PrepareConfig:
    """How clips are prepared.

    Raises
    ------
    InputError
        a word that is none of those that a setting may be.
    """

    apex: Apex = "annotated"
    """``annotated`` takes the manifest's apex, and where there is none our own rule (stabilised,
    normalised, smoothed); ``article`` takes the manifest's too, and where there is none the
    article's M(t); ``robust`` takes our rule for every clip."""
    neighbour: Neighbour = "before"
    """The frame whose difference divides the article's M(t): the one before, as in the method that
    the article goes back to, or the one after, as the article's text has it."""
    landmarks: Landmarks = "onset"
    """``onset`` finds them in the onset's frame and follows the face from there; ``each`` finds
    them again in every frame, for the article's M(t) and for face crops."""
    smoothing: float = 0.015  # seconds, Gaussian sigma of our rule's curve
    average: float = 0.01  # seconds either side of onset and apex, averaged before flow is computed
    flow: FlowConfig = field(default_factory=FlowConfig)
    most_frames: int = 1000  # from onset to offset: a longer clip is refused

    def __post_init__(self) -> None:
        wanted = {"apex": Apex, "neighbour": Neighbour, "landmarks": Landmarks}
        for name, words in wanted.items():
            if (got := getattr(self, name)) not in get_args(words):
                *some, last = get_args(words)
                raise InputError(
                    f"expected {name} {', '.join(some)} or {last}, got {got!r}; pass one of them"
                )


ARTICLE: Final = PrepareConfig(apex="article", neighbour="after", landmarks="each")
"""Everything as the article says it, as docs/article.md lists it."""


@dataclass(frozen=True)
class Prepared:
    """What was made of one clip; None for views that were not asked for."""

    apex: int | None = None
    """Its frame number, as the manifest counts; None where the clip's kind has none."""
    flow: NDArray[np.float32] | None = None  # (3, 28, 28) u, v, strain from onset to apex
    faces: NDArray[np.uint8] | None = None
    """(k, 224, 224, 3) RGB: the apex, then one frame before and after, then two."""
    volume: NDArray[np.uint8] | None = None  # (T, 170, 140), registered to the onset
    notes: tuple[str, ...] = ()  # what a reader of the results should know, a line each

    def view(self, name: View) -> NDArray[np.generic] | None:
        found: NDArray[np.generic] | None = getattr(self, name)
        return found


def check_views(clip: Clip, views: Collection[View]) -> None:
    for view in views:
        if view not in VIEWS[clip.kind]:
            kinds = [kind for kind, given in VIEWS.items() if view in given]
            raise InputError(
                f"expected clips of kind {' or '.join(kinds)} for a model that looks at {view}, "
                f"got kind {clip.kind} for {clip.key}; choose another model, or list the clip's "
                "frames"
            )


def prepare_clip(
    clip: Clip,
    views: Collection[View],
    config: PrepareConfig | None = None,
    *,
    backend: LandmarkBackend | None = None,
) -> Prepared:
    """Make what models see of one clip.

    Landmarks are found in the onset's frame, by dlib unless another ``backend`` is given; from
    there the face is followed to sub-pixel. Where the manifest names no apex it is spotted.
    """
    config = config or PrepareConfig()
    check_views(clip, views)
    if clip.kind == "flow_map":
        return Prepared(flow=read_flow_png(clip.path) if "flow" in views else None)
    backend = backend or DlibLandmarks()
    if clip.kind == "image":
        return Prepared(faces=_of_picture(clip, backend) if "faces" in views else None)
    frames = read_frames(clip, config.most_frames)
    return _Tracked(frames, config, backend).prepared(views)


def _of_picture(clip: Clip, backend: LandmarkBackend) -> NDArray[np.uint8]:
    gray, rgb = read_picture(clip.path)
    try:
        transform = canonical_to_image(locate(gray, backend))
    except NoFaceError:
        raise NoFaceError(
            f"expected a face in {clip.path}, found none; pass a picture of a frontal face with a "
            "margin around it"
        ) from None
    return face_crop(rgb, transform)[None]


class _Tracked:
    """A clip whose face was followed from onset to offset."""

    def __init__(self, frames: ClipFrames, config: PrepareConfig, backend: LandmarkBackend) -> None:
        self._frames = frames
        self._config = config
        self._backend = backend
        self._notes = list(frames.notes)
        self._landmarks = {0: locate(frames.gray[0], backend)}
        follower = FaceFollower.from_landmarks(frames.gray[0], self._landmarks[0])
        self._layout = follower.layout
        self._places: Sequence[Followed] = [follower.next(gray) for gray in frames.gray]
        self._fps = frames.fps or USUAL_FPS
        lost = sum(not place.found for place in self._places)
        if 2 * lost > len(self._places) or len(self._places) - lost < 2:
            raise InputError(
                f"expected the onset's face in the whole clip, lost it in {lost} of "
                f"{len(self._places)} frames of {frames.clip.path}; check onset and offset"
            )
        if lost:
            self._notes.append(f"the face is lost in {lost} of {len(self._places)} frames")

    def prepared(self, views: Collection[View]) -> Prepared:
        apex = flow = faces = volume = None
        if "flow" in views or "faces" in views:
            row = self._apex()
            apex = self._frames.numbers[row]
            flow = self._flow(row) if "flow" in views else None
            faces = self._faces(row) if "faces" in views else None
        if "volume" in views:
            shown = self._shown(range(len(self._places)))
            volume = np.stack([volume_frame(gray, transform) for gray, transform in shown])
        return Prepared(apex, flow, faces, volume, tuple(self._notes))

    def _shown(self, rows: Iterable[int]) -> list[tuple[Gray, NDArray[np.float64]]]:
        """Those of the frames that show the face, each with where it is."""
        places = ((row, self._places[row]) for row in rows)
        return [(self._frames.gray[row], at.transform) for row, at in places if at.found]

    def _apex(self) -> int:
        """Row of the apex: as annotated, or spotted."""
        frames, clip = self._frames, self._frames.clip
        if clip.apex is None or self._config.apex == "robust":
            row = self._spotted()
        else:
            row, note = frames.row_of(clip.apex)
            self._notes += [note] if note else []
        if row == 0:
            raise InputError(
                f"expected the apex after the onset, got both at frame {frames.numbers[0]} of "
                f"{clip.path}; correct the manifest, or leave the apex empty to have it spotted"
            )
        if not self._places[row].found:
            raise InputError(
                f"expected the onset's face again at the apex, frame {frames.numbers[row]} of "
                f"{clip.path}, got a match of {self._places[row].similarity:.2f}, below "
                f"{MIN_SIMILARITY}; check onset and apex"
            )
        return row

    def _spotted(self) -> int:
        frames, config = self._frames, self._config
        if len(frames.gray) < 3:
            raise InputError(
                f"expected at least 3 frames to spot the apex in, got {len(frames.gray)} in "
                f"{frames.clip.path}; name the apex in the manifest"
            )
        if config.apex == "article":
            every = range(len(frames.gray)) if config.landmarks == "each" else range(1)
            cells = fixed_cells(frames.gray, [self._marks(row) for row in every])
            eps = 1 if config.neighbour == "before" else -1
            row, rule = apex_of_cells(cells, method="article", eps=eps), "article"
        else:
            cells = stable_cells(self._places, self._layout)
            row, rule = apex_of_cells(cells, smoothing=config.smoothing * self._fps), "robust"
        assumed = "" if frames.fps else f", taking {USUAL_FPS:g} frames/s"
        self._notes.append(f"apex spotted: frame {frames.numbers[row]} ({rule}{assumed})")
        return row

    def _marks(self, row: int) -> NDArray[np.float64]:
        """The frame's own landmarks; where no face is found, the onset's, followed."""
        if row not in self._landmarks:
            try:
                self._landmarks[row] = locate(self._frames.gray[row], self._backend)
            except NoFaceError:
                start, here = (self._places[r].transform for r in (0, row))
                still = apply_affine(invert_affine(start), self._landmarks[0])
                self._landmarks[row] = apply_affine(here, still)
        return self._landmarks[row]

    def _place(self, row: int) -> NDArray[np.float64]:
        """Where a frame's crop lies: canonical units to pixels."""
        if self._config.landmarks == "each":
            return canonical_to_image(self._marks(row))
        return follow(self._places[0].transform, self._places[row].transform)

    def _flow(self, apex: int) -> NDArray[np.float32]:
        reach = average_reach(0, apex, self._fps, self._config.average)
        last = len(self._places)
        spans = (
            self._shown(range(max(0, centre - reach), min(last, centre + reach + 1)))
            for centre in (0, apex)
        )
        scale = float(scale_of(self._places[apex].transform))
        return flow_of_spans(*spans, scale=scale, config=self._config.flow).channels()

    def _faces(self, apex: int) -> NDArray[np.uint8]:
        """The apex and its neighbours; at an end of the clip, or where lost, the nearest again."""
        last = len(self._places) - 1
        rows = [int(np.clip(apex + step, 0, last)) for step in NEIGHBOURS]
        rows = [row if self._places[row].found else apex for row in rows]
        pairs = zip(self._frames.rgb(rows), rows, strict=True)
        return np.stack([face_crop(picture, self._place(row)) for picture, row in pairs])
