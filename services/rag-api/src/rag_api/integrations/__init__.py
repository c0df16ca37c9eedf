"""Adapters that offer search and answers in the protocols of other tools."""
