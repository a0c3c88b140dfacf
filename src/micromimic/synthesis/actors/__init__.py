"""Faces that can be moved: a photograph, heads of a body model."""
