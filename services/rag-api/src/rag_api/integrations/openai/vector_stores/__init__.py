"""The conversations as a vector store that can be searched."""
