"""A public-domain face with known landmarks, whose lids can be closed.

The picture is scikit-image's ``astronaut`` (Eileen Collins, NASA, public domain), which lies inside
the scikit-image wheel: nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.synthesis.actors.base import ANCHORS, MIDDLE_HEIGHT, Array, Picture, cover

SUPERSAMPLING: Final = 2
"""Source pixels in one image pixel: bilinear sampling of the doubled picture moves it truly
sub-pixel, where OpenCV's bicubic kernel (a = -0.75) misplaces it by up to 0.04 px."""

_CROP: Final = 150.0  # side of the face in the photograph, pixels: what ``face_px`` is the width of
_CENTRE: Final = (225.0, 120.0)
_ANCHORS: Final = ((203.75, 101.25), (246.75, 102.75), (224.5, 143.75))

# The visible eye in the photograph: x, the top of the upper lashes, the edge of the lower lid.
_EYES: Final = (
    (
        (192.0, 195.6, 199.2, 202.8, 207.1, 211.4, 214.3),
        (101.3, 98.1, 96.2, 95.7, 96.5, 99.2, 102.8),
        (101.9, 102.8, 104.2, 105.0, 104.6, 104.1, 103.4),
    ),
    (
        (236.0, 239.2, 242.8, 247.1, 251.4, 255.7, 259.6),
        (105.3, 103.6, 101.1, 98.5, 98.6, 100.6, 104.3),
        (105.4, 106.2, 106.8, 107.1, 106.8, 105.7, 104.7),
    ),
)
_LASHES: Final = 2.4  # thickness of the lash line, photograph pixels
_LID: Final = 4.5  # skin above the lashes that stretches when the lid comes down
_TEXTURE_SD: Final = 1.03  # grey levels of fine skin texture, which the enlarged photograph lacks
_TEXTURE_GRAIN: Final = 0.9  # its size, image pixels (standard deviation of the blur)


@dataclass(frozen=True)
class _Lid:
    """One eye in the source picture; lengths in its pixels."""

    top: int  # of the region, like left
    left: int
    rows: Picture  # (h, w) row of each pixel
    upper: Picture  # (w,) rows of the eye's upper contour
    lower: Picture  # (w,) and of its lower one
    pixel: float  # one of the photograph

    def drop(self, closure: float) -> Picture:
        """(w,) rows by which the lid's edge comes down."""
        height = np.maximum(self.lower - self.upper - 0.5 * _LASHES * self.pixel, 0.0)
        return np.asarray(closure * height, dtype=np.float32)


@dataclass(frozen=True)
class Face:
    """A face ready to be moved."""

    # (2H, 2W) or (2H, 2W, 3) float32, grey levels, ``SUPERSAMPLING`` pixels an image pixel: source
    # pixel s is centred at image coordinate ``(s + 0.5) / 2 - 0.5``
    picture: Picture
    to_image: Array  # (2, 3) map from canonical units to image pixels, through the known anchors
    anchors: Array  # (3, 2) right eye (image-left), left eye, mouth, image pixels
    _lids: tuple[_Lid, ...] = ()

    def blink(self, closure: float) -> Picture:
        """The source picture with both lids brought down, from 0 (itself) to 1 (shut).

        The skin above the lashes stretches, the lashes ride down on its edge, and what of the eye
        lies below them stays.
        """
        if not 0.0 <= closure <= 1.0:
            raise ValueError(f"closure must be within 0..1, got {closure}")
        if closure == 0.0:
            return self.picture
        out = self.picture.copy()
        for lid in self._lids:
            _lower_lid(out, self.picture, lid, closure)
        return out

    def lowered(self, points: NDArray[np.floating], closure: float) -> Array:
        """Where (n, 2) points of the open eyes' lids are when the lids have come down."""
        moved = np.array(points, dtype=np.float64)
        for lid in self._lids:
            skin, lashes = _LID * lid.pixel, _LASHES * lid.pixel
            source = (moved + 0.5) * SUPERSAMPLING - 0.5
            width = lid.rows.shape[1]
            column = np.rint(source[:, 0]).astype(int) - lid.left
            inside = (column >= 0) & (column < width)
            column = np.clip(column, 0, width - 1)
            depth = source[:, 1] - lid.upper[column] + skin
            stretch = lid.drop(closure)[column] * np.clip(depth / skin, 0.0, 1.0)
            inside &= (depth > 0.0) & (depth < skin + lashes)
            moved[:, 1] += np.where(inside, stretch / SUPERSAMPLING, 0.0)
        return moved


