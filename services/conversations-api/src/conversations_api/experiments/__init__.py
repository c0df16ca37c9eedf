"""Experiments: evaluations of retrieval, kept to be compared."""
