"""How far the vector index is with each conversation."""
