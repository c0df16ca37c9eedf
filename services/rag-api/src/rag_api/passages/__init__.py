"""Passages: the stretches of the answers found that are worth reading for a question."""
