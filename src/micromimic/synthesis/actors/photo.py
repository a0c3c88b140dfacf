"""A public-domain face with known landmarks, whose lids can be closed: the actor of the clips.

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

from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, MOUTH

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
    """One eye in the source picture: where it lies and how its rows move.

    Args:
        top, left: corner of the region in the source picture.
        rows: (h, w) row of each pixel, source pixels.
        upper, lower: (w,) rows of the eye's upper and lower contour.
    """

    top: int
    left: int
    rows: NDArray[np.float32]
    upper: NDArray[np.float32]
    lower: NDArray[np.float32]


@dataclass(frozen=True)
class Face:
    """A face ready to be moved.

    Args:
        picture: (2H, 2W) or (2H, 2W, 3) float32, grey levels, ``SUPERSAMPLING`` pixels an image
            pixel: source pixel s is centred at image coordinate ``(s + 0.5) / 2 - 0.5``.
        to_image: (2, 3) map from canonical units to image pixels, through the known anchors.
        anchors: (3, 2) right eye (image-left), left eye, mouth, image pixels.
        scale: image pixels in one pixel of the photograph.
    """

    picture: NDArray[np.float32]
    to_image: NDArray[np.float64]
    anchors: NDArray[np.float64]
    scale: float
    _lids: tuple[_Lid, ...]

    def blink(self, closure: float) -> NDArray[np.float32]:
        """The source picture with both lids brought down.

        The skin above the lashes stretches, the lashes ride down on its edge, and what of the eye
        lies below them stays.

        Args:
            closure: 0 open (the picture itself) to 1 closed.

        Raises:
            ValueError: if closure is outside 0..1.
        """
        if not 0.0 <= closure <= 1.0:
            raise ValueError(f"closure must be within 0..1, got {closure}")
        if closure == 0.0:
            return self.picture
        out = self.picture.copy()
        pixel = self.scale * SUPERSAMPLING
        for lid in self._lids:
            _lower_lid(out, self.picture, lid, closure, pixel)
        return out

    def lowered(self, points: NDArray[np.floating], closure: float) -> NDArray[np.float64]:
        """Where points of the open eyes' lids are when the lids have come down.

        Args:
            points: (n, 2) image pixels; those beside the lids stay.
            closure: 0 open to 1 closed.

        >>> face = astronaut_face(450)
        >>> lid = np.array([[255.0, 186.0]])  # on the upper lid's edge
        >>> bool(8.0 < (face.lowered(lid, 1.0) - lid)[0, 1] < 30.0)
        True
        """
        moved = np.array(points, dtype=np.float64)
        pixel = self.scale * SUPERSAMPLING
        skin, lashes = _LID * pixel, _LASHES * pixel
        for lid in self._lids:
            source = (moved + 0.5) * SUPERSAMPLING - 0.5
            width = lid.rows.shape[1]
            column = np.rint(source[:, 0]).astype(int) - lid.left
            inside = (column >= 0) & (column < width)
            column = np.clip(column, 0, width - 1)
            drop = _drop(lid, closure, pixel)[column]
            depth = source[:, 1] - lid.upper[column] + skin
            stretch = drop * np.clip(depth / skin, 0.0, 1.0)
            inside &= (depth > 0.0) & (depth < skin + lashes)
            moved[:, 1] += np.where(inside, stretch / SUPERSAMPLING, 0.0)
        return moved


def _drop(lid: _Lid, closure: float, pixel: float) -> NDArray[np.float32]:
    """(w,) rows by which a lid's edge comes down."""
    height = np.maximum(lid.lower - lid.upper - 0.5 * _LASHES * pixel, 0.0)
    return np.asarray(closure * height, dtype=np.float32)


def astronaut_face(
    face_px: float = 450.0,
    width: int = 640,
    height: int = 480,
    *,
    colour: bool = False,
    centre: tuple[float, float] = (0.4983, 0.53125),
    second_face: float = 0.0,
    seed: int = 7,
) -> Face:
    """The astronaut's face, enlarged and placed.

    Args:
        face_px: width of the square face crop (ear to ear, brow to chin and a margin) in image
            pixels; eyes lie 0.287 of it apart: 450 gives 129 px.
        width, height: of the frame, pixels.
        colour: RGB instead of grey.
        centre: where the crop's centre lies, in shares of width and height.
        second_face: size of a second person (the face mirrored) at the right edge, as a share of
            the first; 0 for none.
        seed: of the skin texture.

    Raises:
        ValueError: if the size is not above 0.

    >>> face = astronaut_face(450)
    >>> face.anchors.round(1).tolist()
    [[255.2, 198.8], [384.2, 203.2], [317.4, 326.2]]
    >>> bool(abs(face.blink(1.0) - face.picture).max() > 60)
    True
    """
    if face_px <= 0 or width < 16 or height < 16:
        raise ValueError(f"expected a size above 0, got face {face_px} in {width} x {height}")
    scale = face_px / _CROP
    shift = np.array([centre[0] * width, centre[1] * height]) - scale * np.array(_CENTRE)
    anchors = np.array(_ANCHORS) * scale + shift
    size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    picture = _place(_photograph(colour), scale, shift, size)
    if second_face > 0.0:
        _add_second(picture, _photograph(colour), second_face * scale, size)
    picture += _texture(size, seed, picture.ndim)
    lids = tuple(_lid(eye, scale, shift) for eye in _EYES)
    return Face(picture, _affine_through(anchors), anchors, scale, lids)


