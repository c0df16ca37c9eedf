"""Teams: who shares what is meant for a group only."""

from pydantic import AwareDatetime, BaseModel, Field

from mh_common.models.access import Name
from mh_common.models.base import WireModel


class Team(BaseModel):
    """A team."""

    id: int
    name: str
    created_at: AwareDatetime
    version: int


class TeamCreate(WireModel):
    """A new team."""

    name: Name = Field(description="No other team has it.")


class TeamUpdate(WireModel):
    """Another name for a team."""

    name: Name


class TeamPage(BaseModel):
    """One page of teams, by id."""

    items: list[Team]
    next_cursor: str | None


class TeamMember(BaseModel):
    """An account in a team."""

    user_id: int
    username: str
    display_name: str | None
    lead: bool = Field(description="Whether it may change who is in the team.")


class TeamMemberPut(WireModel):
    """What an account is in a team."""

    lead: bool = False


class TeamMemberPage(BaseModel):
    """One page of a team's members, by the account's id."""

    items: list[TeamMember]
    next_cursor: str | None
