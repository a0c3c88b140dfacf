"""The article's CapsuleNet: shapes, size, a perfect fit to a dozen clips, and folds an hour.

    python benchmarks/capsnet.py [--model NAME] [--init default|none|download|FILE] [--epochs N]
    python benchmarks/capsnet.py --speed [--device cuda] [--clips N] [--batch N] [--workers N]

Without ``--speed``: prints the tensors' shapes and the number of parameters, renders a dozen clips
of the synthetic databases (four of each class, of different people), takes their apex faces, and
trains on them. All twelve are one batch, so an epoch is one step. The crops are not varied and the
learning rate stays: what is asked is whether the network can fit; twelve examples are too few to
ask for more. Some minutes on one core.

With ``--speed``: how long the batches take alone, the network alone, and both together as in
training, which of the two bounds it, and what that makes in folds of the composite database (442
clips of 5 faces, 20 epochs) an hour. The pixels are random, speed does not depend on them. On a CPU
give ``--clips 8`` or so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from micromimic.core.errors import InputError, MicromimicError, RandomWeightsWarning
from micromimic.core.labels import THREE
from micromimic.datasets.megc2019 import composite
from micromimic.face.crops import FACE_SIDE
from micromimic.models.base import FitRun, Init
from micromimic.models.networks.faces import CapsNet
from micromimic.models.training.batches import FaceAugment
from micromimic.models.training.device import Hardware, autocast, choose_hardware
from micromimic.models.training.faces import (
    BACKBONES,
    FaceBatches,
    FaceNet,
    FaceSettings,
    Recipe,
    build_network,
)
from micromimic.models.training.imagenet import Start, starting_weights
from micromimic.preparation.cache import load_samples, prepare_all
from micromimic.synthesis.databases.write import synth_databases

STILL = FaceAugment(zoom=1, rotation=0, mirror=False, brightness=0, contrast=0, saturation=0)
FRAMES, FOLD_CLIPS, FOLD_EPOCHS = 5, 442 * 67 / 68, 20


def dozen_clips(model: FaceNet) -> tuple[NDArray[np.generic], NDArray[np.str_], int]:
    """Apex faces of 12 synthetic clips, four of each class; their labels; how many people."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        synth_databases(out / "databases", clips_per_class=2)
        clips = composite(*(out / "databases" / name for name in ("smic", "casme2", "samm"))).clips
        few = [clip for name in THREE for clip in [c for c in clips if c.label == name][:4]]
        for failure in prepare_all(few, ["faces"], out / "cache"):
            raise InputError(f"expected 12 clips, {failure.clip.key} failed: {failure.reason}")
        samples = load_samples(few, model, out / "cache", labels=THREE)
    apexes = np.ascontiguousarray(samples.inputs[:, :1])
    return apexes, THREE.decode(samples.targets), len(set(samples.subjects))


def show_network(name: str, start: Start) -> None:
    """Print shapes and parameters."""
    network = build_network(name, start, seed=0)
    count = sum(p.numel() for p in network.parameters())
    print(f"{name}: {count:,} parameters ({count / 1e6:.1f} M), weights: {start.source}")
    if isinstance(network, CapsNet):
        for stage in ("stem", "conv", "primary"):
            getattr(network, stage).register_forward_hook(
                lambda part, given, made, stage=stage: print(f"  {stage:8s} {made.shape[1:]}")
            )
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, 224, 224))


def fit_dozen(options: argparse.Namespace) -> bool:
    """Train on the dozen; whether the fit is perfect at the end."""
    recipe = Recipe(options.epochs, batch=12, learning_rate=options.rate, decay=1.0)
    model = FaceNet(
        options.model,
        init=options.init,
        settings=FaceSettings(recipe, STILL),
        random_state=options.seed,
    )
    faces, labels, people = dozen_clips(model)
    targets = THREE.encode(labels)
    print(f"{len(faces)} clips of {people} people", flush=True)
    right: list[int] = []
    began = time.perf_counter()
    spent = 0.0

    def each_epoch(epoch: int, model: FaceNet) -> None:
        nonlocal spent
        # asking takes as long as a third of a step: left out of the time
        asked = time.perf_counter()
        scores = model.scores(faces)
        right.append(int((scores.argmax(1) == targets).sum()))
        truth = scores[np.arange(len(scores)), targets]
        others = scores.sum(1) - truth
        print(
            f"  epoch {epoch + 1:3d}: {right[-1]:2d} of 12 right; score of the true class "
            f"{truth.mean():.2f}, of the others {others.mean() / 2:.2f}",
            flush=True,
        )
        spent += time.perf_counter() - asked

    model.fit(faces, labels, run=FitRun(device=options.device, each_epoch=each_epoch))
    step = (time.perf_counter() - began - spent) / options.epochs
    first = right.index(12) + 1 if 12 in right else None
    print(f"first perfect fit after {first} epochs; {right[-1]} of 12 after {options.epochs}")
    print(f"{step:.2f} s a step of 12 faces, {step / 12:.3f} s a face")
    return right[-1] == 12


