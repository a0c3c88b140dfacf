"""Movements planted in a recording: what the pixels do is what was asked for, and nothing else."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from micromimic.core.canonical import apply_affine, canvas_to_unit, invert_affine, scale_of
from micromimic.core.labels import REGIONS, THREE
from micromimic.face.units import UNIT_NAMES, unit_fields
from micromimic.media.video import VideoWriter, open_source
from micromimic.synthesis.bump_units import MIDLINE, PAIRED, BumpUnits, samples_a_unit
from micromimic.synthesis.clips import ClipConfig, plan_clip, planted_poses, render
from micromimic.synthesis.planted.plan import (
    LEAD_S,
    Ground,
    deal,
    movement_field,
    plan_copy,
)
from micromimic.synthesis.planted.source import PlantedSource, Warp, smoothed

FPS = 25.0
STILL = ClipConfig(
    seconds=2.0, fps=FPS, width=320, height=240, face_px=200.0, colour=True, noise_sd=0.0,
    flicker=0.0, light_drift=0.0, macros_per_minute=0, blinks_per_minute=0,
    head_moves_per_minute=0,
)  # fmt: skip


def ground_of(times: np.ndarray, transform: np.ndarray, first: np.ndarray | None = None) -> Ground:
    count = len(times)
    return Ground(
        times,
        np.zeros(count, int),
        np.tile(transform, (count, 1, 1)),
        np.arange(count) if first is None else first,
    )


FACE = cache(BumpUnits(0))


def copy_of(ground: Ground, seed: int = 0):
    return plan_copy(ground, FACE, deal(seed), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> tuple[Path, Ground]:
    """Four seconds of one picture, and where the face lies in it."""
    plan = plan_clip(STILL, seed=0)
    picture = next(render(plan, frames=range(1)))
    path = tmp_path_factory.mktemp("still") / "still.mkv"
    with VideoWriter(path, FPS, STILL.width, STILL.height) as writer:
        for _ in range(100):
            writer.write(picture)
    return path, ground_of(np.arange(100) / FPS, planted_poses(plan)[0])


# --- fields


def test_fields_are_another_source_of_the_same_units() -> None:
    bank = unit_fields(np.random.default_rng(0))
    bank /= np.linalg.norm(bank.reshape(len(bank), -1), axis=1)[:, None, None, None]
    likeness = []
    for name in [*(unit + side for unit in PAIRED for side in "LR"), *MIDLINE]:
        field = np.stack([cv2.resize(c, (84, 84), interpolation=cv2.INTER_AREA)
                          for c in BumpUnits(3)(name)])  # fmt: skip
        match = (bank * field / np.linalg.norm(field)).sum((1, 2, 3))
        assert UNIT_NAMES[int(match.argmax())] == name
        likeness.append(match.max())
    assert np.mean(likeness) < 0.95, "the same shapes would prove nothing"


def test_sides_are_the_persons_own_and_mirror_images() -> None:
    left, right = BumpUnits(0)("12L"), BumpUnits(0)("12R")
    size = left.shape[-1]
    assert np.hypot(*left)[:, size // 2 :].sum() > 20 * np.hypot(*left)[:, : size // 2].sum()
    assert left[0].sum() > 0 > right[0].sum(), "corners go outwards"
    assert left[1].sum() < 0 and right[1].sum() < 0, "and up"
    assert not np.array_equal(left, BumpUnits(1)("12L")), "faces differ"


def test_a_movement_has_a_largest_displacement_of_one() -> None:
    field, shares = movement_field(("6", "12"), BumpUnits(0), np.random.default_rng(0))
    assert np.hypot(*field).max() == pytest.approx(1)
    assert set(shares) == {"eyes", "mouth"}
    assert max(shares.values()) <= 1.0 + 1e-6
    _, alone = movement_field(("17",), BumpUnits(0), np.random.default_rng(0))
    assert alone == {"chin": pytest.approx(1)}


# --- when and what


def test_moments_are_even_whatever_the_face_does() -> None:
    times = np.arange(0, 12, 0.04)
    onsets = [
        move.interval.onset
        for seed in range(120)
        for move in copy_of(ground_of(times, np.eye(2, 3)), seed)
    ]
    counts, _ = np.histogram(onsets, bins=5, range=(LEAD_S, 11.0))
    assert counts.sum() == len(onsets)
    assert counts.min() > 0.75 * counts.mean()


def test_nothing_is_planted_without_a_face_or_across_stretches() -> None:
    times = np.arange(0, 12, 0.04)
    ground = ground_of(times, np.eye(2, 3))
    ground.segments[times > 4] = -1
    ground.segments[times > 7] = 1
    spans = [move.interval for seed in range(40) for move in copy_of(ground, seed)]
    assert spans
    assert all(span.offset <= 4 or span.onset >= 7 for span in spans)


def test_every_class_in_turn_and_every_part_of_the_face() -> None:
    ground = ground_of(np.arange(0, 200, 0.04), np.eye(2, 3) * 3)
    planted = copy_of(ground)
    assert [move.label for move in planted[:6]] == [*THREE, *THREE]
    assert {move.region for move in planted} == set(REGIONS)
    assert all(
        later.interval.onset - sooner.interval.offset > 1
        for sooner, later in itertools.pairwise(planted)
    )
    assert all(move.scale == pytest.approx(3) for move in planted)


def test_too_short_a_recording_holds_nothing() -> None:
    assert copy_of(ground_of(np.arange(0, 1.9, 0.04), np.eye(2, 3))) == ()


# --- pixels


def displacement(move, transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(..., 2) pixels: what a movement of one unit asks of points of the picture."""
    units = apply_affine(invert_affine(transform), points)
    canvas = apply_affine(invert_affine(canvas_to_unit(samples_a_unit(move.field))), units)
    at = canvas.astype(np.float32).reshape(-1, 1, 2)
    channels = move.field.astype(np.float32)
    field = np.stack([cv2.remap(c, at, None, cv2.INTER_LINEAR) for c in channels], -1)
    return field.reshape(points.shape) @ transform[:, :2].T


