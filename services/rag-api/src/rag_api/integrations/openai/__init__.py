"""OpenAI's API, for its clients: models, chat completions and the search of a vector store."""
