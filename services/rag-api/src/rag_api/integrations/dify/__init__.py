"""Dify's External Knowledge API."""
