"""The command line in parts; `micromimic.cli` is its door."""
