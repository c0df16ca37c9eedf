"""Measures what search finds, and makes what it measures with."""
