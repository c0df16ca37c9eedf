"""Fills the virtual environments of this checkout, and locks what they are filled with."""
