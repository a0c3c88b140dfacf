"""How far can the model's answers be relied on? Calibration, and UF1 against coverage.

    python benchmarks/reliability.py [--manifest FILE] [--half all] [--seeds N] [--maps N]
                                     [--epochs N] [--files FILE ...] [--study] [--out DIR]

For the shipped model, and for one trained on synthetic maps once a seed, measured on real flow maps
that took no part in training or calibration: the expected calibration error (ten bins of equal
width, and of equal mass), the share of maps that are not called uncertain and how many of those are
right, and UF1 of all maps and of the surest 70 %. ``--files`` takes models that are trained already
instead of training some. Intervals are 95 % over subjects; each resample
chooses its own surest 70 %. ``--out`` draws the shipped model's reliability diagram and coverage
curve.

``--study`` tells what best orders maps by surety: the area under the risk-coverage curve (the share
of wrong answers, averaged over all coverages; lower is better) for several orders, on networks that
were trained on one source of synthetic faces and asked about the other, and on the development half
of the real maps. Training needs the ``train`` extra.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MicromimicError, ModelError
from micromimic.core.labels import THREE
from micromimic.evaluation.development import development_rows
from micromimic.evaluation.metrics import calibration_error, reliability_bins
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.reliability import (
    COVERAGE,
    calibration_interval,
    gain_at,
    risk_area,
)
from micromimic.models.calibrate import lead_of
from micromimic.models.onnx import SHIPPED, FlowModel, load_model
from micromimic.models.preprocess import center, mirror
from micromimic.models.samples import softmax
from published_maps import default_manifest, part_of
from weights.real_maps import FlowMapSet, read_flow_maps

if TYPE_CHECKING:
    from weights.config import FlowConfig

Array = NDArray[np.float64]
Ask = Callable[[NDArray[np.float32]], Array]
"""Probabilities (n, 3) of centred maps as they are, not averaged with their mirror images."""


def half_of(data: FlowMapSet, half: str) -> FlowMapSet:
    """The maps of a half of the subjects, or all."""
    if half == "all":
        return data
    return part_of(data, development_rows(data.subjects) == (half == "development"))


def predicted(data: FlowMapSet, p: Array) -> Predictions:
    """Probabilities of the maps as a run's rows."""
    pairs = zip(data.datasets.tolist(), data.subjects.tolist(), strict=True)
    subjects = [who.removeprefix(f"{dataset}/") for dataset, who in pairs]
    return Predictions.of(data.datasets, subjects, data.clips, data.labels, p, labels=THREE)


def show(name: str, data: FlowMapSet, model: FlowModel) -> list[float]:
    """Print one line; its figures without the intervals."""
    p = model.probabilities(data.maps)
    rows = predicted(data, p).one_run()  # as the figure and the tables draw subjects
    width = calibration_error(reliability_bins(data.labels, p))
    mass = calibration_error(reliability_bins(data.labels, p, by="mass"))
    error, gain = calibration_interval(rows), gain_at(rows)
    sure = lead_of(p) >= model.calibration.margin
    right = THREE.decode(p.argmax(1)) == data.labels
    held = float(right[sure].mean()) if sure.any() else float("nan")
    print(
        f"{name:22s} {width:.3f} {_range(error, '.3f')}  {mass:.3f}  {sure.mean():4.0%} {held:4.0%}"
        f"  {gain.full:.3f}  {gain.part:.3f}  {gain.gain:+.3f} {_range(gain.ci95, '+.3f')}",
        flush=True,
    )
    return [width, mass, float(sure.mean()), held, gain.full, gain.part, gain.gain]


def _range(ends: tuple[float, float] | None, how: str) -> str:
    return "" if ends is None else f"[{ends[0]:{how}}, {ends[1]:{how}}]"


def opened(files: Sequence[Path]) -> Iterator[FlowModel]:
    """The models of files.

    Raises:
        ModelError: if one does not look at flow maps.
    """
    for file in files:
        model = load_model(file)
        if not isinstance(model, FlowModel):
            raise ModelError(f"expected a model of flow maps, got one of {model.view} in {file}")
        yield model


def trained(config: FlowConfig, seeds: int) -> Iterator[FlowModel]:
    """One model a seed."""
    from weights.flow import train_flow  # noqa: PLC0415 - needs torch

    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            file = Path(folder) / f"{seed}.onnx"
            yield from opened([train_flow(file, replace(config, seed=seed))])


def table(data: FlowMapSet, options: argparse.Namespace) -> None:
    """Print the table of the shipped model and the trained ones."""
    people = len(set(data.subjects.tolist()))
    print(f"{len(data.labels)} maps of {people} subjects, half: {options.half}")
    print(f"{'':22s} {'ECE [95 %]':21s}  mass   sure right  UF1    at {COVERAGE:.0%}"
          "  gain [95 %]")  # fmt: skip
    shipped = load_model()
    show("shipped", data, shipped)
    if options.out is not None:
        draw(data, shipped, options.out)
    if not (options.seeds or options.files):
        return
    models = opened(options.files) if options.files else trained(_config(options), options.seeds)
    names = [file.name for file in options.files or ()]
    names = names or [f"trained, seed {seed}" for seed in range(options.seeds)]
    rows = [show(name, data, model) for name, model in zip(names, models, strict=True)]
    width, mass, sure, right, full, part, gain = np.mean(rows, 0)
    name = f"mean of {len(rows)}"
    print(f"{name:22s} {width:.3f}{'':16s}  {mass:.3f}  {sure:4.0%} {right:4.0%}", end="")
    print(f"  {full:.3f}  {part:.3f}  {gain:+.3f}")


