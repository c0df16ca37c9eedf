"""Identities: who accounts are at an OpenID provider. Only those who manage users can use these calls."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

from mh_common.models import Identity, IdentityCreate, IdentityPage

from mh_client._base import Call, Retry, validated
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._params import query_params


def create(user_id: int, subject: str, issuer: str | None = None) -> Call[Identity]:
    """Let a person sign in with an account by way of an OpenID provider.

    Raises NotFoundError if there is no such account, ConflictError if the identity is linked already.

    Args:
        user_id: the account.
        subject: what the provider calls the person: the claim `sub`.
        issuer: the provider; None: the platform's own.
    """
    return Call(
        method="POST",
        path=_path(user_id),
        content=validated(IdentityCreate, {"subject": subject, "issuer": issuer})
        .model_dump_json(exclude_none=True)
        .encode(),
        parse=Identity.model_validate_json,
        retry=Retry.IF_NOT_PROCESSED,
    )


def list_page(user_id: int, cursor: str | None = None, limit: int | None = None) -> Call[IdentityPage]:
    """Return one page of an account's identities, oldest first. Raises NotFoundError."""
    query = {"cursor": cursor, "limit": limit}
    return Call(method="GET", path=_path(user_id), params=query_params(query), parse=IdentityPage.model_validate_json)


def delete(user_id: int, identity_id: int) -> Call[None]:
    """End that a person can sign in with an account, and the account's sessions. Raises NotFoundError."""
    return Call(method="DELETE", path=f"{_path(user_id)}/{identity_id:d}", parse=lambda body: None)


def _path(user_id: int) -> str:
    return f"/api/v1/users/{user_id:d}/identities"


class Identities(Resource):
    """`client.identities`."""

    create = sync_method(create)
    list = sync_method(list_page)
    delete = sync_method(delete)

    def iterate(self, user_id: int) -> Iterator[Identity]:
        """Iterate over an account's identities, oldest first, requesting pages as needed."""
        for page in pages(self._sender, partial(list_page, user_id)):
            yield from page.items


class AsyncIdentities(AsyncResource):
    """`client.identities` of `AsyncClient`."""

    create = async_method(create)
    list = async_method(list_page)
    delete = async_method(delete)

    async def iterate(self, user_id: int) -> AsyncIterator[Identity]:
        """Iterate over an account's identities, oldest first, requesting pages as needed."""
        async for page in pages_async(self._sender, partial(list_page, user_id)):
            for identity in page.items:
                yield identity
