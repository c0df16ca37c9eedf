"""Checks the documents against the code, and writes the generated ones."""
