"""Keeping the index in step with the units that a job names."""
