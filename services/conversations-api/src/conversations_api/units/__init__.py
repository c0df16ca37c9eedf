"""Index states of units of any kind. `sources.py` defines what a kind must provide."""
