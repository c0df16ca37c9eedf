"""rag-api: semantic search, and answers grounded in the most similar conversations."""

from mh_common import pandas_on_demand

pandas_on_demand.install()
