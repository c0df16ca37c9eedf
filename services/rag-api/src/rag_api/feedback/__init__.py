"""Feedback on answers: accepted here, next to the answers, and stored by the conversations API."""
