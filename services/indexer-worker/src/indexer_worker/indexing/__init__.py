"""Keeping the index in step with the conversations that a job names."""
