"""Scores and statistics, leak-free."""
