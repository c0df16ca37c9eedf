"""Keeps the vector index in step with the conversations: Celery jobs that embed and upsert."""
