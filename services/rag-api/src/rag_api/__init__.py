"""rag-api: search by meaning, and answers grounded in the nearest conversations."""
