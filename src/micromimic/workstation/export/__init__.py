"""What leaves the workstation: a recording, a study, training data."""
