"""Writes what the documents take from the code."""
