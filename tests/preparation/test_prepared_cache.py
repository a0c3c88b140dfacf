"""Prepared clips on disk: done once, continued, redone when what they were made of changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from micromimic.core.errors import InputError, OutputError
from micromimic.core.workers import Workers, on_workers
from micromimic.datasets.manifest import Clip
from micromimic.models.samples import View
from micromimic.preparation import cache as module
from micromimic.preparation.cache import (
    file_of,
    load_samples,
    prepare_all,
    prepared_notes,
    prepared_summary,
    read_prepared,
)
from micromimic.preparation.clip import ARTICLE, PrepareConfig, Prepared
from micromimic.synthesis.clips import plan_clip, render
from micromimic.synthesis.schedule import single_movement

CONFIG = replace(single_movement(1.6, 100.0), width=240, height=180, face_px=170.0, colour=True)
FRAMES = 9
LABELS = ("negative", "positive", "surprise")


class Encoder:
    """A view as it is, or something made of it."""

    def __init__(self, view: View, encode: Callable[[Any], Any] = np.asarray) -> None:
        self.view: View = view
        self.encode = encode


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    plan = plan_clip(CONFIG, 2)
    onset = round(plan.micro[0].onset * 100)
    return [f[..., ::-1] for f in render(plan, frames=range(onset, onset + 2 * FRAMES, 2))]


@pytest.fixture
def clips(tmp_path: Path, pictures: list[np.ndarray]) -> list[Clip]:
    made = []
    for number, label in enumerate(LABELS):
        folder = tmp_path / "db" / f"s{number}" / "clip"
        folder.mkdir(parents=True)
        for k, picture in enumerate(pictures):
            brighter = np.clip(picture.astype(int) + 3 * number, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"img{k}.bmp"), brighter)
        made.append(
            Clip("smic", f"s{number}", "s/ur 01", label, "frames", folder, apex=6, fps=50.0)
        )
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """Which clips were prepared, and for which views."""
    seen: list[tuple[str, tuple[str, ...]]] = []
    prepare = module.prepare_clip

    def spy(clip: Clip, views: Any, *args: Any, **named: Any) -> Prepared:
        seen.append((clip.subject, tuple(views)))
        return prepare(clip, views, *args, **named)

    monkeypatch.setattr(module, "prepare_clip", spy)
    return seen


def arrays(
    clips: list[Clip], cache: Path, view: View, config: PrepareConfig | None = None
) -> list[np.ndarray]:
    stored = [read_prepared(file_of(clip, view, cache, config)) for clip in clips]
    return [np.asarray(kept.view) for kept in stored if kept]


# --- what is done is not done again, and what is left is ---


def test_everything_is_prepared_once(clips: list[Clip], cache: Path, calls: list[Any]) -> None:
    told: list[tuple[int, int | None, str]] = []
    assert prepare_all(clips, ("flow", "volume"), cache, progress=lambda *a: told.append(a)) == []
    assert calls == [(f"s{k}", ("flow", "volume")) for k in range(3)]
    assert told == [(k, 3, "preparation") for k in range(4)]
    before = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(before) == 6
    assert all(name.startswith("smic_s") and name.endswith(".npz") for name in before)
    told.clear()
    assert prepare_all(clips, ("flow",), cache, progress=lambda *a: told.append(a)) == []
    assert told == [(3, 3, "preparation")]
    assert len(calls) == 3
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == before


def test_views_are_added_without_making_the_others_again(
    clips: list[Clip], cache: Path, calls: list[Any]
) -> None:
    rows = [replace(clip, apex=None) for clip in clips]
    assert prepare_all(rows, ("flow",), cache) == []
    flow, notes = arrays(rows, cache, "flow"), [prepared_notes(row, cache) for row in rows]
    assert prepare_all(rows, ("faces", "flow"), cache) == []
    assert calls[3:] == [(f"s{k}", ("faces",)) for k in range(3)]
    for before, after in zip(flow, arrays(rows, cache, "flow"), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [a.shape for a in arrays(rows, cache, "faces")] == [(5, 224, 224, 3)] * 3
    assert [prepared_notes(row, cache) for row in rows] == notes  # the same apex
    assert len(notes) == 3


@pytest.mark.parametrize("change", ["time", "size", "gone frame", "number", "setting"])
def test_what_changed_is_prepared_again(
    clips: list[Clip], cache: Path, calls: list[Any], change: str
) -> None:
    prepare_all(clips, ("volume",), cache)
    calls.clear()
    rows, config = list(clips), PrepareConfig()
    first = clips[0].path / "img3.bmp"
    if change == "time":
        os.utime(first, ns=(1, 1))
    elif change == "size":
        state = first.stat()
        first.write_bytes(first.read_bytes() + b"0")
        os.utime(first, ns=(state.st_atime_ns, state.st_mtime_ns))
    elif change == "gone frame":
        first.unlink()
    elif change == "number":
        rows[0] = replace(rows[0], offset=FRAMES - 2)
    else:
        config = PrepareConfig(smoothing=0.02)
    assert prepare_all(rows, ("volume",), cache, config=config) == []
    wanted = clips if change == "setting" else clips[:1]
    assert calls == [(clip.subject, ("volume",)) for clip in wanted]
    shorter = change in ("gone frame", "number")
    assert len(arrays(rows, cache, "volume", config)[0]) == FRAMES - shorter


def test_clips_prepared_in_several_ways_lie_side_by_side(
    clips: list[Clip], cache: Path, calls: list[Any]
) -> None:
    rows = [replace(clip, apex=None) for clip in clips]
    ways = [PrepareConfig(), PrepareConfig(apex="article"), ARTICLE]
    for way in ways:
        assert prepare_all(rows, ("faces",), cache, config=way) == []
    kept = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(kept) == 9
    calls.clear()
    for way in ways:
        assert prepare_all(rows, ("faces",), cache, config=way) == []
        rules = {note.split("(")[1] for row in rows for note in prepared_notes(row, cache, way)}
        assert rules == {"robust)" if way.apex == "annotated" else "article)"}
    assert calls == []
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == kept
    with pytest.raises(InputError, match="to be prepared"):
        load_samples(rows, Encoder("faces"), cache, PrepareConfig(apex="robust"))


def test_clips_that_changed_since_are_not_taken(clips: list[Clip], cache: Path) -> None:
    prepare_all(clips, ("flow",), cache)
    os.utime(clips[1].path / "img3.bmp", ns=(1, 1))
    load_samples(clips[:1], Encoder("flow"), cache)
    with pytest.raises(InputError, match="smic/s1/s/ur 01 to be prepared"):
        load_samples(clips, Encoder("flow"), cache)


def test_frames_outside_the_clip_do_not_count(
    clips: list[Clip], cache: Path, calls: list[Any]
) -> None:
    rows = [replace(clip, onset=1, offset=FRAMES - 1) for clip in clips]
    prepare_all(rows, ("volume",), cache)
    (clips[0].path / "img0.bmp").unlink()
    (clips[0].path / "Thumbs.db").write_text("x")
    assert prepare_all(rows, ("volume",), cache) == []
    assert len(calls) == 3


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "text", "array", "other zip"])
def test_damaged_files_are_made_again(
    clips: list[Clip], cache: Path, calls: list[Any], damage: str
) -> None:
    prepare_all(clips, ("flow", "volume"), cache)
    wanted = arrays(clips, cache, "volume")
    path = file_of(clips[1], "volume", cache)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "one bit":
        content[len(content) // 2] ^= 16
        path.write_bytes(content)
    elif damage == "array":
        np.save(path.with_suffix(".npy"), np.zeros(3))
        path.with_suffix(".npy").replace(path)
    elif damage == "other zip":
        np.savez(path, volume=np.zeros((9, 170, 140), np.uint8))
    else:
        path.write_bytes(b"" if damage == "empty" else b"nothing of the kind")
    with pytest.raises(InputError, match="smic/s1/s/ur 01 to be prepared .*datasets prepare"):
        load_samples(clips, Encoder("volume"), cache)
    calls.clear()
    assert prepare_all(clips, ("flow", "volume"), cache) == []
    assert calls == [("s1", ("volume",))]
    for before, after in zip(wanted, arrays(clips, cache, "volume"), strict=True):
        np.testing.assert_array_equal(before, after)


def test_an_interrupted_run_continues(
    clips: list[Clip], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    prepare = module.prepare_clip

    def stops(clip: Clip, *args: Any, **named: Any) -> Prepared:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(clip.subject)
        return prepare(clip, *args, **named)

    monkeypatch.setattr(module, "prepare_clip", stops)
    with pytest.raises(KeyboardInterrupt):
        prepare_all(clips, ("flow",), cache)
    assert sorted(path.suffix for path in cache.iterdir()) == [".npz", ".npz"]
    kept = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    done.clear()
    assert prepare_all(clips, ("flow",), cache) == []
    assert done == ["s2"]
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_processes_give_the_same_bits(clips: list[Clip], cache: Path, tmp_path: Path) -> None:
    views: tuple[View, ...] = ("flow", "faces", "volume")
    assert prepare_all(clips, views, cache) == []
    with on_workers(Workers(2)):
        assert prepare_all(clips, views, tmp_path / "other") == []
    for clip in clips:
        for view in views:
            other = file_of(clip, view, tmp_path / "other")
            assert other.read_bytes() == file_of(clip, view, cache).read_bytes()


def test_the_callers_backend_is_used(clips: list[Clip], cache: Path) -> None:
    from joblib import parallel_config

    with parallel_config("threading", n_jobs=2):
        assert prepare_all(clips, ("flow",), cache) == []
    assert len(arrays(clips, cache, "flow")) == 3


# --- failures ---


def test_failures_are_collected_with_their_reasons(
    clips: list[Clip], cache: Path, tmp_path: Path
) -> None:
    prepare_all(clips, ("flow",), cache)
    wall = np.full((90, 120), 99, np.uint8)
    for k in range(FRAMES):
        cv2.imwrite(str(clips[0].path / f"img{k}.bmp"), wall + k)
    gone = replace(clips[1], clip="gone", path=tmp_path / "gone")
    rows = [clips[0], gone, clips[1], replace(clips[2], clip="late", apex=300)]
    failed = prepare_all(rows, ("flow",), cache)
    assert [failure.clip for failure in failed] == [rows[0], rows[1], rows[3]]
    reasons = [failure.reason for failure in failed]
    assert "expected a face" in reasons[0]
    assert "expected a folder of frames at" in reasons[1]
    assert "expected the apex, frame 300" in reasons[2]
    assert not any("\n" in reason for reason in reasons)
    # what was made of the frames that are gone is gone too
    assert not file_of(clips[0], "flow", cache).exists()
    with pytest.raises(InputError, match="to be prepared"):
        load_samples(rows[:1], Encoder("flow"), cache)
    assert len(load_samples([rows[2]], Encoder("flow"), cache)) == 1
    told = prepared_summary(rows, failed, cache)
    assert told.startswith("1 of 4 clips prepared; ")
    assert str(cache) in told


def test_an_error_that_nobody_foresaw_is_a_failure_too(
    clips: list[Clip], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(clip: Clip, *args: Any, **named: Any) -> Prepared:
        raise cv2.error("line one\nline two")

    monkeypatch.setattr(module, "prepare_clip", breaks)
    failed = prepare_all(clips, ("flow",), cache)
    assert [failure.reason for failure in failed] == ["error: line one line two"] * 3


def test_a_cache_that_cannot_be_written_is_told(clips: list[Clip], cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(OutputError, match="choose another --cache"):
        prepare_all(clips, ("flow",), cache)


def test_views_that_a_kind_cannot_give_are_told_first(
    clips: list[Clip], cache: Path, calls: list[Any]
) -> None:
    rows = [*clips, replace(clips[0], clip="x", kind="image")]
    with pytest.raises(InputError, match="looks at flow, got kind image for smic/s0/x"):
        prepare_all(rows, ("flow",), cache)
    assert calls == []
    assert not cache.exists()
    with pytest.raises(InputError, match="looks at volume, got kind image"):
        load_samples(rows[3:], Encoder("volume"), cache)


# --- samples ---


def test_samples_are_lengthsin_the_order_of_the_clips(clips: list[Clip], cache: Path) -> None:
    prepare_all(clips, ("flow", "volume"), cache)
    rows = [clips[2], clips[0], clips[1]]
    samples = load_samples(rows, Encoder("volume", lambda v: v.mean((1, 2))), cache)
    assert samples.inputs.shape == (3, FRAMES)
    order = np.argsort(samples.inputs[:, 0])
    assert order.tolist() == [1, 2, 0]  # clip k is 3 k grey levels brighter
    assert samples.labels.tolist() == ["surprise", "negative", "positive"]
    assert samples.targets.tolist() == [2, 0, 1]
    assert samples.datasets.tolist() == ["smic"] * 3
    assert samples.subjects.tolist() == ["smic/s2", "smic/s0", "smic/s1"]
    assert samples.clips.tolist() == [clip.key for clip in rows]
    assert load_samples(clips, Encoder("flow"), cache).inputs.dtype == np.float32
    with pytest.raises(InputError, match="expected clips to load"):
        load_samples([], Encoder("flow"), cache)
    with pytest.raises(InputError, match="prepared for models that look at faces"):
        load_samples(clips, Encoder("faces"), cache)
    lengths = iter([np.zeros(3), np.zeros(4)])
    ragged = Encoder("flow", lambda view: next(lengths))
    with pytest.raises(InputError, match="one shape, got .3,. .* and .4,."):
        load_samples(clips, ragged, cache)


def test_flow_maps_need_no_cache(clips: list[Clip], cache: Path, tmp_path: Path) -> None:
    rows = []
    for k, clip in enumerate(clips):
        picture = np.random.default_rng(k).integers(0, 256, (28, 28, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), picture)
        rows.append(replace(clip, kind="flow_map", path=tmp_path / f"{k}.png"))
    assert prepare_all(rows, ("flow",), cache) == []
    assert not cache.exists()
    samples = load_samples(rows, Encoder("flow"), cache)
    wanted = cv2.imread(str(tmp_path / "1.png"))[..., ::-1].transpose(2, 0, 1)
    np.testing.assert_array_equal(samples.inputs[1], wanted)
    (tmp_path / "2.png").write_text("no picture")
    failed = prepare_all(rows, ("flow",), cache)
    assert [failure.clip for failure in failed] == rows[2:]
    assert "28 x 28" in failed[0].reason


def test_names_that_no_file_may_bear(tmp_path: Path, clips: list[Clip]) -> None:
    names = ["s01_ne_01", "s01/ne:01", "s01 ne 01", "é" * 300, "..", "S01_NE_01"]
    rows = [replace(clips[0], clip=name) for name in names]
    files = [file_of(row, "flow", tmp_path) for row in rows]
    assert len({file.name.casefold() for file in files}) == len(names)
    for file in files:
        assert file.parent == tmp_path
        assert len(file.name) < 128
        assert file.name.isascii()
        file.write_text("it can be written")


def test_the_summary_counts_what_matters(clips: list[Clip], cache: Path) -> None:
    rows = [replace(clips[0], apex=None), clips[1], clips[2]]
    (clips[2].path / "img4.bmp").unlink()
    failed = prepare_all(rows, ("flow",), cache)
    told = prepared_summary(rows, failed, cache)
    assert told.startswith(
        "3 of 3 clips prepared, apex spotted in 1, 1 with frames missing or the face lost in some; "
    )
