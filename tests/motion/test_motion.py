"""The article's curve, the apex, and the flow map, against slow references and planted truth."""

import numpy as np
import pytest

from micromimic.analysis.recognize import flow_between, recognize
from micromimic.core.canonical import apply_affine, canvas_to_unit, compose, invert_affine
from micromimic.core.errors import InputError, NoFaceError
from micromimic.face.align import face_canvas
from micromimic.motion.apex import apex_of_clip, cell_curves, normalise_gain
from micromimic.motion.flow import (
    FlowConfig,
    flow_map,
    match_brightness,
    pool,
    remove_rigid,
    rigid_units,
    strain_of,
    tv_l1,
)
from micromimic.synthesis.actors.face import astronaut_face
from micromimic.synthesis.clips import ClipConfig, plan_clip, planted_field, render


def slow_curve(cells, onset, offset, eps):
    """The formula of the article, pixel by pixel."""
    out = []
    for t in range(onset + eps, len(cells)):
        means = []
        for c in range(cells.shape[1]):
            total = 0.0
            for k in range(cells.shape[2]):
                now, before = float(cells[t, c, k]), float(cells[t - eps, c, k])
                noise = abs(now - before) + 1
                total += (abs(now - float(cells[onset, c, k])) + 1) / noise
                total += (abs(now - float(cells[offset, c, k])) + 1) / noise
            means.append(total / cells.shape[2])
        out.append(means)
    return np.array(out)


def test_the_neighbour_may_be_a_later_frame():
    """Time turned round, onset and offset change places: the later neighbour is the earlier one."""
    cells = np.random.default_rng(2).integers(0, 256, (9, 3, 5)).astype(np.uint8)
    back = cell_curves(cells[::-1], eps=1)[::-1]
    np.testing.assert_allclose(cell_curves(cells, eps=-1), back, rtol=1e-12)
    assert not np.allclose(cell_curves(cells, eps=1), back)


@pytest.mark.parametrize("eps", [1, 2])
def test_cell_curves_equal_the_formula(eps):
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 256, (9, 3, 5)).astype(np.uint8)
    curve = cell_curves(cells, 1, 7, eps)
    np.testing.assert_allclose(curve[1 + eps :], slow_curve(cells, 1, 7, eps), rtol=1e-12)
    np.testing.assert_allclose(curve[: 1 + eps], np.repeat(curve[[1 + eps]], 1 + eps, 0))


def test_curve_refuses_bad_intervals():
    cells = np.zeros((5, 2, 3))
    with pytest.raises(ValueError, match="onset < offset"):
        cell_curves(cells, 3, 2)
    with pytest.raises(ValueError, match="onset < offset"):
        cell_curves(cells, 0, 5)
    with pytest.raises(ValueError, match=r"\(T, c, k\)"):
        cell_curves(np.zeros((5, 2)))


def test_normalised_cells_do_not_see_gain_and_bias():
    rng = np.random.default_rng(1)
    picture = rng.uniform(50, 200, (1, 4, 30))
    gain = rng.uniform(0.8, 1.2, (6, 4, 1))
    bias = rng.uniform(-10, 10, (6, 4, 1))
    even = normalise_gain(picture * gain + bias)
    assert even.std(0).max() < 1.0
    assert (picture * gain + bias).std(0).max() > 10


