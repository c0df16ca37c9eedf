"""Keeps the vector index in step with the conversations: Celery jobs that embed and upsert."""

from mh_common import pandas_on_demand

pandas_on_demand.install()
