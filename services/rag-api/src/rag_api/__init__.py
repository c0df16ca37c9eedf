"""rag-api: semantic search, and answers grounded in the most similar conversations."""

from mh_common import lazy_pandas

lazy_pandas.install()
