"""Spotting in long videos, against what is annotated."""
