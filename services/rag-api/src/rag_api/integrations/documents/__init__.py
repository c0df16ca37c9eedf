"""The conversations as a list of documents, for tools that copy or show a knowledge base."""
