"""Sources that go on: cameras, streams, files at their own speed, pushed frames."""
