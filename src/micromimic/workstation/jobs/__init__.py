"""Analyses in the background, each in a confined process."""
