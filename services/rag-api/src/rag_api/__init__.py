"""rag-api: search by meaning, and answers grounded in the nearest conversations."""

from mh_common import pandas_on_demand

pandas_on_demand.install()
