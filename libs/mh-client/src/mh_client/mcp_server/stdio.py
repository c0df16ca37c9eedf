"""The MCP server of `mh mcp`, on standard input and output."""

from typing import cast

from mcp.server.stdio import stdio_server
from mh_common.models import Answer, Conversation, SearchFilters, SearchResult

from mh_client._client import AsyncClient
from mh_client.mcp_server.server import build_server
from mh_client.resources._fields import FieldFilters
from mh_client.resources.conversations import PATH


class RemotePlatform:
    """The platform, through its HTTP API; see `Platform`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def search(self, query: str, limit: int, filters: SearchFilters) -> SearchResult:
        """See `Platform.search`."""
        # The models and the client use the same names.
        named = cast(FieldFilters, filters.model_dump(exclude_none=True))
        return await self._client.search(query, limit=limit, plain_query=True, **named)

    async def find(self, key: int) -> Conversation | None:
        """See `Platform.find`."""
        page = await self._client.conversations.list(ids=[key], limit=1)
        return page.items[0].as_read() if page.items else None

    async def answer(self, question: str, top_k: int) -> Answer:
        """See `Platform.answer`."""
        return await self._client.answer(question, top_k)

    def link(self, key: int) -> str:
        """See `Platform.link`."""
        return f"{self._client.base_url}{PATH}/{key}"


async def serve(client: AsyncClient) -> None:
    """Serve the platform of this client until standard input is closed, and close the client."""
    async with client:
        platform = RemotePlatform(client)
        server = build_server(lambda _: platform)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
