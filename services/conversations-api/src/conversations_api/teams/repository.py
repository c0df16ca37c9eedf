"""The tables of teams and their members."""

from datetime import datetime
from typing import Any, cast

from mh_common.errors import ConflictError, NotFoundError
from mh_common.models import OwnTeam, Team, TeamMember
from sqlalchemy import CursorResult, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.models import TeamMemberRow, TeamRow, UserRow


class TeamRepository:
    """Reads and writes teams in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, name: str, at: datetime) -> TeamRow:
        """Insert a team. Raises ConflictError if its name is taken."""
        row = TeamRow(name=name, created_at=at, version=1)
        try:
            async with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError as error:
            raise _taken(name) from error
        return row

    async def get(self, team_id: int) -> TeamRow:
        """Return a team. Raises NotFoundError."""
        row = await self._session.get(TeamRow, team_id)
        if row is None:
            raise no_team(team_id)
        return row

    async def lock(self, team_id: int) -> TeamRow:
        """Return a team, locked against other writers until the commit. Raises NotFoundError."""
        row = await self._session.get(TeamRow, team_id, with_for_update=True)
        if row is None:
            raise no_team(team_id)
        return row

    async def rename(self, row: TeamRow, name: str) -> None:
        """Give a team another name. Raises ConflictError if it is taken."""
        try:
            async with self._session.begin_nested():
                row.name = name
                row.version += 1
        except IntegrityError as error:
            raise _taken(name) from error

    async def delete(self, team_id: int) -> bool:
        """Delete a team and who is in it; return whether there was one."""
        await self._session.execute(delete(TeamMemberRow).where(TeamMemberRow.team_id == team_id))
        deleted = await self._session.execute(delete(TeamRow).where(TeamRow.id == team_id))
        return cast(CursorResult[Any], deleted).rowcount > 0

    async def find_member(self, team_id: int, user_id: int) -> TeamMemberRow | None:
        """Return that an account is in a team, or None."""
        return await self._session.get(TeamMemberRow, (team_id, user_id))

    async def put_member(self, team_id: int, user_id: int, lead: bool) -> None:
        """Let an account be in a team, as a lead or not."""
        row = await self.find_member(team_id, user_id)
        if row is None:
            self._session.add(TeamMemberRow(team_id=team_id, user_id=user_id, lead=lead))
        else:
            row.lead = lead
        await self._session.flush()

    async def delete_member(self, team_id: int, user_id: int) -> bool:
        """Take an account out of a team; return whether it was in it."""
        which = delete(TeamMemberRow).where(TeamMemberRow.team_id == team_id, TeamMemberRow.user_id == user_id)
        return cast(CursorResult[Any], await self._session.execute(which)).rowcount > 0

    async def list_members(self, team_id: int, after: int, limit: int) -> list[TeamMember]:
        """Return at most `limit` members with user ids above `after`, by user id."""
        query = (
            select(UserRow.id, UserRow.username, UserRow.display_name, TeamMemberRow.lead)
            .join(TeamMemberRow, TeamMemberRow.user_id == UserRow.id)
            .where(TeamMemberRow.team_id == team_id, UserRow.id > after)
            .order_by(UserRow.id)
            .limit(limit)
        )
        rows = await self._session.execute(query)
        return [
            TeamMember(user_id=key, username=name, display_name=shown, lead=lead) for key, name, shown, lead in rows
        ]

    async def list_of_user(self, user_id: int) -> list[OwnTeam]:
        """Return the teams that an account is in, by name."""
        query = (
            select(TeamRow.id, TeamRow.name, TeamMemberRow.lead)
            .join(TeamMemberRow, TeamMemberRow.team_id == TeamRow.id)
            .where(TeamMemberRow.user_id == user_id)
            .order_by(TeamRow.name)
        )
        return [OwnTeam(id=key, name=name, lead=lead) for key, name, lead in await self._session.execute(query)]

    async def list(self, after: int, limit: int) -> list[TeamRow]:
        """Return at most `limit` teams with ids above `after`, by id."""
        query = select(TeamRow).where(TeamRow.id > after).order_by(TeamRow.id).limit(limit)
        return list(await self._session.scalars(query))


def to_team(row: TeamRow) -> Team:
    """Return the team that a row holds."""
    return Team(**{name: getattr(row, name) for name in Team.model_fields})


def no_team(team_id: int) -> NotFoundError:
    """Return the error of a team that does not exist, or not for the caller."""
    return NotFoundError(f"There is no team {team_id}.")


def _taken(name: str) -> ConflictError:
    return ConflictError(f"There is a team {name} already. Choose another name.")
