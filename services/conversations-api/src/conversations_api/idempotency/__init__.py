"""Idempotency keys: a POST that is sent again with the same key is processed only once."""
