"""Databases as they are distributed, with synthetic people."""
