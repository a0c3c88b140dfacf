"""Movements planted in somebody's recording: what and when (`plan`), and the frames (`source`)."""
