"""What other tools have said about the recordings, read into the records."""
