"""Keeps the vector index up to date with the conversations: Celery jobs that embed and upsert."""

from mh_common import lazy_pandas

lazy_pandas.install()
