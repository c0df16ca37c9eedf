"""Chaos tests: kill and stop the platform's processes under load, and check the results for violations."""
