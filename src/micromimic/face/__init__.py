"""The face: landmarks, tracking, the canonical frame, the ten cells."""
