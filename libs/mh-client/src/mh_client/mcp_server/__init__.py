"""The platform as tools of an MCP server, for programs in which a language model works. Needs the extra `mcp`."""
