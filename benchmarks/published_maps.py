"""The published flow maps that benchmarks ask unless told otherwise; puts ``tools`` on the path."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tools"))  # what trains the weights that ship

from weights.real_maps import FlowMapSet  # noqa: E402 - found there


def default_manifest() -> Path:
    """``shared`` beside the repository, or the folder that MICROMIMIC_SHARED names."""
    shared = Path(os.environ.get("MICROMIMIC_SHARED", ROOT.parent / "shared"))
    return shared / "data" / "flow_maps" / "manifest.csv"


def part_of(data: FlowMapSet, rows: NDArray[np.bool_]) -> FlowMapSet:
    """Some of the maps."""
    return FlowMapSet(*(getattr(data, field.name)[rows] for field in fields(data)))
