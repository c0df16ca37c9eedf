"""Saves, restores and checks the conversations database."""
