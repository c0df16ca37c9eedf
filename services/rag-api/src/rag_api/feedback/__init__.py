"""Feedback on answers: taken here, where answers come from, and kept by the conversations API."""
