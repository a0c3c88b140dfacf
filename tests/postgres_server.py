"""A real PostgreSQL server for tests, from Debian's package, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

from .conftest import find_postgres

FOLLOWS = 60
"""Seconds that start and stop may take before the run is taken to hang."""


class PostgresServer:
    """One server; each test gets a database of its own.

    Args:
        programs: the folder of ``pg_ctl``.
    """

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        # Sockets have short paths, so not in pytest's own folder.
        self.home = Path(tempfile.mkdtemp(prefix="mm-pg-"))
        self.user = _other_user()
        if self.user:
            shutil.chown(self.home, self.user)
        try:
            self._run("initdb", "-D", self._data, "-A", "trust", "-U", "tester", "-E", "UTF8",
                      "--locale=C.UTF-8", "--no-sync")  # fmt: skip
            self.start()
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise

    @property
    def _data(self) -> str:
        return str(self.home / "data")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # No TCP port at all: only who may enter the folder can connect.
        options = f"-k {self.home} -c listen_addresses='' -c fsync=off -c max_connections=60"
        log = str(self.home / "log")
        self._run("pg_ctl", "-D", self._data, "-l", log, "-w", "-t", str(FOLLOWS), "-o", options,
                  "start")  # fmt: skip

    def stop(self) -> None:
        """Stop it at once, its connections broken."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "-t", str(FOLLOWS), "stop")

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def new_database(self) -> str:
        """URL of a fresh, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._run("psql", "-h", str(self.home), "-U", "tester", "-d", "postgres", "-q", "-c",
                  f"CREATE DATABASE {name} TEMPLATE template0")  # fmt: skip
        return f"postgresql://tester@/{name}?host={self.home}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        if self.user:  # PostgreSQL refuses to run as root
            command = ["runuser", "-u", self.user, "--", *command]
        # Its output goes to a file: the server keeps an inherited pipe open for good.
        with tempfile.TemporaryFile() as out:
            done = subprocess.run(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/",
                timeout=2 * FOLLOWS, check=False,
            )  # fmt: skip
            out.seek(0)
            assert done.returncode == 0, f"{program}: {out.read().decode(errors='replace')}"


def _other_user() -> str | None:
    """Whom to be where we are root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


_KEY = pytest.StashKey[PostgresServer]()


def running_postgres(config: pytest.Config) -> PostgresServer:
    """The run's one server, started for the first who asks; skips where there is none."""
    if _KEY not in config.stash:
        programs = find_postgres()
        if programs is None:
            pytest.skip("needs postgres, which is not installed")
        pytest.importorskip("psycopg", reason="needs postgres: psycopg is not installed")
        server = PostgresServer(programs)
        config.stash[_KEY] = server
        config.add_cleanup(server.remove)
    return config.stash[_KEY]