def test_measured_flow_is_the_field_asked_for(still) -> None:
    """Lucas and Kanade's, a small window at each corner: it smooths least."""
    path, ground = still
    ratios, errors = [], []
    for seed in range(8):
        (move,) = copy_of(ground, seed)
        size = 2.0 / move.scale  # px
        apex = int(np.abs(ground.times - move.interval.apex).argmin())
        with PlantedSource(open_source(path), Warp(ground, [move], size).apply) as source:
            before, after = (frame.gray for frame in source.frames_at([0, apex]))
        corners = cv2.goodFeaturesToTrack(before, 400, 0.005, 3)
        seen, found, _ = cv2.calcOpticalFlowPyrLK(
            before, after, corners, None, winSize=(7, 7), maxLevel=1
        )
        amount = size * move.envelope(ground.times[apex])
        assert amount > 0.8 * size
        asked = displacement(move, ground.transforms[apex], corners[:, 0].astype(float)) * amount
        far = (np.hypot(*asked.T) > 0.5) & (found[:, 0] > 0)
        flow = (seen - corners)[far, 0]
        ratios += ((flow * asked[far]).sum(1) / (asked[far] ** 2).sum(1)).tolist()
        errors += np.hypot(*(flow - asked[far]).T).tolist()
    assert len(ratios) > 150
    assert np.median(ratios) == pytest.approx(1.0, abs=0.06)
    assert np.median(errors) < 0.2


def test_the_inverse_is_exact(still) -> None:
    _, ground = still
    for move in copy_of(ground):
        apex = int(np.abs(ground.times - move.interval.apex).argmin())
        rows, columns, places = Warp(ground, [move], 1.0).places(apex, 320, 240)
        transform = ground.transforms[apex]
        moved = places + displacement(move, transform, places) * move.envelope(ground.times[apex])
        y, x = np.mgrid[rows, columns]
        assert np.abs(moved - np.stack([x, y], -1)).max() < 0.05  # px, of some 7