SHORT = {
    "seconds": 2.5, "events_per_minute": 24.0, "macros_per_minute": 0, "blinks_per_minute": 0,
    "head_moves_per_minute": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    """Short clips of one movement each: frames from onset to offset, and the true apex."""
    made = []
    for seed in range(4):
        config = ClipConfig(**SHORT, peak_px=2.0, fps=200.0)
        plan = plan_clip(config, seed)
        move = plan.micro[0]
        onset, apex, offset = (round(t * 200) for t in (move.onset, move.apex, move.offset))
        frames = list(render(plan, frames=range(onset, offset + 1)))
        made.append((plan, frames, apex - onset))
    return made


def test_robust_apex_beats_the_article_under_drift(clips):
    errors = {
        method: [abs(apex_of_clip(frames, method=method) - apex) for _, frames, apex in clips]
        for method in ("robust", "article")
    }
    assert np.mean(errors["robust"]) <= 5
    assert np.mean(errors["robust"]) < np.mean(errors["article"])


def test_apex_counts_from_the_first_frame(clips):
    _, frames, _ = clips[0]
    padded = [frames[0]] * 7 + frames + [frames[-1]] * 3
    inside = apex_of_clip(padded, 7, 7 + len(frames) - 1)
    assert inside == 7 + apex_of_clip(frames)


def test_apex_refuses_bad_clips(clips):
    _, frames, _ = clips[0]
    with pytest.raises(InputError, match="at least 3 frames"):
        apex_of_clip(frames[:2])
    with pytest.raises(InputError, match="one size"):
        apex_of_clip([*frames[:3], frames[3][:-2]])
    with pytest.raises(ValueError, match="onset < offset"):
        apex_of_clip(frames, 5, 4)
    with pytest.raises(NoFaceError, match="found none"):
        apex_of_clip([np.zeros((100, 100), np.uint8)] * 4)
    with pytest.raises(InputError, match="uint8"):
        apex_of_clip([np.zeros((100, 100))] * 4)


def test_strain_of_pure_stretch_shear_and_rotation():
    y, x = np.mgrid[0:9, 0:9].astype(float)
    zero = 0 * x
    np.testing.assert_allclose(strain_of(np.stack([0.02 * x, zero])), 0.02, rtol=1e-6)
    shear = strain_of(np.stack([0.02 * y, 0.02 * x]))
    np.testing.assert_allclose(shear, 0.02 * np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(strain_of(np.stack([-0.02 * y, 0.02 * x])), 0, atol=1e-9)
    half = strain_of(np.stack([0.04 * x, zero]), spacing=2.0)
    np.testing.assert_allclose(half, 0.02, rtol=1e-6)


def test_rigid_motion_is_removed_and_a_local_one_kept():
    size = 96
    rigid = rigid_units(size, 3.0, 2.0)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    motion = np.stack([0.3 - 0.4 * y, -0.1 + 0.4 * x])
    np.testing.assert_allclose(remove_rigid(motion, rigid), 0, atol=1e-9)
    local = np.zeros_like(motion)
    local[1] = 0.5 * np.exp(-(((x - 0.2) / 0.08) ** 2) - ((y - 0.25) / 0.08) ** 2)
    left = remove_rigid(motion + local, rigid)
    assert np.abs(left - local).max() < 0.05


def test_pooling_keeps_means_and_places():
    config = FlowConfig(resolution=4.0, margin=2.0)
    plane = np.zeros((1, 128, 128))
    plane[0, 8 + 4 * 20 : 8 + 4 * 21, 8 + 4 * 5 : 8 + 4 * 6] = 3.0
    small = pool(plane, config)
    assert small.shape == (1, 28, 28)
    assert small[0, 20, 5] == pytest.approx(3.0)
    assert small.sum() == pytest.approx(3.0)


def test_flow_map_refuses_wrong_canvases():
    with pytest.raises(ValueError, match="canvases must be"):
        flow_map(np.zeros((10, 10)), np.zeros((10, 10)))


def test_matching_brightness_saves_tv_l1_from_light_drift():
    rng = np.random.default_rng(2)
    import cv2

    picture = cv2.GaussianBlur(rng.uniform(0, 255, (96, 96)).astype(np.float32), (0, 0), 2.0)
    picture = (picture - picture.mean()) * 6 + 120
    brighter = (picture * 1.05 + 3).astype(np.float32)
    lit = np.abs(tv_l1(picture, brighter)).mean()
    matched = np.abs(tv_l1(picture, match_brightness(picture, brighter, 12.0))).mean()
    assert matched < 0.05
    assert lit > 3 * matched


def _true_map(plan, move):
    """The planted field in canonical units, on the 28 x 28 grid."""
    import cv2

    config = plan.config
    face = astronaut_face(config.face_px, config.width, config.height, centre_x=config.face_x)
    field = planted_field(plan, move)
    centres = np.stack(np.meshgrid(np.arange(28) + 0.5, np.arange(28) + 0.5), -1)
    pixels = apply_affine(face.to_image, centres.reshape(-1, 2)).reshape(28, 28, 2)
    lattice = ((pixels - 0.5) / 2).astype(np.float32)
    sampled = cv2.remap(field, lattice[..., 0], lattice[..., 1], cv2.INTER_LINEAR)
    return np.moveaxis(sampled @ np.linalg.inv(face.to_image[:, :2]).T, 2, 0)


def test_flow_recovers_the_planted_field(clips):
    correlations, ratios = [], []
    for plan, frames, apex in clips:
        measured = flow_between(frames[0], frames[apex]).uv
        truth = _true_map(plan, 0)
        correlations.append(np.corrcoef(measured.ravel(), truth.ravel())[0, 1])
        strong = np.abs(truth) > 0.6 * np.abs(truth).max()
        ratios.append(np.abs(measured[strong]).mean() / np.abs(truth[strong]).mean())
    assert 0.6 < np.mean(ratios) < 1.3, "displacements are in canonical units"
    assert np.mean(correlations) > 0.85
    assert min(correlations) > 0.7


def test_recognize_names_the_movement(clips):
    right = 0
    for plan, frames, apex in clips:
        answer = recognize(frames[0], frames[apex])
        right += answer.label == plan.micro[0].recipe.label
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert answer.votes is None or answer.votes.sum() == pytest.approx(1, abs=1e-4)
    assert right >= len(clips) - 1


def test_recognize_takes_colour_and_landmarks_and_refuses_strangers(clips):
    from micromimic.face.landmarks import DlibLandmarks
    from micromimic.motion.apex import locate

    _, frames, apex = clips[0]
    marks = locate(frames[0], DlibLandmarks())
    colour = [np.repeat(frames[i][..., None], 3, 2) for i in (0, apex)]
    with_marks = recognize(*colour, landmarks=marks)
    plain = recognize(frames[0], frames[apex])
    assert with_marks.label == plain.label
    with pytest.raises(InputError, match="one size"):
        recognize(frames[0], frames[1][:-2])
    with pytest.raises(InputError, match="expected the onset's face again"):
        recognize(frames[0], np.random.default_rng(0).integers(0, 255, frames[0].shape, np.uint8))


def test_face_canvas_of_a_large_face_is_an_area_mean():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (400, 400), dtype=np.uint8)
    transform = np.array([[10.0, 0, 0], [0, 10.0, 0]])
    canvas = face_canvas(picture, transform, 2.0, 0.0)
    assert canvas.shape == (56, 56)
    # Canvas pixel (0, 0) covers units 0..0.5, image pixels 0..5 (centres -0.5..4.5).
    assert canvas.std() < 0.45 * picture.std()
    matrix = compose(transform, canvas_to_unit(2.0, 0.0))
    assert apply_affine(invert_affine(matrix), np.array([2.5, 2.5])) == pytest.approx([0, 0])
