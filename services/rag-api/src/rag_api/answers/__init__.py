"""Answers to counselors' questions, grounded in the nearest conversations."""
