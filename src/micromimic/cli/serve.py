"""`micromimic serve`: the workstation in the browser."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import needs_web, note, say
from micromimic.cli.options import unset


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; other machines reach any but the default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8420,
    data: options.Data = None,
    database: options.DatabaseUrl = None,
    database_file: options.DatabaseFile = None,
    token: Annotated[
        str | None,
        unset(
            "What every request must carry; MICROMIMIC_TOKEN if left out, else made up where the "
            "address is not loopback. --token-file keeps it out of the list of processes."
        ),
    ] = None,
    token_file: options.TokenFile = None,
    max_gb: Annotated[float, typer.Option(min=0.001, help="Largest upload, in GB.")] = 4.0,
    max_minutes: Annotated[float, typer.Option(min=0.1, help="Longest video.")] = 60.0,
    retention_days: Annotated[
        int, typer.Option(min=0, help="Days until a video is removed; 0 keeps it.")
    ] = 30,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Videos analysed at a time.")] = 1,
    model: options.Model = None,
) -> None:
    """Open the workstation: upload, live, review, subjects over time, export.

    Listens on this machine only, unless --host says otherwise; then every request needs a token.
    Videos and records stay in the data folder. Ctrl-C stops it; what was being analysed goes on at
    the next start.
    """
    from micromimic.core.errors import InputError

    token = options.token_of(token, token_file)
    url = options.database_of(database, database_file)
    with needs_web():
        from micromimic.workstation import server
        from micromimic.workstation.access import is_loopback
        from micromimic.workstation.records.folder import default_data_dir
        from micromimic.workstation.settings import GB, Settings
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    try:
        settings = Settings(
            data=default_data_dir() if data is None else data,
            url=url,
            host=host,
            port=port,
            token=token,
            max_bytes=int(max_gb * GB),
            max_seconds=max_minutes * 60.0,
            retention_days=retention_days,
            jobs=jobs,
            model=model,
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    server.serve(settings, say=say, warn=note)
