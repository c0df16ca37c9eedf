"""Shared by every API of the platform: problem documents, health routes, request ids."""