def seconds_of_batches(batches: FaceBatches) -> float:
    """An epoch's batches made, taken to the device and varied, without a network."""
    began = time.perf_counter()
    for faces, _ in batches.batches(0):
        wait = faces
    _ = float(wait.sum())  # the device has finished when the number is there
    return time.perf_counter() - began


def seconds_of_network(
    model: FaceNet, network: torch.nn.Module, hardware: Hardware, batch: int, steps: int
) -> float:
    """That many steps of training on one batch that is there already."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-6)
    faces = torch.rand(batch, 3, FACE_SIDE, FACE_SIDE, device=hardware.device)
    targets = torch.arange(batch, device=hardware.device) % len(THREE)
    network.train()

    def step() -> torch.Tensor:
        with autocast(hardware.device, hardware.precision):
            outputs = network(faces)
        loss = model.loss(outputs.float(), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    float(step())  # the first one chooses kernels
    began = time.perf_counter()
    for _ in range(steps):
        last = step()
    float(last)
    return time.perf_counter() - began


def measure_speed(options: argparse.Namespace) -> None:
    """Print what a fold takes, and what bounds it."""
    hardware = choose_hardware(options.device, workers=options.workers)
    settings = FaceSettings(Recipe(epochs=2, batch=options.batch), workers=hardware.workers)
    model = FaceNet(options.model, init="none", settings=settings)
    faces = np.random.default_rng(0).integers(
        0, 256, (options.clips, FRAMES, FACE_SIDE, FACE_SIDE, 3), np.uint8
    )
    targets = np.arange(options.clips, dtype=np.int64) % len(THREE)
    batches = FaceBatches(faces, targets, 0, settings, hardware)
    times: list[float] = []
    model.fit(
        faces,
        THREE.decode(targets),
        run=FitRun(
            device=options.device,
            each_epoch=lambda epoch, model: times.append(time.perf_counter()),
        ),
    )
    # the second epoch: the first one chooses kernels
    images = options.clips * FRAMES
    together = images / (times[1] - times[0])
    data = images / seconds_of_batches(batches)
    steps = max(1, images // options.batch)
    alone = seconds_of_network(model, model.network_, hardware, options.batch, steps)
    compute = steps * options.batch / alone
    name = torch.cuda.get_device_name(hardware.device) if hardware.device.type == "cuda" else "CPU"
    print(
        f"{options.model} on {name}, {hardware.precision} precision, {hardware.workers} workers, "
        f"batches of {options.batch}"
    )
    print(f"  batches alone   {data:9.1f} faces/s")
    print(f"  network alone   {compute:9.1f} faces/s")
    print(f"  as in training  {together:9.1f} faces/s")
    fold = FOLD_CLIPS * FRAMES * FOLD_EPOCHS / together
    print(f"  a fold of the composite: {fold:.0f} s, {3600 / fold:.2f} folds an hour")
    print(f"  bound by the {'network' if compute < data else 'batches'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; exit code 1 if the fit is not perfect at the end."""
    parser = argparse.ArgumentParser(description="CapsuleNet on face crops.")
    parser.add_argument("--model", choices=list(BACKBONES), default="capsnet-resnet18")
    parser.add_argument("--init", default="default", help="default, none, download or a file")
    parser.add_argument("--epochs", type=int, default=50, help="steps on the dozen (default 50)")
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate (default 1e-4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, cuda... (default: what is there)")
    parser.add_argument("--speed", action="store_true", help="measure folds an hour instead")
    parser.add_argument("--clips", type=int, default=442, help="clips to measure on (default 442)")
    parser.add_argument("--batch", type=int, default=16, help="faces a step (default 16)")
    parser.add_argument("--workers", type=int, help="threads that fetch (default: by device)")
    options = parser.parse_args(arguments)
    if options.init not in ("default", "none", "download"):
        options.init = Path(options.init)
    try:
        if options.speed:
            measure_speed(options)
            return 0
        init: Init = options.init
        text = FaceNet(options.model, init=init).warning(THREE.names)
        if text is not None:
            print(text)
        warnings.simplefilter("ignore", RandomWeightsWarning)  # said above
        show_network(options.model, starting_weights(BACKBONES[options.model], options.model, init))
        return 0 if fit_dozen(options) else 1
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
