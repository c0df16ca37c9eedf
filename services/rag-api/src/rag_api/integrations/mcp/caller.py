"""Who asks, for the tools: the route knows it, and the SDK's server between them does not."""

from typing import Final

CALLER: Final = "mcp_caller"
"""Key of the `Caller` in a request's state."""
