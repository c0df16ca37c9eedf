"""Conversations: the canonical example of a noun. Read service.py first."""
