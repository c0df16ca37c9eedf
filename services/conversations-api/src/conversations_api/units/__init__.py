"""How far the vector index is with each unit, of whatever kind. What it asks of the nouns, `sources.py` says."""
