"""The commands of `mh teams`."""

from typing import Annotated

import typer
from mh_common.models import Team

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, Url, print_json, print_text

app = typer.Typer(
    help="Manage teams; needs users:manage, or being a lead of the team.", no_args_is_help=True, rich_markup_mode=None
)

Id = Annotated[int, typer.Argument(min=1, metavar="ID", help="The team's id; `mh teams list` shows it.")]
UserId = Annotated[int, typer.Argument(min=1, metavar="USER", help="The account's id; `mh users list` shows it.")]
Name = Annotated[str, typer.Argument(help="The team's name.")]
Limit = Annotated[int, typer.Option(help="Maximum number of lines, 1 to 200.")]
Cursor = Annotated[str | None, typer.Option(help="Cursor printed by the previous call.")]


@app.command("list")
def _list(
    ctx: typer.Context, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False, url: Url = None
) -> None:
    """List all teams, by id."""
    with open_client(url or ctx.obj) as client:
        page = client.teams.list(cursor, limit)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        print_text(f"{one.id:>6}  {one.name}")
    _print_rest(page.next_cursor, is_empty=not page.items)


@app.command("mine")
def _mine(ctx: typer.Context, url: Url = None) -> None:
    """List the teams that you are in, by name."""
    with open_client(url or ctx.obj) as client:
        teams = client.me().teams
    for one in teams:
        print_text(f"{one.id:>6}  {one.name}{'  lead' if one.lead else ''}")
    _print_rest(None, is_empty=not teams)


@app.command("add")
def _add(ctx: typer.Context, name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Add a team. It has no members yet."""
    with open_client(url or ctx.obj) as client:
        _print(client.teams.create(name), as_json=as_json)


@app.command("rename")
def _rename(ctx: typer.Context, team_id: Id, name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Give a team another name."""
    with open_client(url or ctx.obj) as client:
        _print(client.teams.rename(team_id, name), as_json=as_json)


@app.command("delete")
def _delete(ctx: typer.Context, team_id: Id, url: Url = None) -> None:
    """Delete a team. The accounts of its members stay."""
    with open_client(url or ctx.obj) as client:
        client.teams.delete(team_id)
    print_text("Deleted.")


@app.command("members")
def _members(
    ctx: typer.Context, team_id: Id, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False, url: Url = None
) -> None:
    """List who is in a team, by the account's id."""
    with open_client(url or ctx.obj) as client:
        page = client.teams.list_members(team_id, cursor, limit)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        print_text(f"{one.user_id:>6}  {one.username:<24}  {'lead' if one.lead else '':<4}  {one.display_name or ''}")
    _print_rest(page.next_cursor, is_empty=not page.items)


@app.command("put")
def _put(
    ctx: typer.Context,
    team_id: Id,
    user_id: UserId,
    lead: Annotated[bool, typer.Option("--lead", help="Who may change who is in the team.")] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Let an account be in a team; without --lead a lead becomes a member like others."""
    with open_client(url or ctx.obj) as client:
        made = client.teams.put_member(team_id, user_id, lead)
    if as_json:
        print_json(made)
        return
    print_text(f"{made.username} is {'a lead of' if made.lead else 'in'} team {team_id}")


@app.command("remove")
def _remove(ctx: typer.Context, team_id: Id, user_id: UserId, url: Url = None) -> None:
    """Take an account out of a team."""
    with open_client(url or ctx.obj) as client:
        client.teams.remove_member(team_id, user_id)
    print_text("Removed.")


def _print(team: Team, *, as_json: bool) -> None:
    if as_json:
        print_json(team)
        return
    print_text(f"team {team.id}: {team.name}")


def _print_rest(cursor: str | None, *, is_empty: bool) -> None:
    if cursor:
        print_text(f"There are more: --cursor {cursor}")
    elif is_empty:
        print_text("None.")
