"""The Celery tasks: what a message may hold, when a job is tried again, and what ends its process."""
