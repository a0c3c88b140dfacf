"""Alembic's migrations: ``env.py``, and one file a version of the tables."""
