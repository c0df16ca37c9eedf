"""The platform as an MCP server. Needs the extra `mcp`."""
