"""Tools for the quality of answers: the check of support, and evaluations."""
