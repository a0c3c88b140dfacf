"""`micromimic import`, and `export project`, which goes before it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.cli.main import main
from micromimic.workstation.records import markers, recordings, reviews
from micromimic.workstation.records.database import open_store

from .. import boris_files as boris
from ..store_samples import analysed

pytestmark = pytest.mark.needs("web")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Records with one recording."""
    with open_store(tmp_path / "data") as store:
        analysed(store, name="interview.mp4")
    return tmp_path / "data"


def run(data: Path, *words: object, fails: int = 0) -> None:
    assert main([*map(str, words), "--data", str(data)]) == fails


def test_files_and_a_table_come_in(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.boris"
    file.write_text(boris.project({"o 1": boris.observation(boris.EVENTS)}))
    run(data, "import", "markers", file)
    assert (
        "a.boris: 3 markers in interview.mp4 (child - mouth, BORIS, mouth)"
        in capsys.readouterr().out
    )
    run(data, "import", "coding", file, "--coder", "lee", "--tier", "mouth", fails=1)
    assert (
        "expected a class among negative, positive, surprise, got 'smile'"
        in capsys.readouterr().err
    )
    run(data, "import", "coding", file, "--coder", "lee", "--tier", "mouth",
        "--label", "smile=positive")  # fmt: skip
    said = capsys.readouterr()
    assert "1 event in interview.mp4 (mouth)" in said.out
    assert "1 without an apex: the middle was taken" in said.err
    table = tmp_path / "t.csv"
    table.write_text("video,subject,session,date\ninterview.mp4,P01,intake,2026-11-20\n")
    run(data, "import", "assignments", table, fails=1)
    assert "expected subjects that are known, got P01 (line 2)" in capsys.readouterr().err
    run(data, "import", "assignments", table, "--new-subjects", "--consent-by", "kim")
    assert "1 recording in 1 session" in capsys.readouterr().out
    with open_store(data) as store:
        (found,) = recordings.list_recordings(store)
        assert (found.subject_code, found.coders) == ("P01", ("lee",))
        assert found.consent.noted_by == "kim"
        assert len(markers.list_markers(store, found.id)) == 3


def test_a_project_goes_out_and_joins_another(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(data) as store:
        (recording,) = recordings.list_recordings(store)
        reviews.decide(store, recording.id, coder="kim", expected=0, action="accept", event="m0")
    file, other = tmp_path / "study.zip", tmp_path / "other"
    run(data, "export", "project", "--out", file)
    assert f"the study in {file}" in capsys.readouterr().out
    run(other, "import", "project", file, "--look")
    assert "would bring 1 recording, 1 decision" in capsys.readouterr().out
    assert not other.exists(), "looking makes no records"
    run(other, "import", "project", file)
    with open_store(other) as store:
        reviews.decide(store, recording.id, coder="kim", expected=1, action="reject", event="m1")
    with open_store(data) as store:
        reviews.decide(store, recording.id, coder="kim", expected=1, action="accept", event="m1")
    before = file.read_bytes()
    run(data, "export", "project", "--out", file, fails=1)
    assert f"expected a new file, got one that is there, {file}" in capsys.readouterr().err
    assert file.read_bytes() == before
    file = tmp_path / "later.zip"
    run(data, "export", "project", "--out", file)
    capsys.readouterr()
    run(other, "import", "project", file, fails=1)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "kim has decided otherwise on interview.mp4" in error
    run(other, "import", "project", file, "--look")
    key = f"coding {recording.id[:8]} kim"
    assert f'--resolve "{key}=both"  keep both: theirs as kim (2)' in capsys.readouterr().out
    run(other, "import", "project", file, "--resolve", f"{key}=both")
    assert "brought 2 decisions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["import", "project", "none.zip"], "expected a project file at none.zip, got none"),
        (["import", "project", "x", "--resolve", "a"], "expected --resolve KEY=CHOICE"),
        (["import", "coding", "x", "--coder", "k", "--label", "a"], "expected --label LABEL=CLASS"),
        (["import", "markers", "none.eaf"], "expected a file to import, got none.eaf: No such"),
        (["export", "project", "--out", "x", "--coder", "kim"], "expected no --coder for project"),
        (["export", "study", "--out", "x", "--videos"], "expected no --videos for study, got one"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert main([*words, "--data", str(data)]) != 0
    error = capsys.readouterr().err
    assert line in " ".join(error.split()), error
