"""Experiments: stored evaluations of search and of answers, for comparison."""
