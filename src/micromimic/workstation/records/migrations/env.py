"""What Alembic runs to migrate: on the connection, and in the transaction, of the caller."""

from __future__ import annotations

from alembic import context

from micromimic.workstation.records.database import VERSION_TABLE
from micromimic.workstation.records.models import Base


def run() -> None:
    """Run the migrations that `records.database` asked for."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
        render_as_batch=True,  # SQLite changes a table by copying it
    )
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic loads it; an import does nothing
    run()
