"""A session with a live source."""
