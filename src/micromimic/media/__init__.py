"""Frames in and out: videos, folders of pictures, overlays."""
