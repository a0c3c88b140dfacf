"""Write a trained network as ONNX with torch's exporter, and check the file against torch.

The exporter that traces needs no package but onnx; its successor (``dynamo=True``) would add
onnxscript, and twice the nodes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Final

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.face.crops import FACE_SIDE
from micromimic.models.graph import OPSET, finish_model
from micromimic.models.networks.capsules import dynamic_routing, lengths_of
from micromimic.models.networks.flow import GRID, FlowCapsNet
from micromimic.models.runtime import open_session
from micromimic.models.samples import View

TOLERANCE: Final = 1e-4
"""Largest difference from torch's outputs, relative to the largest if that is above 1."""
_ENDS: Final[Mapping[View, tuple[str, tuple[int, ...]]]] = {
    "flow": ("maps", (3, UNITS, UNITS)),
    "faces": ("faces", (3, FACE_SIDE, FACE_SIDE)),
}


class Voting(nn.Module):
    """A flow-capsnet with the votes beside its lengths: (n, k) and (n, k, 7, 7).

    The share of a place in class j is the sum over its capsules of ``c_ij <W_ij u_i, v_j> /
    |v_j|``, cut at 0 and divided by its sum over the places. Before the cut these add up to
    ``|x_j|``, so they split what the class capsule is made of.
    """

    def __init__(self, network: FlowCapsNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        network = self.network
        votes = network.votes(maps)
        upper, coupling = dynamic_routing(votes, network.iterations)
        lengths = lengths_of(upper)
        direction = upper / (lengths.unsqueeze(2) + 1e-9)
        parts = coupling * (votes * direction.unsqueeze(1)).sum(3)
        parts = parts.reshape(-1, network.capsule_types, GRID * GRID, network.classes).sum(1)
        shares = torch.relu(parts) + 1e-9
        shares = (shares / shares.sum(1, keepdim=True)).transpose(1, 2)
        return lengths, shares.reshape(-1, network.classes, GRID, GRID)


def export_network(network: nn.Module, view: View, metadata: Mapping[str, object]) -> bytes:
    """A network as an ONNX file that `models.onnx.load_model` opens; it is not changed.

    ``view``: ``flow``: input ``maps`` (n, 3, 28, 28), centred; ``faces``: input ``faces``
    (n, 3, 224, 224) in 0..1. Output ``scores`` (n, k), of a flow-capsnet ``lengths`` and ``votes``.
    """
    if view not in _ENDS:
        raise ModelError(
            f"expected a network on one of {sorted(_ENDS)}, got {view!r}; export those"
        )
    details = {"view": view, "encoder": None, **metadata}
    if isinstance(network, FlowCapsNet):
        return export_module(Voting(network), *_ENDS[view], ("lengths", "votes"), details)
    return export_module(network, *_ENDS[view], ("scores",), details)


def export_module(
    module: nn.Module,
    name: str,
    shape: Sequence[int],
    outputs: Sequence[str],
    metadata: Mapping[str, object],
) -> bytes:
    """Any module on (n, *shape) float32 as a checked ONNX file, evaluated on the CPU."""
    on_cpu = deepcopy(module).cpu().float().eval()
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its successor is there
        try:
            torch.onnx.export(
                on_cpu,
                (torch.zeros(2, *shape),),
                content,  # type: ignore[arg-type]  # streams too, without dynamo
                input_names=[name],
                output_names=list(outputs),
                dynamic_axes={end: {0: "n"} for end in (name, *outputs)},
                opset_version=OPSET,
                dynamo=False,
            )
        except (RuntimeError, ValueError) as error:  # torch.onnx's own errors are RuntimeErrors
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"expected layers that torch can export, got {type(module).__name__} ({reason}); "
                "use others"
            ) from error
    parts = zip(outputs, _run(on_cpu, 1, shape)[1], strict=True)
    sizes = {end: tuple(part.shape[1:]) for end, part in parts}
    model = onnx.load_model_from_string(content.getvalue())
    model.graph.name = str(metadata.get("name", type(module).__name__))
    found = finish_model(onnx, model, {name: tuple(shape)}, sizes, metadata)
    _check(found, on_cpu, name, shape, outputs)
    return found


def _run(module: nn.Module, rows: int, shape: Sequence[int]) -> tuple[Tensor, tuple[Tensor, ...]]:
    given = torch.from_numpy(np.random.default_rng(rows).random((rows, *shape), np.float32))
    with torch.inference_mode():
        made = module(given)
    return given, made if isinstance(made, tuple) else (made,)


def _check(
    content: bytes, module: nn.Module, name: str, shape: Sequence[int], outputs: Sequence[str]
) -> None:
    session = open_session(content, "what was exported", "report this with your versions")
    for rows in (1, 2):
        given, wanted = _run(module, rows, shape)
        found = session.run(list(outputs), {name: given.numpy()})
        for end, one, other in zip(outputs, found, wanted, strict=True):
            truth = other.numpy()
            gap = float(np.abs(one - truth).max()) if one.shape == truth.shape else float("inf")
            # written so that NaN fails too
            if not gap <= TOLERANCE * max(1.0, float(np.abs(truth).max())):
                raise ModelError(
                    f"expected ONNX {end} equal to torch's within {TOLERANCE:g}, got a difference "
                    f"of {gap:.3g}; export a network without hooks, or report this"
                )
