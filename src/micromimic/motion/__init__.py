"""Motion of the stabilised face: curves, spotting, apex, optical flow."""
