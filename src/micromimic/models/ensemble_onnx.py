"""Join the ONNX graphs of several models into one that says their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import onnx
from onnx import compose

from micromimic.canonical import UNITS
from micromimic.errors import ModelError
from micromimic.labels import EMOTIONS
from micromimic.models.graph import OPSET, Graph, finish

_INPUT: Final = "maps"


def join(
    files: Sequence[bytes],
    factors: Sequence[float],
    shares: Sequence[float],
    metadata: Mapping[str, object],
) -> bytes:
    """One graph.

    Args:
        files: ONNX models with the input ``maps`` and the output ``scores``, or ``lengths`` and
            ``votes``, as `models.onnx` describes them.
        factors: what each one's scores are multiplied by.
        shares: what its votes, if it has any, are weighted by.
        metadata: stored inside as JSON.

    Returns:
        A checked model; its outputs are ``lengths`` (n, 3), the weighted sum, and ``votes``
        (n, 3, g, g), or ``scores`` (n, 3) where no member votes.

    Raises:
        ModelError: if members were written with other ONNX operators, or vote on other grids.
    """
    graph = Graph()
    summands, votes, voting, grids = [], [], [], set()
    for number, (content, factor, share) in enumerate(zip(files, factors, shares, strict=True)):
        ends = _include(graph, content, f"m{number}_")
        said, _ = ends["lengths"] if "lengths" in ends else ends["scores"]
        summands.append(graph.step("Mul", said, graph.number(factor)))
        if "votes" in ends:
            name, shape = ends["votes"]
            votes.append(graph.step("Mul", name, graph.number(share)))
            voting.append(share)
            grids.add(shape)
    if len(grids) > 1:
        raise ModelError(
            f"expected members that vote on one grid, got {sorted(grids)}; start from a file that "
            "this version wrote"
        )
    outputs: dict[str, tuple[int, ...]] = {"scores": (len(EMOTIONS),)}
    if votes:
        outputs = {"lengths": (len(EMOTIONS),), "votes": grids.pop()}
        total = graph.step("Sum", *votes)
        graph.step("Div", total, graph.number(sum(voting)), name="votes")
    graph.step("Sum", *summands, name="lengths" if votes else "scores")
    model = finish(graph, "flow-ensemble", {_INPUT: (3, UNITS, UNITS)}, outputs, metadata)
    return bytes(model.SerializeToString(deterministic=True))


def _include(graph: Graph, content: bytes, prefix: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Take a model's steps in under other names.

    Returns:
        By the old name of each output, its new name and its shape without the first axis.
    """
    model = onnx.load_model_from_string(content)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions != {"": OPSET}:
        raise ModelError(
            f"expected a member written with ONNX operators {OPSET}, got {versions}; train it "
            "again with this version"
        )
    shapes = {
        end.name: tuple(axis.dim_value for axis in end.type.tensor_type.shape.dim[1:])
        for end in model.graph.output
    }
    compose.add_prefix(model, prefix, rename_inputs=False, inplace=True)
    graph.nodes += model.graph.node
    graph.constants += model.graph.initializer
    return {name: (prefix + name, shape) for name, shape in shapes.items()}
