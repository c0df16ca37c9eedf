"""The MCP SDK's sessions, begun with the first exchange: the SDK takes 20 MB, and most processes never need it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class LazySessions:
    """Loads the SDK and lets its sessions run, both at the first wish for them. Belongs to one event loop.

    Args:
        load: imports the SDK and returns its sessions; runs in a thread, since other requests are served meanwhile.
    """

    def __init__(self, load: "Callable[[], StreamableHTTPSessionManager]") -> None:
        self._load = load
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self._sessions: asyncio.Future[StreamableHTTPSessionManager] = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be ready for exchanges within the block; end them with it."""
        owner = asyncio.create_task(self._own())
        try:
            yield
        finally:
            self._ended.set()
            if not self._wanted.is_set():
                owner.cancel()
            with suppress(asyncio.CancelledError):
                await owner

    async def get(self) -> "StreamableHTTPSessionManager":
        """Return what serves exchanges. Raises what loading it raised."""
        self._wanted.set()
        # Whoever goes away while it is loaded leaves it to the others.
        return await asyncio.shield(self._sessions)

    async def _own(self) -> None:
        """Hold the sessions: the task that lets them run has to be the one that ends them."""
        await self._wanted.wait()
        try:
            sessions = await asyncio.to_thread(self._load)
            async with sessions.run():
                self._sessions.set_result(sessions)
                await self._ended.wait()
        except Exception as error:  # whatever it is: those who wait must hear of it
            if self._sessions.done():
                raise
            self._sessions.set_exception(error)
