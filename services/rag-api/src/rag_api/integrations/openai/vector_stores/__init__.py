"""The conversations as an OpenAI vector store."""
