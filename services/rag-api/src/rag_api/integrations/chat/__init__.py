"""Answers as plain text, for simple chat pages."""
