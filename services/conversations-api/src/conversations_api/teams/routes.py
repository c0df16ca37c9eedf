"""Routes of teams and their members."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from mh_common.auth.roles import Scope
from mh_common.models import (
    MAX_ID,
    NumberParameter,
    Team,
    TeamCreate,
    TeamMember,
    TeamMemberPage,
    TeamMemberPut,
    TeamPage,
    TeamUpdate,
)
from mh_common.web.access import SIGNED_IN, CurrentPrincipal, GuardedRoute, requires

from conversations_api.dependencies import HAS_ACCOUNTS, ReadSession, WriteSession
from conversations_api.teams import documentation
from conversations_api.teams.service import TeamService

router = APIRouter(route_class=GuardedRoute, prefix="/api/v1/teams", tags=["accounts"], dependencies=[HAS_ACCOUNTS])

Id = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The team's id.")]
UserId = Annotated[NumberParameter, Path(ge=1, le=MAX_ID, description="The account's id.")]
Cursor = Annotated[NumberParameter, Query(ge=0, le=MAX_ID, description="`next_cursor` of the previous page.")]
Limit = Annotated[NumberParameter, Query(ge=1, le=200)]
MANAGE = [requires(Scope.USERS_MANAGE)]


@router.get("", responses=documentation.LISTED, dependencies=MANAGE)
async def list_teams(session: ReadSession, cursor: Cursor = 0, limit: Limit = 50) -> TeamPage:
    """List all teams, by id, one page at a time. One's own are in `GET /api/v1/me`."""
    return await TeamService(session).list(cursor, limit)


@router.post("", status_code=201, responses=documentation.ADDED, dependencies=MANAGE)
async def add(
    content: Annotated[TeamCreate, Body(openapi_examples=documentation.NEW)], session: WriteSession, response: Response
) -> Team:
    """Add a team. It has no members yet."""
    team = await TeamService(session).add(content.name)
    response.headers["Location"] = f"/api/v1/teams/{team.id}"
    return team


@router.get("/{team_id}", responses=documentation.READ, dependencies=MANAGE)
async def get(team_id: Id, session: ReadSession) -> Team:
    """Return a team."""
    return await TeamService(session).get(team_id)


@router.patch("/{team_id}", responses=documentation.CHANGED, dependencies=MANAGE)
async def rename(
    team_id: Id, change: Annotated[TeamUpdate, Body(openapi_examples=documentation.CHANGE)], session: WriteSession
) -> Team:
    """Give a team another name."""
    return await TeamService(session).rename(team_id, change.name)


@router.delete("/{team_id}", status_code=204, responses=documentation.DELETED, dependencies=MANAGE)
async def delete(team_id: Id, session: WriteSession) -> None:
    """Delete a team. The accounts of its members stay."""
    await TeamService(session).delete(team_id)


@router.get("/{team_id}/members", responses=documentation.MEMBERS_LISTED, dependencies=[SIGNED_IN])
async def list_members(
    team_id: Id, principal: CurrentPrincipal, session: ReadSession, cursor: Cursor = 0, limit: Limit = 50
) -> TeamMemberPage:
    """List who is in a team: one of one's own, or any for those who manage accounts."""
    return await TeamService(session).list_members(principal, team_id, cursor, limit)


@router.put("/{team_id}/members/{user_id}", responses=documentation.MEMBER_PUT, dependencies=[SIGNED_IN])
async def put_member(
    team_id: Id,
    user_id: UserId,
    content: Annotated[TeamMemberPut, Body(openapi_examples=documentation.PUT)],
    principal: CurrentPrincipal,
    session: WriteSession,
) -> TeamMember:
    """Let an account be in a team, as a lead or not; for leads of the team and those who manage accounts."""
    return await TeamService(session).put_member(principal, team_id, user_id, content.lead)


@router.delete(
    "/{team_id}/members/{user_id}", status_code=204, responses=documentation.MEMBER_DELETED, dependencies=[SIGNED_IN]
)
async def delete_member(team_id: Id, user_id: UserId, principal: CurrentPrincipal, session: WriteSession) -> None:
    """Take an account out of a team; for leads of the team and those who manage accounts."""
    await TeamService(session).delete_member(principal, team_id, user_id)
