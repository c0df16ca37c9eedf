"""Kills and stops the platform's parts under load, and judges what comes of it."""
