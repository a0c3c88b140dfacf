"""docs/article.md: what it names is there, and the preset sets what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.evaluation.one_fold import RunFolder
from micromimic.evaluation.run import RunConfig, model_of, record_of
from micromimic.models.samples import Samples
from micromimic.preparation.clip import ARTICLE, PrepareConfig

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "article.md"


def rows() -> list[list[str]]:
    """The tables' rows: the article, the code, where, option."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    return [row for row in cells if row[0] not in ("the article", "---")]


def found(name: str) -> Any:
    """A module of the package, or what a module has under the rest of the name."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(["micromimic", *parts[:end]]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            thing = getattr(thing, part)
        return thing
    raise AssertionError(f"no module {name}")


@pytest.mark.needs("train")
def test_every_row_says_where_it_is_done() -> None:
    assert len(rows()) > 45
    assert all(len(row) == 4 for row in rows())
    for row in rows():
        names = re.findall(r"`([^`]+)`", row[2])
        assert names, row
        for name in names:
            found(name)


@pytest.mark.needs("train")
def test_every_bold_option_is_the_presets() -> None:
    from micromimic.models.training.batches import FaceAugment
    from micromimic.models.training.faces import ARTICLE as FACES, FaceSettings, Recipe

    words = [w for row in rows() for w in re.findall(r"\*\*`([^`]+\))`\*\*", row[3])]
    assert len(words) == 7
    known = {c.__name__: c for c in (FaceAugment, FaceSettings, PrepareConfig, Recipe)}
    parts = {FaceAugment: FACES.augment, FaceSettings: FACES, PrepareConfig: ARTICLE}
    for word in words:
        name, inside = word.removesuffix(")").split("(", 1)
        if name == "DescriptorSvm":
            assert model_of(RunConfig("lbp-top-svm", article=True)).descriptor == eval(inside)
            continue
        option = eval(word, known.copy())
        of_preset = {**parts, Recipe: FACES.recipe}[type(option)]
        given = [pair.split("=")[0].strip() for pair in inside.split(",")]
        assert option != known[name]()
        assert [getattr(option, g) for g in given] == [getattr(of_preset, g) for g in given]
    assert ARTICLE.apex == "article"


@pytest.mark.needs("train")
@pytest.mark.parametrize("name", ["capsnet-vgg11", "resnet18", "lbp-sip-svm", "flow-svm"])
def test_the_preset_leaves_alone_what_the_article_does_not_have(name: str) -> None:
    from micromimic.models.training.faces import ARTICLE as FACES

    ours, theirs = (model_of(RunConfig(name, article=a)) for a in (False, True))
    faces = name in ("capsnet-vgg11", "resnet18")
    wanted = ours.get_params() | ({"settings": FACES} if faces else {})
    assert theirs.get_params() == wanted


@pytest.mark.needs("train")
def test_a_face_may_be_asked_without_its_mirror_image() -> None:
    import torch

    from micromimic.models.training.faces import face_scores

    class Sides(torch.nn.Module):
        """How bright the left and the right half are."""

        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))

        def forward(self, faces: torch.Tensor) -> torch.Tensor:
            halves = (faces[..., :112], faces[..., 112:])
            return torch.stack([half.mean((1, 2, 3)) for half in halves], 1) * self.one

    face = np.zeros((1, 224, 224, 3), np.uint8)
    face[:, :, :112] = 255
    np.testing.assert_allclose(face_scores(Sides(), face, 2), [[0.5, 0.5]])
    np.testing.assert_allclose(face_scores(Sides(), face, 2, mirrored=False), [[1, 0]])


def test_a_run_does_not_go_on_with_clips_prepared_otherwise(tmp_path: Path) -> None:
    names = np.array(["db/a", "db/b"])
    samples = Samples(np.zeros((2, 3)), np.array([0, 1]), np.array(["db", "db"]), names, names)
    config = RunConfig(model="flow-svm")
    RunFolder(tmp_path / "run", record_of(samples, config))
    RunFolder(tmp_path / "run", record_of(samples, config))
    assert '"apex": "annotated"' in (tmp_path / "run" / "run.json").read_text()
    other = replace(config, prepare=PrepareConfig(apex="article"))
    with pytest.raises(InputError, match="another apex .apex: annotated before, article now"):
        RunFolder(tmp_path / "run", record_of(samples, other))
