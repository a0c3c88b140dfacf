"""Synthetic micro-expressions with known truth: action-unit fields, flow maps, clips."""