def astronaut_face(
    face_px: float = 450.0,
    width: int = 640,
    height: int = 480,
    *,
    colour: bool = False,
    centre_x: float = 0.4983,
    second_face: float = 0.0,
) -> Face:
    """The astronaut's face, enlarged and placed; as of `ClipConfig`.

    >>> face = astronaut_face(450)
    >>> face.anchors.round(1).tolist()
    [[255.2, 198.8], [384.2, 203.2], [317.4, 326.2]]
    >>> bool(abs(face.blink(1.0) - face.picture).max() > 60)
    True
    """
    if face_px <= 0 or width < 16 or height < 16:
        raise ValueError(f"expected a size above 0, got face {face_px} in {width} x {height}")
    scale = face_px / _CROP
    shift = np.array([centre_x * width, MIDDLE_HEIGHT * height]) - scale * np.array(_CENTRE)
    anchors = np.array(_ANCHORS) * scale + shift
    size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    rgb = photograph()
    photo = np.asarray(rgb if colour else cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    picture = _place(photo, scale, shift, size)
    if second_face > 0.0:
        _add_second(picture, photo, second_face * scale, size)
    picture += _texture(size, 7, picture.ndim)
    linear = (anchors[1:] - anchors[0]).T @ np.linalg.inv((ANCHORS[1:] - ANCHORS[0]).T)
    to_image = np.column_stack([linear, anchors[0] - linear @ ANCHORS[0]])
    return Face(picture, to_image, anchors, tuple(_lid(eye, scale, shift) for eye in _EYES))


def backdrop(face: Face) -> Picture:
    """(2H, 2W[, 3]) a plain wall in the same light, for when the person has left."""
    height, width = face.picture.shape[:2]
    small = cv2.resize(face.picture, (3, 2), interpolation=cv2.INTER_AREA)
    wall = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(wall + _texture((width, height), 11, wall.ndim), dtype=np.float32)


@lru_cache(maxsize=1)
def photograph() -> NDArray[np.uint8]:
    """(512, 512, 3) RGB."""
    from skimage.data import astronaut  # noqa: PLC0415 - only pictures need scikit-image

    photo = np.asarray(astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    photo.setflags(write=False)
    return photo


def _place(photo: Picture, scale: float, shift: Array, size: tuple[int, int]) -> Picture:
    """Enlarge the photograph into the source picture."""
    k = scale * SUPERSAMPLING
    move = shift * SUPERSAMPLING + 0.5 * SUPERSAMPLING - 0.5
    matrix = np.array([[k, 0.0, move[0]], [0.0, k, move[1]]])
    cubic, reflect = cv2.INTER_CUBIC, cv2.BORDER_REFLECT
    placed = cv2.warpAffine(photo, matrix, size, flags=cubic, borderMode=reflect)
    return np.asarray(placed, dtype=np.float32)


def _texture(size: tuple[int, int], seed: int, dimensions: int) -> Picture:
    grain = np.random.default_rng(seed).standard_normal(size[::-1], dtype=np.float32)
    blurred = cv2.GaussianBlur(grain, (0, 0), _TEXTURE_GRAIN * SUPERSAMPLING)
    texture = np.asarray(blurred * (_TEXTURE_SD / blurred.std()), dtype=np.float32)
    return texture if dimensions == 2 else texture[..., None]


def _add_second(picture: Picture, photo: Picture, scale: float, size: tuple[int, int]) -> None:
    """Paste the mirrored head, softly masked, at the right edge of the picture."""
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    width, height = size[0] / SUPERSAMPLING, size[1] / SUPERSAMPLING
    middle = np.array([photo.shape[1] - 1 - _CENTRE[0], _CENTRE[1]])
    place = np.array([width - 0.42 * _CROP * scale, 0.45 * height])
    other = _place(mirrored, scale, place - scale * middle, size)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32) / SUPERSAMPLING
    radius = np.hypot((x - place[0]) / 0.45, (y - place[1]) / 0.62) / (_CROP * scale)
    cover(picture, other, np.clip((1.0 - radius) / 0.12, 0.0, 1.0))


def _lid(eye: tuple[tuple[float, ...], ...], scale: float, shift: Array) -> _Lid:
    """One eye's contours in the source picture."""
    x, upper, lower = (
        (np.array(values) * scale + shift[axis] + 0.5) * SUPERSAMPLING - 0.5
        for values, axis in zip(eye, (0, 1, 1), strict=True)
    )
    pixel = scale * SUPERSAMPLING
    left, right = int(x[0]) + 1, int(x[-1])
    top = int(upper.min() - _LID * pixel) - 1
    bottom = int(lower.max() + _LASHES * pixel) + 2
    columns = np.arange(left, right + 1)
    rows = np.repeat(np.arange(top, bottom + 1, dtype=np.float32)[:, None], len(columns), axis=1)
    contours = [np.interp(columns, x, contour) for contour in (upper, lower)]
    # the measured corners are few: rounding them keeps the lid's edge from showing facets
    smooth = [
        cv2.GaussianBlur(c.astype(np.float32)[None], (0, 0), pixel, borderType=cv2.BORDER_REPLICATE)
        for c in contours
    ]
    return _Lid(top, left, rows, smooth[0][0], smooth[1][0], pixel)


def _lower_lid(out: Picture, picture: Picture, lid: _Lid, closure: float) -> None:
    """Draw one lowered lid into ``out``."""
    height, width = lid.rows.shape
    area = np.s_[lid.top : lid.top + height, lid.left : lid.left + width]
    skin, lashes = _LID * lid.pixel, _LASHES * lid.pixel
    drop = lid.drop(closure)
    start = lid.upper - skin
    edge = lid.upper + drop
    depth = lid.rows - start
    stretched = start + depth * (skin / (skin + drop))
    rows = np.where(lid.rows < edge, stretched, lid.rows - drop)
    rows = np.where(depth < 0.0, lid.rows, rows).astype(np.float32)
    columns = np.broadcast_to(np.arange(lid.left, lid.left + width, dtype=np.float32), rows.shape)
    lowered = cv2.remap(picture, np.ascontiguousarray(columns), rows, cv2.INTER_LINEAR)
    # below the lashes the eye shows; the seam is as soft as the photograph
    shows = np.clip((edge + lashes - lid.rows) / lid.pixel + 0.5, 0.0, 1.0)
    shows *= np.clip(drop / (0.5 * lid.pixel), 0.0, 1.0)
    cover(out[area], lowered, shows)
