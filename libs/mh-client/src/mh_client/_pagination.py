"""Walk over all pages of a list."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol, TypeVar

from mh_client._base import Call
from mh_client.resources._binding import AsyncSender, Sender


class Page(Protocol):
    """A part of a list that tells where the next one begins."""

    next_cursor: str | None


P = TypeVar("P", bound=Page)


def pages(sender: Sender, page_at: Callable[[str | None], Call[P]], cursor: str | None = None) -> Iterator[P]:
    """Yield every page from this cursor on; `page_at` describes the one at a cursor. One is held at a time."""
    while True:
        page = sender.send(page_at(cursor))
        yield page
        if (cursor := page.next_cursor) is None:
            return


async def pages_async(
    sender: AsyncSender, page_at: Callable[[str | None], Call[P]], cursor: str | None = None
) -> AsyncIterator[P]:
    """Yield every page from this cursor on; `page_at` describes the one at a cursor. One is held at a time."""
    while True:
        page = await sender.send(page_at(cursor))
        yield page
        if (cursor := page.next_cursor) is None:
            return
