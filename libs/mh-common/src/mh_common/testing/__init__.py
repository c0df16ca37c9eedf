"""Real peers for tests: an HTTP server that speaks the OpenAI protocol."""
