"""Figures: what they show is what was passed, nothing overlaps, and nothing is left half done."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from micromimic.core.errors import InputError, MissingExtraError, OutputError
from micromimic.core.labels import CELLS, THREE
from micromimic.evaluation.article import RECALLS
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.report import clips, figures
from micromimic.evaluation.report.clips import (
    ClipSteps,
    cells_figure,
    figures_of_clip,
    steps_figure,
    steps_of_clip,
)
from micromimic.evaluation.report.figures import coverage_figure, curve_figure, reliability_figure
from micromimic.evaluation.report.plotting import FACE_NOTE, RED
from micromimic.face.cells import cell_boxes
from micromimic.face.landmarks import DlibLandmarks
from micromimic.motion.apex import locate
from micromimic.synthesis.clips import ClipConfig, plan_clip, render

from ..rows import Prediction, takes_rows

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is in the train extra")

FPS = 100.0
confusion_figure = takes_rows(figures.confusion_figure)


class Clip:
    """A smile (AU 12) of one pixel on a small face, grey, as the databases' cropped copies are."""

    def __init__(self) -> None:
        config = ClipConfig(
            seconds=2.5,
            events_per_minute=24.0,
            macros_per_minute=0,
            blinks_per_minute=0,
            head_moves_per_minute=0,
            peak_px=1.0,
            face_px=150,
            width=320,
            height=240,
            fps=FPS,
        )
        plan = plan_clip(config, 7)
        move = plan.micro[0]
        assert move.recipe.action_units == ("12",)
        first = round(move.onset * FPS)
        self.apex = round(move.apex * FPS) - first
        self.offset = round(move.offset * FPS) - first
        frames = list(render(plan))[first : first + self.offset + 1]
        self.frames = [np.ascontiguousarray(frame[20:235, 70:250]) for frame in frames]
        self.landmarks = locate(self.frames[0], DlibLandmarks())

    def steps(self) -> ClipSteps:
        return steps_of_clip(self.frames, self.apex, FPS, landmarks=self.landmarks)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    """Every figure that is saved while the test runs, laid out."""
    seen: list = []
    save = figures.save

    def keep(figure: object, out: Path) -> tuple[Path, Path]:
        paths = save(figure, out)
        seen.append(figure)
        return paths

    for module in (figures, clips):
        monkeypatch.setattr(module, "save", keep)
    return seen


def composite(share: float = 1.0) -> list[Prediction]:
    from micromimic.evaluation.article import TABLE_1

    rows, rng = [], np.random.default_rng(0)
    for dataset in ("smic", "casme2", "samm"):
        counts = TABLE_1[dataset]
        labels = [name for name, n in zip(THREE.names, counts.clips, strict=True) for _ in range(n)]
        for k, label in enumerate(labels):
            guess = label if rng.random() < 0.7 else THREE.names[rng.integers(3)]
            if k % counts.subjects < share * counts.subjects:
                who = f"{k % counts.subjects:03d}"
                rows.append(Prediction(dataset, who, f"c{k}", 0, 0, label, guess, (0.3, 0.3, 0.4)))
    return rows


def texts(figure: object) -> list[str]:
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


