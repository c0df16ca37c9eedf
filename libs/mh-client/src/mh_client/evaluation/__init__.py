"""Evaluation of retrieval: labelled queries, measures with confidence intervals, comparisons.

Computing measures needs the extra `eval`, plotting the extra `plot`.
"""
