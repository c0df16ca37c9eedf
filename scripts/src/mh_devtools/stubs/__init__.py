"""Real peers for tests: HTTP servers that stand in for what the services and the client call."""
