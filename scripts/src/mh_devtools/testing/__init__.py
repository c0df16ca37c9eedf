"""Helpers for the tests of several packages: waiting, logs, metrics, and types of fixtures."""
