"""Whether the worker makes progress: what it notes of itself, and the queue that waits for it."""
