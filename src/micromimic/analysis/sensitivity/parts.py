"""What a sensitivity run keeps as it goes: the unplanted analysis, and each copy's candidates."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import micromimic
from micromimic.core.errors import InputError
from micromimic.core.files import write_whole
from micromimic.core.results import Analysis, ModelInfo
from micromimic.core.types import AnalysisWarning, Interval, SourceInfo
from micromimic.evaluation.recovery import Candidate
from micromimic.synthesis.planted.plan import Ground

_BLOCK: Final = 2**20
_LIMIT: Final = "limit_"


@dataclass(frozen=True, eq=False)
class Plain:
    """The analysis of the recording as it is, as far as planting needs it."""

    source: SourceInfo  # of the analysis
    warnings: tuple[AnalysisWarning, ...]
    model: ModelInfo
    found: float  # share of frames with the face
    candidates: tuple[Candidate, ...]  # its events
    ground: Ground  # where and when movements can be planted
    # by region, (T,) detection limit in canonical units, NaN where nothing would be found; None
    # where the analysis gives none
    limits: Mapping[str, NDArray[np.floating]] | None


def candidates_of(analysis: Analysis) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(event.interval, event.label, float(event.strength)) for event in analysis.micro
    )


def digest_of_input(path: Path) -> str:
    """A fingerprint of a file's content, or of the names and contents in a folder."""
    digest = blake2b(digest_size=16)
    try:
        files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(file.name.encode("utf-8", "surrogateescape") if len(files) > 1 else b"")
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    digest.update(block)
    except OSError as error:
        raise InputError(
            f"expected to read {path}, got {error.strerror or error}; check the path"
        ) from None
    return digest.hexdigest()


class Parts:
    """The folder in which analyses are kept as they end. What another input, or other arguments,
    left there is removed."""

    def __init__(self, folder: Path, record: Mapping[str, Any]) -> None:
        text = json.dumps({**record, "version": micromimic.__version__}, sort_keys=True)
        name = blake2b(text.encode(), digest_size=8).hexdigest()
        self._folder = folder / name
        if folder.is_dir():
            for other in folder.iterdir():
                if other.name != name and other.is_dir():
                    shutil.rmtree(other, ignore_errors=True)

    def plain(self) -> Plain | None:
        """The unplanted analysis; None where there is none, or its file is damaged."""
        try:
            with np.load(self._folder / "unplanted.npz", allow_pickle=False) as kept:
                arrays = dict(kept)
            facts = json.loads(str(arrays.pop("facts")))
            limits = {
                name.removeprefix(_LIMIT): arrays.pop(name)
                for name in list(arrays)
                if name.startswith(_LIMIT)
            }
            return Plain(
                source=SourceInfo(**facts["source"]),
                warnings=tuple(AnalysisWarning(**item) for item in facts["warnings"]),
                model=ModelInfo.from_dict(facts["model"]),
                found=facts["found"],
                candidates=_candidates(facts["candidates"]),
                ground=Ground(**arrays),
                limits=limits if facts["limited"] else None,
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
            return None  # it is done again

    def keep_plain(self, plain: Plain) -> None:
        facts = {
            "source": asdict(plain.source),
            "warnings": [asdict(item) for item in plain.warnings],
            "model": plain.model.to_dict(),
            "found": plain.found,
            "candidates": _listed(plain.candidates),
            "limited": plain.limits is not None,
        }
        content = io.BytesIO()
        arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts)), **vars(plain.ground)}
        for name, values in (plain.limits or {}).items():
            arrays[f"{_LIMIT}{name}"] = values
        np.savez_compressed(content, **arrays)
        write_whole(self._folder / "unplanted.npz", content.getvalue())

    def copy(self, size: float, number: int) -> tuple[Candidate, ...] | None:
        """The candidates of one copy; None where it has not ended, or its file is damaged."""
        try:
            return _candidates(json.loads(self._file(size, number).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep_copy(self, size: float, number: int, candidates: Sequence[Candidate]) -> None:
        write_whole(self._file(size, number), json.dumps(_listed(candidates), indent=1) + "\n")

    def _file(self, size: float, number: int) -> Path:
        return self._folder / f"size-{size!r}-copy-{number}.json"


def _listed(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    return [
        {**asdict(item.interval), "label": item.label, "strength": item.strength}
        for item in candidates
    ]


def _candidates(entries: Sequence[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            Interval(item["onset"], item["apex"], item["offset"]), item["label"], item["strength"]
        )
        for item in entries
    )
