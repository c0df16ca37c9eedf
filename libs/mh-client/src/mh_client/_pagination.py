"""Walk over all pages of a list."""

from collections.abc import AsyncIterator, Callable, Iterator

from mh_common.models import Conversation, ConversationPage

from mh_client._base import Call
from mh_client.resources._binding import AsyncSender, Sender

PageCall = Callable[[str | None], Call[ConversationPage]]
"""Describes the page that starts at a cursor."""


def pages(sender: Sender, page_at: PageCall, cursor: str | None) -> Iterator[Conversation]:
    """Yield every conversation from this cursor on; one page is held at a time."""
    while True:
        page = sender.send(page_at(cursor))
        yield from page.items
        if (cursor := page.next_cursor) is None:
            return


async def pages_async(sender: AsyncSender, page_at: PageCall, cursor: str | None) -> AsyncIterator[Conversation]:
    """Yield every conversation from this cursor on; one page is held at a time."""
    while True:
        page = await sender.send(page_at(cursor))
        for conversation in page.items:
            yield conversation
        if (cursor := page.next_cursor) is None:
            return
