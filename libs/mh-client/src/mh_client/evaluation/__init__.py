"""Evaluation of retrieval: labelled queries run against the platform, measures with intervals, comparisons.

What computes needs the extra `eval`; plots need the extra `plot`.
"""