def draw(data: FlowMapSet, model: FlowModel, out: Path) -> None:
    """Write the two figures."""
    from micromimic.evaluation.report.figures import coverage_figure, reliability_figure  # noqa: PLC0415

    rows = predicted(data, model.probabilities(data.maps))
    for path in (*reliability_figure(rows, out / "reliability", title=model.info.name),
                 *coverage_figure(rows, out / "coverage", title=model.info.name)):  # fmt: skip
        print(path)


def orders_of(ask: Ask, maps: NDArray[np.float32]) -> tuple[Array, dict[str, Array]]:
    """Probabilities as at run time, and several orders of surety, higher is surer."""
    data, turned = center(maps), mirror(center(maps))
    one, other = ask(data), ask(turned)
    p = (one + other) / 2
    named = np.eye(len(THREE))[p.argmax(1)]
    copies = [
        (ask(_shifted(data, dx, dy)) + ask(_shifted(turned, -dx, dy))) / 2
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    entropy = -(p * np.log(np.maximum(p, 1e-12))).sum(1)
    return p, {
        "lead of the first class": lead_of(p),
        "its probability": p.max(1),
        "low entropy": -entropy,
        "map and mirror agree": np.minimum((one * named).sum(1), (other * named).sum(1)),
        "shifted copies agree": np.min([(q * named).sum(1) for q in (p, *copies)], axis=0),
        "lead of their mean": lead_of(np.mean([p, *copies], axis=0)),
        "nothing (chance)": np.random.default_rng(0).random(len(p)),
    }


def _shifted(maps: NDArray[np.float32], dx: int, dy: int) -> NDArray[np.float32]:
    """Maps one or more units aside; what comes in repeats the border."""
    wide = np.pad(maps, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    side = maps.shape[-1]
    return np.ascontiguousarray(wide[:, :, 2 + dy : 2 + dy + side, 2 + dx : 2 + dx + side])


def areas(rows: Predictions, orders: Mapping[str, Array]) -> dict[str, float]:
    """Area under the risk-coverage curve for each order."""
    return {name: risk_area(rows, order) for name, order in orders.items()}


def study(data: FlowMapSet, config: FlowConfig) -> None:
    """Print the area under the risk-coverage curve for each order."""
    import torch  # noqa: PLC0415 - needed here only

    from micromimic.models.training.flow import read_flow_capsnet  # noqa: PLC0415
    from micromimic.synthesis.maps import Faces, MapConfig  # noqa: PLC0415
    from weights.distillation import train_model  # noqa: PLC0415
    from weights.flow_maps import even_maps, lessons_of  # noqa: PLC0415

    temperature = load_model().calibration.temperature

    def asker(network: torch.nn.Module) -> Ask:
        def ask(maps: NDArray[np.float32]) -> Array:
            with torch.inference_mode():
                return softmax(network(torch.from_numpy(maps)).numpy(), temperature)

        return ask

    columns: dict[str, dict[str, float]] = {}
    directions: tuple[tuple[Faces, Faces], ...] = (("own", "mesh"), ("mesh", "own"))
    for known, unknown in directions:
        network = train_model(lessons_of(config, drawn=known), config)
        asked = even_maps(config.validation, 910_000, MapConfig(faces=unknown).harder())
        p, orders = orders_of(asker(network), asked.maps)
        clips = [str(k) for k in range(len(p))]
        rows = Predictions.of(clips, clips, clips, asked.labels, p, labels=THREE)
        columns[f"{known}, asked {unknown}"] = areas(rows, orders)
    seen = half_of(data, "development")
    shipped = read_flow_capsnet(SHIPPED, torch.from_numpy(center(seen.maps)))
    p, orders = orders_of(asker(shipped), seen.maps)
    columns["real, development half"] = areas(predicted(seen, p), orders)
    print("\nArea under the risk-coverage curve, lower is better")
    print(f"{'order by':26s} " + "  ".join(f"{name:>22s}" for name in columns))
    for name in orders:
        print(f"{name:26s} " + "  ".join(f"{part[name]:22.3f}" for part in columns.values()))


def _config(options: argparse.Namespace) -> FlowConfig:
    import torch  # noqa: PLC0415 - training only

    from weights.config import FlowConfig  # noqa: PLC0415

    torch.set_num_threads(1)
    asked = {"maps": options.maps, "epochs": options.epochs}
    return replace(FlowConfig(), **{name: n for name, n in asked.items() if n is not None})


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 1 if the maps cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--half", default="all", choices=("all", "development", "other"))
    parser.add_argument("--seeds", type=int, default=5, help="models to train (default 5)")
    parser.add_argument("--maps", type=int, help="synthetic maps a model (default: as shipped)")
    parser.add_argument("--epochs", type=int, help="passes over them (default: as shipped)")
    parser.add_argument("--files", type=Path, nargs="+", metavar="FILE", help="instead of training")
    parser.add_argument("--study", action="store_true", help="compare orders of surety")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw the shipped model's figures")
    options = parser.parse_args(arguments)
    try:
        data = read_flow_maps(options.manifest)
        table(half_of(data, options.half), options)
        if options.study:
            study(data, _config(options))
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
