"""Iterate over the pages of a list."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol, TypeVar

from mh_client._base import Call
from mh_client.resources._binding import AsyncSender, Sender


class Page(Protocol):
    """One page of a list, with the cursor of the next one."""

    next_cursor: str | None


P = TypeVar("P", bound=Page)


def pages(sender: Sender, page_at: Callable[[str | None], Call[P]], cursor: str | None = None) -> Iterator[P]:
    """Yield every page, starting at `cursor`; `page_at` returns the call for the page at a cursor."""
    while True:
        page = sender.send(page_at(cursor))
        yield page
        if (cursor := page.next_cursor) is None:
            return


async def pages_async(
    sender: AsyncSender, page_at: Callable[[str | None], Call[P]], cursor: str | None = None
) -> AsyncIterator[P]:
    """Yield every page, starting at `cursor`; `page_at` returns the call for the page at a cursor."""
    while True:
        page = await sender.send(page_at(cursor))
        yield page
        if (cursor := page.next_cursor) is None:
            return