def test_size_zero_leaves_every_bit(still) -> None:
    path, ground = still
    warp = Warp(ground, copy_of(ground), 0.0)
    with open_source(path) as plain, PlantedSource(open_source(path), warp.apply) as planted:
        for one, other in zip(plain, planted, strict=True):
            assert np.array_equal(one.gray, other.gray)
            assert np.array_equal(one.rgb(), other.rgb())


def test_only_moving_skin_changes_and_colour_moves_with_grey(still) -> None:
    path, ground = still
    planted = copy_of(ground)
    warp = Warp(ground, planted, 0.6)
    moving = 0
    with open_source(path) as plain, PlantedSource(open_source(path), warp.apply) as source:
        for one, other in zip(plain, source, strict=True):
            inside = any(move.envelope(one.time) > 0 for move in planted)
            grey = one.gray != other.gray
            colour = (one.rgb() != other.rgb()).any(2)
            if not inside:
                assert not grey.any() and not colour.any()
                continue
            rows, columns, _ = warp.places(one.index, *one.gray.shape[::-1])
            outside = np.ones_like(grey)
            outside[rows, columns] = False
            assert not grey[outside].any() and not colour[outside].any()
            if grey.sum() > 500:
                moving += 1
                luma = [
                    cv2.cvtColor(f.rgb(), cv2.COLOR_RGB2GRAY).astype(float) for f in (one, other)
                ]
                change = other.gray.astype(float) - one.gray
                assert np.corrcoef((luma[1] - luma[0])[grey], change[grey])[0, 1] > 0.97
    assert moving > 3


def test_frames_asked_for_again_are_moved_alike(still) -> None:
    path, ground = still
    warp = Warp(ground, copy_of(ground), 0.6)
    with PlantedSource(open_source(path), warp.apply) as source:
        first = [frame.gray for frame in source]
        wanted = [3, 40, 41, 77]
        for frame in source.frames_at(wanted):
            assert np.array_equal(frame.gray, first[frame.index])


def test_a_repeated_frame_stays_a_repetition(still) -> None:
    path, ground = still
    pairs = ground_of(ground.times, ground.transforms[0], np.arange(100) // 2 * 2)
    warp = Warp(pairs, copy_of(pairs), 0.6)
    with PlantedSource(open_source(path), warp.apply) as source:
        frames = [frame.gray for frame in source]
    assert all(np.array_equal(frames[k], frames[k + 1]) for k in range(0, 100, 2))
    assert any(not np.array_equal(frames[k], frames[0]) for k in range(100))


def test_a_recording_can_be_ended_early(still) -> None:
    with PlantedSource(open_source(still[0]), max_seconds=1.0) as source:
        assert source.expected_frames == 26
        assert len(list(source)) == 26
        assert [frame.index for frame in source.frames_at([2, 20])] == [2, 20]


def test_smoothing_takes_the_shake_and_keeps_the_turn() -> None:
    times = np.arange(100) / FPS
    rng = np.random.default_rng(0)
    truth = np.tile(np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 60.0]]), (100, 1, 1))
    truth[:, 0, 2] = 100 + 30 * np.sin(times)
    segments = np.zeros(100, int)
    segments[40:50] = -1
    shaken = truth + np.where(np.arange(3) == 2, rng.normal(0, 0.5, truth.shape), 0)
    shaken[segments < 0] = np.nan
    result = smoothed(shaken, segments, times)
    found = segments >= 0
    assert np.abs(result - truth)[found].std() < 0.75 * np.abs(shaken - truth)[found].std()
    assert np.isnan(result[~found]).all()
    assert scale_of(result[0]) == pytest.approx(4.0)
