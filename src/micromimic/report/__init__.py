"""Results written down: JSON, CSV, ELAN, HTML."""
