"""Semantic and keyword search over the conversations."""
