"""The last seconds of one unbroken stretch of tracking, filtered as they come.

The same gates, smoothing and filters as `motion.spotting.spot`, over a sliding window. Only what a
new sample can change is filtered again: usually the filters' own width, more while a blink is
being recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.face.signals import FaceRow
from micromimic.labels import CELLS
from micromimic.motion.bumps import Array, BumpBank, BumpResponse, mad, strengths
from micromimic.motion.candidates import Scene
from micromimic.motion.gates import Gates, Mask, find_gates
from micromimic.motion.rolling import Rolling
from micromimic.motion.speech import mouth_steps, quiet_rows, speech_mask, step_noise
from micromimic.motion.spotting import bridged
from micromimic.motion.spotting_config import SpottingConfig
from micromimic.motion.stretches import Stretch

UNSETTLED_S: Final = 2.0
"""Seconds in which a lid's movement may still turn out to be a blink."""
CONTEXT_S: Final = 0.7
"""Seconds before these that their gates depend on."""
SMOOTHED_S: Final = 0.06
"""Seconds of past that smoothing may still change."""

Row = tuple[int, FaceRow]
"""The frame's number, and what was measured in it."""


class NoiseMemory:
    """The filters' answers and the mouth's steps of the last half minute, thinned out, for noise.

    Args:
        seconds: how far back it reaches.
        rate: samples a second that come in; some 50 a second are kept.
        durations: how many filters there are.
    """

    RATE: Final = 50.0

    def __init__(self, seconds: float, rate: float, durations: int) -> None:
        self._stride = max(1, round(rate / self.RATE))
        self._limit = round(seconds * rate / self._stride)
        self._rows = Rolling((durations, len(CELLS), 2), np.float32)
        self._steps = Rolling((), np.float64)
        self._speech = Rolling((), np.bool_)
        self._phase = 0
        self.rate = rate

    @property
    def seconds(self) -> float:
        """How much it holds."""
        return len(self._rows) * self._stride / self.rate

    def add(self, response: NDArray[np.float32], steps: Array, speech: Mask) -> None:
        """Take further (n, k, 10, 2) answers, (n,) steps of the mouth, and where it is speech."""
        thinned = slice(self._phase, None, self._stride)
        self._phase = (self._phase - len(response)) % self._stride
        for kept, values in (
            (self._rows, response), (self._steps, steps), (self._speech, speech),
        ):  # fmt: skip
            kept.extend(values[thinned])
            kept.drop(max(0, len(kept) - self._limit))

    def noise(self, config: SpottingConfig) -> Array:
        """(k, 10, 2) robust standard deviation where the mouth does not speak, and the floor."""
        quiet = quiet_rows([self._speech.view], self.rate / self._stride, config.speech)
        return mad(self._rows.view[quiet]) + config.noise_floor

    def step_noise(self, config: SpottingConfig) -> float:
        """What a still mouth's steps seldom exceed."""
        return step_noise([self._steps.view], config.speech)


