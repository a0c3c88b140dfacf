"""A whole study as one file, and two of them joined."""
