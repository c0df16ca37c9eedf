"""Measures the recognizers of identifiers, and makes the lists of names that they use."""
