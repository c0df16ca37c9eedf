"""Runs over the whole index, in steps: reconciliation with the conversations, and rebuild."""
