"""Accounts of people and programs."""
