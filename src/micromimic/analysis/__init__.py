"""From input to result: analyze, recognize, indicators, the demo."""
