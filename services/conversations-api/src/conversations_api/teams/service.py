"""Operations on teams. Who manages accounts may do all of them; a lead changes who is in the team."""

from mh_common.auth.principals import Principal
from mh_common.auth.roles import Scope
from mh_common.errors import NotFoundError
from mh_common.models import CredentialKind, Team, TeamMember, TeamMemberPage, TeamPage

from conversations_api.clock import Clock, utc_now
from conversations_api.database import AsyncSession
from conversations_api.teams.repository import TeamRepository, no_team, to_team
from conversations_api.users.repository import UserRepository


class TeamService:
    """Reads and changes teams in a session; the caller commits."""

    def __init__(self, session: AsyncSession, clock: Clock = utc_now) -> None:
        self._teams = TeamRepository(session)
        self._users = UserRepository(session)
        self._clock = clock

    async def list(self, after: int, limit: int) -> TeamPage:
        """Return one page of teams, by id; `after` is the cursor of the previous page."""
        found = await self._teams.list(after, limit + 1)
        page = found[:limit]
        cursor = str(page[-1].id) if len(found) > limit else None
        return TeamPage(items=[to_team(row) for row in page], next_cursor=cursor)

    async def add(self, name: str) -> Team:
        """Add a team without members. Raises ConflictError if the name is taken."""
        return to_team(await self._teams.add(name, self._clock()))

    async def get(self, team_id: int) -> Team:
        """Return a team. Raises NotFoundError."""
        return to_team(await self._teams.get(team_id))

    async def rename(self, team_id: int, name: str) -> Team:
        """Give a team another name. Raises NotFoundError, ConflictError if it is taken."""
        row = await self._teams.lock(team_id)
        await self._teams.rename(row, name)
        return to_team(row)

    async def delete(self, team_id: int) -> None:
        """Delete a team; its members' accounts stay. Raises NotFoundError."""
        if not await self._teams.delete(team_id):
            raise no_team(team_id)

    async def list_members(self, principal: Principal, team_id: int, after: int, limit: int) -> TeamMemberPage:
        """Return one page of a team's members, for a member or who manages accounts. Raises NotFoundError."""
        await self._check(principal, team_id, lead=False)
        found = await self._teams.list_members(team_id, after, limit + 1)
        page = found[:limit]
        return TeamMemberPage(items=page, next_cursor=str(page[-1].user_id) if len(found) > limit else None)

    async def put_member(self, principal: Principal, team_id: int, user_id: int, lead: bool) -> TeamMember:
        """Let an account be in a team, for a lead of it or who manages accounts.

        Raises:
            NotFoundError: there is no such team or account, or the caller may not change the team.
        """
        await self._check(principal, team_id, lead=True)
        await self._teams.lock(team_id)
        user = await self._users.get(user_id)
        await self._teams.put_member(team_id, user_id, lead)
        return TeamMember(user_id=user.id, username=user.username, display_name=user.display_name, lead=lead)

    async def delete_member(self, principal: Principal, team_id: int, user_id: int) -> None:
        """Take an account out of a team, for a lead of it or who manages accounts. Raises NotFoundError."""
        await self._check(principal, team_id, lead=True)
        if not await self._teams.delete_member(team_id, user_id):
            raise NotFoundError(f"The user {user_id} is not in team {team_id}.")

    async def _check(self, principal: Principal, team_id: int, *, lead: bool) -> None:
        """Raise NotFoundError unless there is the team, and the caller is in it, or manages accounts.

        A member who is no lead and wants to change the team is told what is missing. So is a program with a lead's
        key: what a key may do is in its scopes.
        """
        if Scope.USERS_MANAGE in principal.scopes:
            await self._teams.get(team_id)
            return
        own = None if principal.user_id is None else await self._teams.find_member(team_id, principal.user_id)
        if own is None:
            raise no_team(team_id)
        if lead and not (own.lead and principal.credential is CredentialKind.SESSION):
            principal.require(Scope.USERS_MANAGE)
