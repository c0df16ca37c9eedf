"""Credentials as they are looked up for each request: API keys and sessions, with their owners."""
