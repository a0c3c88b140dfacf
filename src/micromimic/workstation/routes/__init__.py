"""What the pages ask of the server."""
