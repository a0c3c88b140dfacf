"""The one door to ONNX Runtime: one thread, no messages of its own, nothing but the file's bytes.

A graph may name further files that hold its weights (ONNX's external data). A model is one file
here, so that is refused before the runtime sees it: what is opened decides nothing else that is
read. The graph is walked as the protocol buffer that it is, which takes no further package.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import ModelError

METADATA_KEY: Final = "micromimic.model"
"""Where a file keeps its description, as JSON."""
_REMEDY: Final = "pass a file that `micromimic train` wrote"


def open_session(content: bytes, name: object, remedy: str = _REMEDY) -> Any:
    """A session, on one thread of the CPU, of an ONNX file's content; ``name`` is for errors."""
    try:
        outside = _keeps_weights_outside(content)
    except _UnreadableError as error:
        raise ModelError(
            f"expected an ONNX model, got an unusable file {name} ({error}); {remedy}"
        ) from None
    if outside:
        raise ModelError(
            f"expected a model that is one file, got {name}, whose weights lie in others (external "
            "data); save it as one file"
        )
    # The package's __init__ has switched its telemetry off, which it reads as it is imported.
    import onnxruntime  # noqa: PLC0415 - slow to import; `micromimic --help` does not need it

    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL  # what it would log is in its exception too
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises many types, and all mean one thing
        reason = next(iter(str(error).strip().splitlines()), "unreadable")
        raise ModelError(
            f"expected an ONNX model, got an unusable file {name} ({reason}); {remedy}"
        ) from error


def model_file(path: str | Path | None, shipped: Path, what: str = "a model") -> Path:
    file = shipped if path is None else Path(path)
    if not file.is_file():
        remedy = "reinstall micromimic" if path is None else "check the path"
        raise ModelError(f"expected {what} at {file}, found no file; {remedy}")
    return file


def run_graph(
    session: Any,
    outputs: Sequence[str],
    name: str,
    data: NDArray[np.float32],
    *,
    model: str,
    remedy: str,
) -> list[Any]:
    """Outputs of one run on the input ``name``; ``model`` and ``remedy`` are for errors."""
    try:
        return list(session.run(list(outputs), {name: data}))
    except Exception as error:  # the runtime raises many types, and all mean one thing
        reason = " ".join(str(error).split())
        raise ModelError(
            f"expected model {model} to run on {name} {data.shape}, got an error ({reason}); "
            f"{remedy}"
        ) from error


def read_description(session: Any, name: object, remedy: str = _REMEDY) -> Any:
    """What a model file says of itself: the JSON under ``METADATA_KEY``."""
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is not None:
            return json.loads(text)
    except ValueError as error:  # neither UTF-8 nor JSON
        raise ModelError(
            f"expected a complete description in {name}, got a broken one ({error}); {remedy}"
        ) from error
    raise ModelError(
        f"expected a micromimic model, got an ONNX file without its description: {name}; {remedy}"
    )


_FATAL: Final = 4

# Where messages of ONNX hold further messages that can hold a tensor: number of the field, and the
# message in it (onnx.proto3). What is not listed is passed over.
_PARTS: Final[Mapping[str, Mapping[int, str]]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


class _UnreadableError(Exception):
    """No protocol buffer."""


def _keeps_weights_outside(content: bytes) -> bool:
    """Whether any tensor of a model names another file.

    >>> _keeps_weights_outside(bytes.fromhex("3a042a027001"))  # a graph whose tensor does
    True
    """
    view = memoryview(content)
    waiting = [("Model", 0, len(view))]
    while waiting:
        kind, start, end = waiting.pop()
        for number, value, inner in _fields(view, start, end):
            if kind == "Tensor" and (
                number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
            ):
                return True
            if inner is not None and number in _PARTS[kind]:
                waiting.append((_PARTS[kind][number], *inner))
    return False


def _fields(
    view: memoryview, at: int, end: int
) -> Iterator[tuple[int, int, tuple[int, int] | None]]:
    """Each field's number, its value if that is a number, and where it lies if it is bytes."""
    while at < end:
        key, at = _varint(view, at, end)
        value, inner = 0, None
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(view, at, end)
        elif kind == _BYTES:
            size, at = _varint(view, at, end)
            inner, at = (at, at + size), at + size
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise _UnreadableError("it is no protocol buffer")
        if at > end:
            raise _UnreadableError("it is cut off, or no protocol buffer")
        yield key >> 3, value, inner


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= end:
            raise _UnreadableError("it is cut off, or no protocol buffer")
        byte = view[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, at + place + 1
    raise _UnreadableError("it is no protocol buffer")
