"""Heads of a body model: mesh, skin, camera."""