def expect_tidy(figure: object) -> None:
    """All text lies inside the figure, and no two texts of it overlap."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    boxes: dict = {}
    draw = renderer.draw_text

    def keep(*args: object, mtext: object = None, **others: object) -> None:
        if mtext is not None and mtext.get_text().strip():  # what is not drawn can cover nothing
            boxes[mtext] = mtext.get_window_extent(renderer)
        draw(*args, mtext=mtext, **others)

    renderer.draw_text = keep
    canvas.draw()
    assert len(boxes) > 5
    for text, box in boxes.items():
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
        assert text.get_fontsize() >= 7.0, text
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one.get_text(), other.get_text())


def expect_pictures(paths: tuple[Path, ...]) -> None:
    for path in paths:
        assert path.is_file()
        if path.suffix == ".png":
            picture = cv2.imread(str(path))
            assert picture.shape[1] >= 900
            assert len(np.unique(picture)) > 10
        else:
            assert path.read_text(encoding="utf-8").rstrip().endswith("</svg>")


# -------------------------------------------------------------------------------- figure 5


def test_confusion_shows_counts_and_recalls(tmp_path: Path, drawn: list) -> None:
    rows = composite()
    paths = confusion_figure(rows, tmp_path / "sub" / "v1.0", title="flow-capsnet")
    assert [path.name for path in paths] == ["v1.0.png", "v1.0.svg"]
    expect_pictures(paths)
    told = texts(drawn[0])
    for true, said in itertools.product(THREE.names, THREE.names):
        count = sum(r.y_true == true and r.y_pred == said for r in rows)
        total = sum(r.y_true == true for r in rows)
        assert str(count) in told
        assert f"{count / total:.3f}" in told
        assert f"{true}\nn = {total}" in told
    assert "flow-capsnet" in told
    note = next(text for text in told if "UF1" in text)
    assert "442 clips of 68 subjects" in note
    assert all(
        f"{value:.3f} {name}" in note for value, name in zip(RECALLS, THREE.names, strict=True)
    )
    expect_tidy(drawn[0])


@pytest.mark.parametrize(
    ("share", "beside", "printed"),
    [(1.0, None, True), (0.5, None, False), (1.0, False, False), (0.5, True, True)],
)
def test_the_articles_recalls_stand_only_beside_its_clips(
    tmp_path: Path, drawn: list, share: float, beside: bool | None, printed: bool
) -> None:
    confusion_figure(composite(share), tmp_path / "c", beside_article=beside)
    assert any("The article's recalls" in text for text in texts(drawn[0])) == printed


def test_confusion_without_a_class_and_of_one_subject(tmp_path: Path, drawn: list) -> None:
    rows = [
        Prediction("own", "s", f"c{k}", 0, 0, THREE.names[k % 2], "negative", (1.0, 0.0, 0.0))
        for k in range(4)
    ]
    confusion_figure(rows, tmp_path / "c")
    told = texts(drawn[0])
    assert "surprise\nn = 0" in told
    assert any("4 clips of 1 subject, pooled" in text for text in told)
    assert "nan" not in " ".join(told)
    expect_tidy(drawn[0])
    with pytest.raises(InputError, match="each clip once"):
        confusion_figure([*rows, rows[0]], tmp_path / "d")
    assert not list(tmp_path.glob("d*"))


@pytest.mark.parametrize("count", [2, 5, 7])
def test_figures_of_any_classes_are_tidy(tmp_path: Path, drawn: list, count: int) -> None:
    names = ["anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"][:count]
    rng = np.random.default_rng(0)
    rows = Predictions.of(
        ["lab"] * 90,
        [f"s{k % 9}" for k in range(90)],
        [f"c{k}" for k in range(90)],
        rng.choice(names, 90),
        rng.dirichlet(np.ones(count), 90),
        labels=names,
    )
    confusion_figure(rows, tmp_path / "c", title="mine")
    told = texts(drawn[0])
    assert all(told.count(name) == 1 for name in names)  # below; at the side with their number
    assert not any("article" in text for text in told)
    expect_tidy(drawn[0])
    for draw in (reliability_figure, coverage_figure):
        expect_pictures(draw(rows, tmp_path / draw.__name__, title="mine"))


def test_the_coverage_curve_says_which_class_is_gone_from_where_on(
    tmp_path: Path, drawn: list
) -> None:
    """Of ten clips the surest eight are two classes', the surest four one's: UF1 falls there."""
    truth = ["negative"] * 4 + ["positive"] * 4 + ["surprise"] * 2
    sure = np.linspace(0.95, 0.5, 10)
    p = np.full((10, 3), (1 - sure)[:, None] / 2)
    p[np.arange(10), THREE.encode(truth)] = sure
    rows = Predictions.of(["lab"] * 10, map(str, range(10)), "abcdefghij", truth, p, labels=THREE)
    expect_pictures(coverage_figure(rows, tmp_path / "c", title="flow-capsnet"))
    expect_tidy(drawn[0])
    (note,) = (text for text in texts(drawn[0]) if "coverage UF1" in text)
    words = "no clip of a class is left (positive from 45 % on, surprise from 85 % on); it counts 0"
    assert words in " ".join(note.split())
    rings = [line for line in drawn[0].axes[0].lines if line.get_marker() == "o"]
    places = [[float(v[0]) for v in ring.get_data()] for ring in rings]  # of the 8 and 4 surest
    assert places == [[0.85, pytest.approx(2 / 3)], [0.45, pytest.approx(1 / 3)]]
    coverage_figure(rows[rows["y_true"] == "surprise"].assign(y_true="negative"), tmp_path / "d")
    assert "surprise from 100 % on" in " ".join(" ".join(texts(drawn[1])).split())


# -------------------------------------------------------------------------------- figure 3


def test_curve_has_the_annotated_apex_as_a_red_line(tmp_path: Path, drawn: list) -> None:
    curve = np.sin(np.linspace(0, np.pi, 61)) + 2
    expect_pictures(curve_figure(curve, 27, 30, 200.0, tmp_path / "c", title="EP02_01f"))
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    annotated, spotted = lines["annotated apex"], lines["spotted apex"]
    assert set(annotated.get_xdata()) == {27 / 200}
    assert matplotlib.colors.same_color(annotated.get_color(), RED)
    red, green, blue = matplotlib.colors.to_rgb(RED)
    assert red > 2 * max(green, blue)
    assert annotated.is_dashed() is False
    assert set(spotted.get_xdata()) == {30 / 200}
    assert spotted.is_dashed()
    assert lines["M(t)"].get_ydata() == pytest.approx(curve)
    assert lines["M(t)"].get_xdata() == pytest.approx(np.arange(61) / 200)
    assert {"time from onset (s)", "frames from onset", "EP02_01f"} <= set(texts(drawn[0]))
    expect_tidy(drawn[0])


def test_curve_without_apexes_or_rate_counts_frames(tmp_path: Path, drawn: list) -> None:
    curve_figure(np.arange(5.0), None, None, None, tmp_path / "c")
    axes = drawn[0].axes[0]
    assert [line.get_label() for line in axes.lines] == ["M(t)"]
    assert list(axes.lines[0].get_xdata()) == [0, 1, 2, 3, 4]
    assert axes.get_xlabel() == "frames from onset"
    expect_tidy(drawn[0])


@pytest.mark.parametrize(
    ("curve", "apex", "message"),
    [
        (np.ones((3, 2)), None, "curve must be"),
        (np.ones(1), None, "curve must be"),
        (np.array([1.0, np.nan]), None, "curve must be"),
        (np.ones(4), 4, "expected an apex from 0 to 3, got 4"),
    ],
)
def test_wrong_curves_are_told(
    tmp_path: Path, curve: np.ndarray, apex: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        curve_figure(curve, apex, None, None, tmp_path / "c")
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------- figures 2 and 4


def test_a_clip_gives_all_three_figures(tmp_path: Path, clip: Clip, drawn: list) -> None:
    paths = figures_of_clip(clip.frames, clip.apex, FPS, tmp_path / "clip")
    assert [path.name for path in paths] == [
        f"{name}.{kind}" for name in ("cells", "curve", "steps") for kind in ("png", "svg")
    ]
    expect_pictures(paths)
    for figure in drawn:
        expect_tidy(figure)
    with_note = [any(FACE_NOTE in text for text in texts(figure)) for figure in drawn]
    assert with_note == [True, False, True]  # a curve shows no face


def test_cells_lie_where_the_landmarks_put_them_and_show_the_smile(
    tmp_path: Path, clip: Clip, drawn: list
) -> None:
    cells_figure(clip.frames, clip.apex, clip.landmarks, tmp_path / "c")
    face, *changes = [axes for axes in drawn[0].axes if axes.images][:4]
    boxes = cell_boxes(clip.landmarks)
    for axes in (face, *changes):
        shown = np.array([[p.get_x(), p.get_y(), p.get_width()] for p in axes.patches])
        assert len(shown) == 10
        shift = shown[:, :2] - boxes[:, :2]
        assert shift == pytest.approx(np.tile(shift[0], (10, 1)))  # one window for all
        assert shown[:, 2] == pytest.approx(boxes[:, 2] - boxes[:, 0])
    patches = dict(zip(CELLS, changes[0].patches, strict=True))

    def inside(axes: object, name: str) -> float:
        patch = patches[name]
        x, y, side = (round(v) for v in (patch.get_x(), patch.get_y(), patch.get_width()))
        return float(np.mean(axes.images[0].get_array()[max(y, 0) : y + side, x : x + side]))

    mouth = [inside(changes[0], f"mouth_corner_{side}") for side in ("right", "left")]
    assert min(mouth) > 1.5 * inside(changes[0], "brow_centre")
    for name in ("mouth_corner_right", "mouth_corner_left"):
        assert inside(changes[2], name) < 0.7 * inside(changes[0], name)  # one frame apart
    assert {axes.images[0].get_clim() for axes in changes} == {changes[0].images[0].get_clim()}


def test_a_change_of_light_alone_is_no_difference() -> None:
    rng = np.random.default_rng(0)
    face = cv2.GaussianBlur(rng.normal(size=(120, 120)), (0, 0), 3)
    face = (130 + 30 * face / face.std()).clip(10, 245)
    darker = np.round(0.85 * face + 12).astype(np.uint8)
    moved = np.round(face).astype(np.uint8)
    moved[40:60, 40:60] = np.roll(moved, 2, axis=1)[40:60, 40:60]
    change = clips._change(moved, darker)
    inside = change[42:58, 42:58].mean()
    change[36:64, 36:64] = 0
    assert change.mean() < 0.5  # rounding
    assert inside > 10 * change.mean()


def test_steps_hold_what_the_preprocessing_makes(clip: Clip) -> None:
    steps = clip.steps()
    assert abs(steps.spotted - clip.apex) <= 4
    assert steps.apex == steps.annotated == clip.apex
    assert steps.curve.shape == (clip.offset + 1,)
    assert steps.face.shape == (224, 224, 3)
    # a smile draws the mouth's corners up and outwards: right of the picture is right
    u, v = steps.flow.uv
    right, left = (slice(18, 22), slice(5, 9)), (slice(18, 22), slice(18, 22))
    assert v[right].mean() < 0 > v[left].mean()
    assert u[right].mean() < 0 < u[left].mean()
    free = steps_of_clip(clip.frames, None, FPS, landmarks=clip.landmarks)
    assert free.annotated is None
    assert free.apex == free.spotted == steps.spotted


def test_steps_are_joined_by_arrows_and_tell_which_apex(
    tmp_path: Path, clip: Clip, drawn: list
) -> None:
    from matplotlib.patches import ConnectionPatch

    steps_figure(clip.steps(), tmp_path / "c")
    assert len(drawn[0].findobj(ConnectionPatch)) == 4
    assert len(drawn[0].axes) == 5
    assert len(drawn[0].axes[0].lines[0].get_xdata()) == 68
    assert any("Red line: annotated apex" in text for text in texts(drawn[0]))


def test_colour_frames_keep_their_colour(tmp_path: Path, clip: Clip, drawn: list) -> None:
    tint = np.array([1.0, 0.8, 0.6])
    frames = [np.round(frame[..., None] * tint).astype(np.uint8) for frame in clip.frames]
    cells_figure(frames, clip.apex, clip.landmarks, tmp_path / "c")
    shown = drawn[0].axes[0].images[0].get_array()
    assert shown.shape[2] == 3
    assert shown[..., 0].mean() > 1.2 * shown[..., 1].mean() > shown[..., 2].mean()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"apex": 40}, ValueError, "an apex from 0 to"),
        ({"apex": -1}, ValueError, "an apex from 0 to"),
        ({"apex": None, "count": 2}, InputError, "at least 3 frames"),
        ({"fps": 0.0}, ValueError, "fps above 0"),
        ({"size": True}, InputError, "frames of one size"),
        ({"gone": True}, InputError, "lost it in"),
    ],
)
def test_wrong_clips_are_told_before_anything_is_written(
    tmp_path: Path, clip: Clip, change: dict, error: type[Exception], message: str
) -> None:
    frames = list(clip.frames)
    change = dict(change)
    frames = frames[: change.pop("count", len(frames))]
    if change.pop("size", False):
        frames[5] = frames[5][:-2]
    if change.pop("gone", False):
        noise = np.random.default_rng(0).integers(0, 255, frames[0].shape)
        frames[8:14] = [noise.astype(np.uint8)] * 6
    settings = {"apex": clip.apex, "fps": FPS} | change
    with pytest.raises(error, match=message) as caught:
        figures_of_clip(
            frames,
            settings["apex"],
            settings["fps"],
            tmp_path / "f",
            landmarks=clip.landmarks,
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "f").exists()


# ----------------------------------------------------------------------------- all figures


def _curve(out: Path) -> tuple[Path, Path]:
    return curve_figure(np.array([1.0, 3.0, 2.0]), 1, 1, 100.0, out)


def _confusion(out: Path) -> tuple[Path, Path]:
    return confusion_figure(composite(0.3), out)


@pytest.mark.parametrize("draw", [_curve, _confusion])
def test_the_same_figure_gives_the_same_files(
    tmp_path: Path, draw: Callable[[Path], tuple[Path, Path]]
) -> None:
    first, second = draw(tmp_path / "a"), draw(tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_callers_own_plots_are_left_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 31.0, "axes.facecolor": "black"}):
        paths = _curve(tmp_path / "dark")
        assert matplotlib.rcParams["font.size"] == 31.0
    assert dict(matplotlib.rcParams) == before
    plain = _curve(tmp_path / "plain")
    assert paths[0].read_bytes() == plain[0].read_bytes()


def test_no_pyplot_and_nothing_heavy_at_import() -> None:
    code = (
        "import sys; import micromimic.evaluation.report.figures; "
        "assert 'matplotlib' not in sys.modules, 'imported too early'; "
        "from pathlib import Path; import tempfile, numpy as np; "
        "from micromimic.evaluation.report.figures import curve_figure; "
        "curve_figure(np.array([1., 2.]), 0, 1, 9., Path(tempfile.mkdtemp()) / 'c'); "
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot was used'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'micromimic\[train\]'"):
        _curve(tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_an_unwritable_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another --out"):
        _curve(tmp_path / "file" / "c")
