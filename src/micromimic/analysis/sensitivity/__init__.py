"""What would have been found in a recording: injection and recovery."""
