"""HTTP servers that stand in for the peers of services and client, for tests."""
