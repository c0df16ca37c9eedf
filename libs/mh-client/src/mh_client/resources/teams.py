"""Teams, and who is in them."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final

from mh_common.models import (
    Team,
    TeamCreate,
    TeamMember,
    TeamMemberPage,
    TeamMemberPut,
    TeamPage,
    TeamUpdate,
)

from mh_client._base import Call, Retry, validated
from mh_client._pagination import pages, pages_async
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method
from mh_client.resources._params import query_params

PATH: Final = "/api/v1/teams"


def create(name: str) -> Call[Team]:
    """Add a team without members, for those who manage users. Raises ConflictError if the name is taken."""
    return Call(
        method="POST",
        path=PATH,
        content=validated(TeamCreate, {"name": name}).model_dump_json().encode(),
        parse=Team.model_validate_json,
        retry=Retry.IF_NOT_PROCESSED,
    )


def get(team_id: int) -> Call[Team]:
    """Return a team, for those who manage users. Raises NotFoundError."""
    return Call(method="GET", path=f"{PATH}/{team_id:d}", parse=Team.model_validate_json)


def list_page(cursor: str | None = None, limit: int | None = None) -> Call[TeamPage]:
    """Return one page of all teams, by id, for those who manage users. One's own are in `me().teams`."""
    query = {"cursor": cursor, "limit": limit}
    return Call(method="GET", path=PATH, params=query_params(query), parse=TeamPage.model_validate_json)


def rename(team_id: int, name: str) -> Call[Team]:
    """Give a team another name, for those who manage users. Raises NotFoundError, ConflictError if it is taken."""
    return Call(
        method="PATCH",
        path=f"{PATH}/{team_id:d}",
        content=validated(TeamUpdate, {"name": name}).model_dump_json().encode(),
        parse=Team.model_validate_json,
    )


def delete(team_id: int) -> Call[None]:
    """Delete a team, for those who manage users; its members' accounts stay. Raises NotFoundError."""
    return Call(method="DELETE", path=f"{PATH}/{team_id:d}", parse=lambda body: None)


def list_members(team_id: int, cursor: str | None = None, limit: int | None = None) -> Call[TeamMemberPage]:
    """Return one page of the members of a team of one's own, or of any for those who manage users.

    Raises NotFoundError.
    """
    query = {"cursor": cursor, "limit": limit}
    return Call(
        method="GET",
        path=f"{PATH}/{team_id:d}/members",
        params=query_params(query),
        parse=TeamMemberPage.model_validate_json,
    )


def put_member(team_id: int, user_id: int, lead: bool = False) -> Call[TeamMember]:
    """Let an account be in a team, for its leads and those who manage users. Raises NotFoundError.

    A lead may change who is in the team.
    """
    return Call(
        method="PUT",
        path=f"{PATH}/{team_id:d}/members/{user_id:d}",
        content=validated(TeamMemberPut, {"lead": lead}).model_dump_json().encode(),
        parse=TeamMember.model_validate_json,
    )


def remove_member(team_id: int, user_id: int) -> Call[None]:
    """Take an account out of a team, for its leads and those who manage users. Raises NotFoundError."""
    return Call(method="DELETE", path=f"{PATH}/{team_id:d}/members/{user_id:d}", parse=lambda body: None)


class Teams(Resource):
    """`client.teams`."""

    create = sync_method(create)
    get = sync_method(get)
    list = sync_method(list_page)
    rename = sync_method(rename)
    delete = sync_method(delete)
    list_members = sync_method(list_members)
    put_member = sync_method(put_member)
    remove_member = sync_method(remove_member)

    def iterate(self) -> Iterator[Team]:
        """Iterate over all teams, by id, requesting pages as needed."""
        for page in pages(self._sender, list_page):
            yield from page.items

    def iterate_members(self, team_id: int) -> Iterator[TeamMember]:
        """Iterate over a team's members, by the account's id, requesting pages as needed."""
        for page in pages(self._sender, partial(list_members, team_id)):
            yield from page.items


class AsyncTeams(AsyncResource):
    """`client.teams` of `AsyncClient`."""

    create = async_method(create)
    get = async_method(get)
    list = async_method(list_page)
    rename = async_method(rename)
    delete = async_method(delete)
    list_members = async_method(list_members)
    put_member = async_method(put_member)
    remove_member = async_method(remove_member)

    async def iterate(self) -> AsyncIterator[Team]:
        """Iterate over all teams, by id, requesting pages as needed."""
        async for page in pages_async(self._sender, list_page):
            for team in page.items:
                yield team

    async def iterate_members(self, team_id: int) -> AsyncIterator[TeamMember]:
        """Iterate over a team's members, by the account's id, requesting pages as needed."""
        async for page in pages_async(self._sender, partial(list_members, team_id)):
            for member in page.items:
                yield member
