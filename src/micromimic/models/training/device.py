"""What to train on: device, precision, threads and loader workers, chosen by what is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from micromimic.core.errors import ModelError
from micromimic.core.workers import own_cores

Precision = Literal["full", "bf16", "fp16"]
"""Number format of convolutions and matrix products; weights stay float32 in all of them."""


@dataclass(frozen=True)
class Hardware:
    device: torch.device
    precision: Precision = "full"  # others are mixed precision, on accelerators only
    workers: int = 0  # threads that prepare batches ahead of the network; 0 prepares them in line

    def __post_init__(self) -> None:
        if self.precision != "full" and self.device.type == "cpu":
            raise ModelError(
                f"expected full precision on a CPU, got {self.precision}; "
                "mixed precision needs a CUDA device"
            )
        if self.workers < 0:
            raise ModelError(f"expected 0 or more workers, got {self.workers}; pass 0 or more")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """The context of a forward pass in that precision; does nothing in full precision."""
    if precision == "full":
        return nullcontext()
    kind = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype=kind)


def choose_hardware(
    device: str | None = None, precision: Precision | None = None, workers: int | None = None
) -> Hardware:
    """The best of what is there; what is given is taken as given.

    On CUDA bfloat16, or float16 where the device has no bfloat16; on a CPU full precision, where
    mixed is slower. Workers: up to 4 beside the main thread on CUDA; none on a CPU, where they
    would compete with the network.
    """
    chosen = _device(device)
    if precision is None:
        precision = "full"
        if chosen.type == "cuda":
            precision = (
                "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
            )
    if workers is None:
        workers = min(4, max(0, own_cores() - 1)) if chosen.type == "cuda" else 0
    return Hardware(chosen, precision, workers)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Inside, torch computes on so many threads, None on what there are; then as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        # what torch was not built for, or what is not plugged in, is told here and not mid-run
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"expected a device that torch can use, got {name!r} ({reason}); pass cpu"
        ) from error
    return device
