"""Measures the screening for risk."""
