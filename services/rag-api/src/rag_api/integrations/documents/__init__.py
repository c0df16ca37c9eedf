"""All conversations as documents, for tools that copy or display a knowledge base."""
