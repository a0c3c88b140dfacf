"""The token and the database's password: from a file or the environment, not read by others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
pytest.importorskip("websockets")

import httpx

from micromimic.cli import live as live_command
from micromimic.cli.main import main
from micromimic.core.errors import NoFaceError
from micromimic.workstation import server as running
from micromimic.workstation.settings import Settings

pytestmark = pytest.mark.needs("web")

SECRET = "a-token-that-nobody-will-guess"
URL = "postgresql://kim:pass-of-kim@127.0.0.1:1/none"
POSIX = sys.platform != "win32"


def held(folder: Path, content: str, mode: int = 0o600) -> Path:
    file = folder / "secret"
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    return file


def served(monkeypatch: pytest.MonkeyPatch, data: Path, *options: object) -> Settings:
    """The settings that `serve` hands on."""
    seen: list[Settings] = []
    monkeypatch.setattr(running, "serve", lambda settings, **_: seen.append(settings))
    assert main(["serve", "--data", str(data), *map(str, options)]) == 0
    return seen[0]


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MICROMIMIC_TOKEN", "MICROMIMIC_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_serve_takes_them_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = held(tmp_path, SECRET + "\n")
    assert served(monkeypatch, tmp_path, "--token-file", token).token == SECRET
    url = held(tmp_path, URL)
    assert served(monkeypatch, tmp_path, "--database-file", url).url == URL


def test_serve_takes_them_from_the_environment_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROMIMIC_TOKEN", "of-the-environment")
    monkeypatch.setenv("MICROMIMIC_DATABASE_URL", URL)
    settings = served(monkeypatch, tmp_path)
    assert (settings.token, settings.url) == ("of-the-environment", URL)
    file = held(tmp_path, SECRET)
    assert served(monkeypatch, tmp_path, "--token-file", file).token == SECRET
    assert served(monkeypatch, tmp_path, "--token", "mine").token == "mine"
    monkeypatch.setenv("MICROMIMIC_TOKEN", "")
    assert served(monkeypatch, tmp_path).token is None


def test_live_takes_its_token_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def access_of(websocket: str, token: str | None) -> None:
        seen.append(token)
        raise NoFaceError("nothing is watched here")

    monkeypatch.setattr(live_command, "access_of", access_of)
    file = held(tmp_path, SECRET)
    monkeypatch.setenv("MICROMIMIC_TOKEN", "of-the-environment")
    for options in ([], ["--token-file", str(file)], ["--token", "mine"]):
        assert main(["live", "0", "--websocket", "0", *options]) == 1
    assert seen == ["of-the-environment", SECRET, "mine"]


@pytest.mark.parametrize("command", [["forget", "P01", "--yes"], ["export", "--coder", "kim"]])
@pytest.mark.parametrize("by_file", [True, False])
def test_forget_and_export_find_the_database_alike(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: list[str],
    by_file: bool,
) -> None:
    pytest.importorskip("psycopg")
    words = [*command, "--data", str(tmp_path / "d")]
    words += ["--out", str(tmp_path / "out")] if command[0] == "export" else []
    if by_file:
        words += ["--database-file", str(held(tmp_path, URL))]
    else:
        monkeypatch.setenv("MICROMIMIC_DATABASE_URL", URL)
    assert main(words) == 1
    said = capfd.readouterr().err
    assert "expected records in" not in said  # it asked the database, which is not there
    assert "127.0.0.1" in said or "database" in said
    assert "pass-of-kim" not in said and said.count("\n") == 1


@pytest.mark.skipif(not POSIX, reason="who may read a file is told in another way there")
@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_a_file_that_others_can_read_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], mode: int
) -> None:
    file = held(tmp_path, SECRET, mode)
    assert main(["serve", "--data", str(tmp_path / "d"), "--token-file", str(file)]) == 1
    said = capfd.readouterr().err
    assert "chmod 600" in said and SECRET not in said and said.count("\n") == 1


@pytest.mark.parametrize("content", ["", "\n", "one\ntwo\n", "x" * 5000])
def test_a_file_of_anything_else_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str
) -> None:
    file = held(tmp_path, content)
    assert main(["serve", "--data", str(tmp_path / "d"), "--token-file", str(file)]) == 1
    said = capfd.readouterr().err
    assert "expected a file of one line" in said and said.count("\n") == 1


def test_a_secret_from_two_places_is_wrong_usage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = held(tmp_path, SECRET)
    words = ["serve", "--data", str(tmp_path / "d"), "--token", "mine", "--token-file", str(file)]
    assert main(words) == 2
    assert "got both" in capfd.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/PID/cmdline")
def test_the_list_of_processes_does_not_show_it(tmp_path: Path) -> None:
    words = ["serve", "--port", "0", "--data", str(tmp_path / "d")]
    words += ["--token-file", str(held(tmp_path, SECRET))]
    with subprocess.Popen(
        [sys.executable, "-m", "micromimic", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            place = process.stdout.readline().split()[3].partition("?")[0]
            there = f"{place}api/v1/info"
            assert SECRET.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert httpx.get(there).status_code == 401
            carried = {"Authorization": f"Bearer {SECRET}"}
            assert httpx.get(there, headers=carried).status_code == 200
        finally:
            process.kill()
