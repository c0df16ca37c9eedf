"""The Celery tasks: validation of their arguments, retries, and counting of crashes."""
