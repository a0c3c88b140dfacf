"""From a video file to frames: track, order, times, geometry, brightness."""
