"""Answers to counselors' questions, grounded in the most similar conversations."""