def backdrop(face: Face) -> NDArray[np.float32]:
    """(2H, 2W[, 3]) a plain wall in the same light, for when the person has left."""
    height, width = face.picture.shape[:2]
    small = cv2.resize(face.picture, (3, 2), interpolation=cv2.INTER_AREA)
    wall = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(wall + _texture((width, height), 11, wall.ndim), dtype=np.float32)


@lru_cache(maxsize=2)
def _photograph(colour: bool) -> NDArray[np.float32]:
    from skimage.data import astronaut  # noqa: PLC0415 - only clips need scikit-image

    photo = np.asarray(astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    chosen = photo if colour else np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))
    result = np.asarray(chosen, dtype=np.float32)
    result.setflags(write=False)
    return result


def _place(
    photo: NDArray[np.float32], scale: float, shift: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Enlarge the photograph into the source picture."""
    k = scale * SUPERSAMPLING
    move = shift * SUPERSAMPLING + 0.5 * SUPERSAMPLING - 0.5
    matrix = np.array([[k, 0.0, move[0]], [0.0, k, move[1]]])
    placed = cv2.warpAffine(
        photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(placed, dtype=np.float32)


def _texture(size: tuple[int, int], seed: int, dimensions: int) -> NDArray[np.float32]:
    grain = np.random.default_rng(seed).standard_normal(size[::-1], dtype=np.float32)
    blurred = cv2.GaussianBlur(grain, (0, 0), _TEXTURE_GRAIN * SUPERSAMPLING)
    texture = np.asarray(blurred * (_TEXTURE_SD / blurred.std()), dtype=np.float32)
    return texture if dimensions == 2 else texture[..., None]


def _add_second(
    picture: NDArray[np.float32],
    photo: NDArray[np.float32],
    scale: float,
    size: tuple[int, int],
) -> None:
    """Paste the mirrored head, softly masked, at the right edge of the picture."""
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    width, height = size[0] / SUPERSAMPLING, size[1] / SUPERSAMPLING
    middle = np.array([photo.shape[1] - 1 - _CENTRE[0], _CENTRE[1]])
    place = np.array([width - 0.42 * _CROP * scale, 0.45 * height])
    other = _place(mirrored, scale, place - scale * middle, size)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32) / SUPERSAMPLING
    radius = np.hypot((x - place[0]) / 0.45, (y - place[1]) / 0.62) / (_CROP * scale)
    mask = np.clip((1.0 - radius) / 0.12, 0.0, 1.0)
    mask = mask if picture.ndim == 2 else mask[..., None]
    picture += (other - picture) * mask


def _affine_through(anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) map that takes the canonical anchors to these."""
    units = np.array([EYE_RIGHT, EYE_LEFT, MOUTH])
    linear = (anchors[1:] - anchors[0]).T @ np.linalg.inv((units[1:] - units[0]).T)
    return np.column_stack([linear, anchors[0] - linear @ units[0]])


def _lid(
    eye: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]],
    scale: float,
    shift: NDArray[np.float64],
) -> _Lid:
    """One eye's contours in the source picture."""

    def source(value: float, axis: int) -> float:
        return float((value * scale + shift[axis] + 0.5) * SUPERSAMPLING - 0.5)

    x = np.array([source(value, 0) for value in eye[0]])
    upper = np.array([source(value, 1) for value in eye[1]])
    lower = np.array([source(value, 1) for value in eye[2]])
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
    return _Lid(top, left, rows, smooth[0][0], smooth[1][0])


def _lower_lid(
    out: NDArray[np.float32],
    picture: NDArray[np.float32],
    lid: _Lid,
    closure: float,
    pixel: float,
) -> None:
    """Draw one lowered lid into ``out``; ``pixel`` is one photograph pixel in the source."""
    height, width = lid.rows.shape
    area = np.s_[lid.top : lid.top + height, lid.left : lid.left + width]
    skin, lashes = _LID * pixel, _LASHES * pixel
    drop = _drop(lid, closure, pixel)
    start = lid.upper - skin
    edge = lid.upper + drop
    depth = lid.rows - start
    stretched = start + depth * (skin / (skin + drop))
    carried = lid.rows - drop
    rows = np.where(lid.rows < edge, stretched, carried)
    rows = np.where(depth < 0.0, lid.rows, rows).astype(np.float32)
    columns = np.broadcast_to(
        np.arange(lid.left, lid.left + width, dtype=np.float32), (height, width)
    )
    lowered = cv2.remap(picture, np.ascontiguousarray(columns), rows, cv2.INTER_LINEAR)
    # below the lashes the eye shows; the seam is as soft as the photograph
    shows = np.clip((edge + lashes - lid.rows) / pixel + 0.5, 0.0, 1.0)
    shows *= np.clip(drop / (0.5 * pixel), 0.0, 1.0)
    shows = shows if picture.ndim == 2 else shows[..., None]
    out[area] += (lowered - out[area]) * shows
