"""The index in Milvus: its collection, writing rows, listing what it holds, and replacing it by a new one."""
