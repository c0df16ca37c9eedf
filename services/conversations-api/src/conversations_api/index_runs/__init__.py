"""Runs over the whole index: requested here, executed by the worker, one at a time."""
