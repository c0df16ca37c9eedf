"""Runs over the whole index: asked for here, carried out by the worker, one at a time."""
