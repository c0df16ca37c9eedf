"""Detects whether the worker makes progress: heartbeat file, watchdog and queue depth."""
