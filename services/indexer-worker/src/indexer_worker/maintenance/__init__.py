"""Runs over the whole index, in steps: comparing it with the conversations, and building it anew."""
