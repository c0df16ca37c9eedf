"""API keys: what programs send to say who they are."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Literal

from mh_common.auth.roles import Scope
from mh_common.models import ApiKey, ApiKeyCreate, ApiKeyCreated, ApiKeyPage

from mh_client._base import Call, Retry, validated
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/api-keys"

ScopeName = Literal[
    "conversations:read",
    "conversations:write",
    "conversations:delete",
    "conversations:export",
    "search",
    "answers",
    "history:own",
    "experiments:read",
    "experiments:write",
    "index:operate",
    "users:manage",
    "on-behalf-of",
]


def create(
    name: str, scopes: Sequence[Scope | ScopeName], expires_at: datetime | None = None, user_id: int | None = None
) -> Call[ApiKeyCreated]:
    """Make a key; the result's `token` is the key itself, which the platform shows only now.

    Args:
        name: what the key is for.
        scopes: what it may do, at most what its owner may. `search`, `answers` and `conversations:export` need
            `conversations:read` besides.
        expires_at: when it stops working, with a time zone; None: never.
        user_id: its owner, if that is not the caller; for those who manage users.
    """
    given = {"name": name, "scopes": scopes, "expires_at": expires_at, "user_id": user_id}
    return Call(
        method="POST",
        path=PATH,
        content=validated(ApiKeyCreate, given).model_dump_json(exclude_none=True).encode(),
        parse=ApiKeyCreated.model_validate_json,
        retry=Retry.IF_NOT_PROCESSED,
    )


def list_page(cursor: str | None = None, limit: int | None = None, user_id: int | None = None) -> Call[ApiKeyPage]:
    """Return one page of one's own keys, newest first.

    Those who manage users get everybody's, or those of the account `user_id`.
    """
    query = {"cursor": cursor, "limit": limit, "user_id": user_id}
    return Call(method="GET", path=PATH, params=query_params(query), parse=ApiKeyPage.model_validate_json)


def revoke(key_id: int) -> Call[None]:
    """End a key for good, at once; it stays in the list. Raises NotFoundError."""
    return Call(method="DELETE", path=f"{PATH}/{key_id:d}", parse=lambda body: None)


def rotate(key_id: int) -> Call[ApiKeyCreated]:
    """Replace a key by a new one of the same name and scopes; the old one ends at once. Raises NotFoundError."""
    return Call(
        method="POST",
        path=f"{PATH}/{key_id:d}/rotate",
        parse=ApiKeyCreated.model_validate_json,
        retry=Retry.IF_NOT_PROCESSED,
    )


class ApiKeys(Resource):
    """`client.api_keys`."""

    create = sync_method(create)
    list = sync_method(list_page)
    revoke = sync_method(revoke)
    rotate = sync_method(rotate)

    def iterate(self, user_id: int | None = None) -> Iterator[ApiKey]:
        """Iterate over all keys, newest first, requesting pages as needed; `user_id` as in `list`."""
        for page in pages(self._sender, partial(list_page, user_id=user_id)):
            yield from page.items


class AsyncApiKeys(AsyncResource):
    """`client.api_keys` of `AsyncClient`."""

    create = async_method(create)
    list = async_method(list_page)
    revoke = async_method(revoke)
    rotate = async_method(rotate)

    async def iterate(self, user_id: int | None = None) -> AsyncIterator[ApiKey]:
        """Iterate over all keys, newest first, requesting pages as needed; `user_id` as in `list`."""
        async for page in pages_async(self._sender, partial(list_page, user_id=user_id)):
            for key in page.items:
                yield key
