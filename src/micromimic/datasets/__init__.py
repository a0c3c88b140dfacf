"""Databases of micro-expressions: readers, the composite, and the manifest that lists clips."""
