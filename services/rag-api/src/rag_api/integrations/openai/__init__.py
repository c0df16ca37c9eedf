"""An OpenAI-compatible API: models, chat completions and vector store search."""
