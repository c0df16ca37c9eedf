"""Conversations: the package to copy for a new resource. Read service.py first."""