class StretchWindow:
    """Samples of one stretch, and the filters' answer to them.

    Args:
        rate: samples a second of the even grid.
        config: what counts.
        even: frames come at this rate as they are; False puts them on a grid.
        seconds: of past that is kept at least.
    """

    def __init__(self, rate: float, config: SpottingConfig, *, even: bool, seconds: float) -> None:
        self.rate, self.even, self.config = rate, even, config
        self.bank = BumpBank(config.durations_at(rate), rate)
        self._durations = np.array(config.durations_at(rate))
        self._keep = round(seconds * rate)
        self._smoothed = round(SMOOTHED_S * rate) + 1
        channels = (len(CELLS), 2)
        self._columns = {
            "frames": Rolling((), np.intp),
            "frame_times": Rolling((), np.float64),
            "times": Rolling((), np.float64),
            "displacement": Rolling(channels, np.float64),
            "eye_change": Rolling((), np.float64),
            "brightness": Rolling((), np.float64),
            "transform": Rolling((2, 3), np.float64),
            "head": Rolling((), np.bool_),
            "light": Rolling((), np.bool_),
            "blink": Rolling((), np.bool_),
            "speech": Rolling((), np.bool_),
            "step": Rolling((), np.float64),
            "x": Rolling(channels, np.float64),
            "response": Rolling((len(self._durations), *channels), np.float32),
            "score": Rolling((), np.float64),
            "best": Rolling((), np.intp),
        }
        self._last: Row | None = None
        self._origin = 0.0
        self._sampled = 0
        self._filtered = 0
        self._listened = 0
        self._remembered = 0
        self._ended = False
        self.noise: Array | None = None
        """(k, 10, 2); None while it is being learnt."""

    def __len__(self) -> int:
        return len(self._columns["times"])

    def column(self, name: str) -> NDArray[Any]:
        """The samples' values: ``times`` and ``frames``, for example."""
        return self._columns[name].view

    def append(self, rows: Sequence[Row], *, remembered: bool = False) -> float:
        """Take further frames, in order.

        Args:
            rows: the frames.
            remembered: the memory of the noise has had them already.

        Returns:
            Seconds that the stretch has grown by.
        """
        samples = self._as_they_are(rows) if self.even else self._on_grid(rows)
        count = len(samples["times"])
        for name, column in self._columns.items():
            if name in samples:
                column.extend(samples[name])
            else:
                column.extend(np.zeros((count, *column.view.shape[1:]), column.view.dtype))
        # Dropped now and then, not each time: there is room for it.
        excess = len(self) - self._keep
        if excess > 0.25 * self._keep:
            for column in self._columns.values():
                column.drop(excess)
            self._filtered = max(0, self._filtered - excess)
            self._listened = max(0, self._listened - excess)
            self._remembered = max(0, self._remembered - excess)
        if remembered:
            self._remembered = len(self)
        return count / self.rate

    def refresh(self, memory: NoiseMemory, *, ends: bool = False) -> None:
        """Filter what is new, and hand what is settled to the memory of the noise.

        Args:
            memory: takes the answers that no later sample changes.
            ends: no further sample will come.
        """
        n = len(self)
        self._ended = ends
        first = self._bridge()
        if not ends and first >= n:
            return
        self._find_speech(memory.step_noise(self.config))
        first = max(0, min(first, n - self._smoothed) - self.bank.reach)
        x = self.column("x").reshape(n, -1)
        left = max(0, first - self.bank.reach)
        missing = self.bank.reach - (first - left)
        padded = np.pad(x[left:], ((missing, self.bank.reach), (0, 0)), mode="edge")
        found = self.bank(padded).transpose(1, 0, 2).reshape(n - first, -1, len(CELLS), 2)
        self.column("response")[first:] = found
        settled = n if ends else max(self._remembered, n - self.bank.reach - self._smoothed)
        new = slice(self._remembered, settled)
        memory.add(*(self.column(name)[new] for name in ("response", "step", "speech")))
        self._remembered = settled
        self.score(first)

    def score(self, first: int = 0) -> None:
        """Weigh the answers from one sample on by the noise, where that is known."""
        if self.noise is None:
            return
        n = len(self)
        response = self.column("response")[first:].transpose(1, 0, 2, 3)
        strength = strengths(response, self.noise, self.config.top_cells)
        if not self._ended:
            # A filter answers once all of its future is there.
            ahead = np.arange(n - 1 - first, -1, -1)
            strength = np.where(ahead >= self.bank.halves[:, None], strength, 0.0)
        self.column("score")[first:] = strength.max(0)
        self.column("best")[first:] = strength.argmax(0)

    def scene(self) -> Scene:
        """What movements are read from.

        Raises:
            ValueError: while the noise is being learnt.
        """
        if self.noise is None:
            raise ValueError("expected known noise, got a window that is still learning")
        response = BumpResponse(
            self._durations,
            self.column("response").transpose(1, 0, 2, 3),
            self.noise,
            self.column("score"),
            self.column("best"),
        )
        head, light, blink = (self.column(name) for name in ("head", "light", "blink"))
        gates = Gates(head, light, blink, [], self.column("speech"))
        return Scene(self.column("x"), self._rest, response, gates, self.rate, self._ended)

    def _rest(self, at: int) -> Array:
        """(10, 2) the median around one sample, as `motion.bumps.local_rest`, at 20 a second."""
        step = max(1, round(self.rate / 20.0))
        half = round(self.config.rest_window * self.rate / step) // 2
        places = np.clip(at + step * np.arange(-half, half + 1), 0, len(self) - 1)
        return np.asarray(np.median(self.column("x")[places], axis=0))

    def _bridge(self) -> int:
        """Gates and displacement without blinks, of the last seconds; the first sample changed."""
        n, rate = len(self), self.rate
        start = max(0, min(self._filtered, n - round(UNSETTLED_S * rate)))
        context = max(0, start - round(CONTEXT_S * rate))
        piece = Stretch(
            found=np.ones(n - context, bool),
            **{
                name: self.column(name)[context:]
                for name in (
                    "frames", "times", "displacement", "eye_change", "brightness", "transform"
                )
            },
        )  # fmt: skip
        gates = find_gates(piece, rate, self.config.gates)
        for name, mask in (("head", gates.head), ("light", gates.light), ("blink", gates.blink)):
            self.column(name)[start:] = mask[start - context :]
        blink = self.column("blink")[context:]
        x = bridged(piece.displacement, blink, rate, self.config)[start - context :]
        before = self.column("x")[start : self._filtered]
        moved = np.abs(x[: len(before)] - before).max(axis=(1, 2), initial=0.0) > 1e-9
        first = start + int(np.argmax(moved)) if moved.any() else self._filtered
        self.column("x")[start:] = x
        self._filtered = n
        return first

    def _find_speech(self, noise: float) -> None:
        """Steps of the mouth, and where it speaks, as far as what is new can tell."""
        n, reach = len(self), round(self.config.speech.reach * self.rate)
        start = max(0, self._listened - reach)
        context = max(0, start - reach)
        mouth, steps = mouth_steps(self.column("x")[context:], self.rate)
        speech = speech_mask(mouth, steps, noise, self.rate, self.config.speech)
        self.column("step")[start:] = steps[start - context :]
        self.column("speech")[start:] = speech[start - context :]
        self._listened = n

    def _as_they_are(self, rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
        self._last = rows[-1] if rows else self._last
        return _table(rows)

    def _on_grid(self, rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
        """Interpolated at even times, as far as the last frame goes."""
        known = [*([self._last] if self._last else []), *rows]
        table = _table(known)
        times = table["times"]
        if self._last is None and rows:
            self._origin = float(times[0])
        if not known:
            return table
        stop = int(np.floor((times[-1] - self._origin) * self.rate + 1e-6)) + 1
        grid = self._origin + np.arange(self._sampled, max(self._sampled, stop)) / self.rate
        self._sampled = max(self._sampled, stop)
        self._last = known[-1]
        nearest = np.abs(times[:, None] - grid).argmin(0)
        samples: dict[str, NDArray[Any]] = {"times": grid}
        samples |= {name: table[name][nearest] for name in ("frames", "frame_times")}
        for name in ("displacement", "eye_change", "brightness", "transform"):
            flat = table[name].reshape(len(times), -1)
            columns = [np.interp(grid, times, column) for column in flat.T]
            samples[name] = np.stack(columns, 1).reshape(len(grid), *table[name].shape[1:])
        return samples


def _table(rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
    """Columns of some rows; displacement and the like in double precision."""
    count = len(rows)
    measured = [row for _, row in rows]
    times = np.array([row.time for row in measured], np.float64)
    return {
        "frames": np.array([frame for frame, _ in rows], np.intp),
        "frame_times": times,
        "times": times,
        "displacement": np.array([row.displacement for row in measured], np.float64).reshape(
            count, len(CELLS), 2
        ),
        "eye_change": np.array([row.eye_change for row in measured], np.float64),
        "brightness": np.array([row.brightness for row in measured], np.float64),
        "transform": np.array([row.transform for row in measured], np.float64).reshape(count, 2, 3),
    }
