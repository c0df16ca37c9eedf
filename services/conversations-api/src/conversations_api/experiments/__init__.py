"""Experiments: stored retrieval evaluations, for comparison."""
