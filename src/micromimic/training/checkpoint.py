"""Checkpoints: written whole, and refused where the settings differ."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from micromimic.errors import ModelError
from micromimic.files import write_whole

UNREADABLE: Final = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, AttributeError),
    *(LookupError, ArithmeticError, pickle.UnpicklingError),
)
"""What `torch.load` raises at files that are none of its own: anything, as it interprets them."""


def write_checkpoint(path: Path, settings: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """Write a checkpoint whole; the one before it stays until then.

    Raises:
        OutputError: if it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"settings": dict(settings), **state}, buffer)
    write_whole(path, buffer.getvalue())


def read_checkpoint(path: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """Read a checkpoint made with the same settings.

    Raises:
        ModelError: if it is broken or of other settings; the message names a difference.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = dict(state["settings"])
    except UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"expected a checkpoint at {path}, got an unreadable file ({reason}); "
            "remove it to train anew"
        ) from error
    for name in sorted(found.keys() | settings.keys()):
        if found.get(name) != settings.get(name):
            raise ModelError(
                f"expected a checkpoint with {name} {settings.get(name)}, got {found.get(name)} "
                f"in {path}; remove the file to train anew, or use the settings it was made with"
            )
    return dict(state)
