"""The index in Milvus: its collections, writing rows, listing their contents, and replacing a collection."""
