"""The commands of `mh keys`: API keys of programs."""

from typing import Annotated

import typer
from mh_common.auth.roles import Scope
from mh_common.models import ApiKey, ApiKeyCreated

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, Time, Url, print_json, print_text
from mh_client._terminal import print_error

app = typer.Typer(help="Manage API keys, which programs send.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[int, typer.Argument(min=1, metavar="ID", help="The key's id; `mh keys list` shows it.")]
Owner = Annotated[int | None, typer.Option("--user-id", min=1, help="Another account; needs users:manage.")]


@app.command("list")
def _list(
    ctx: typer.Context,
    user_id: Owner = None,
    limit: Annotated[int, typer.Option(help="Maximum number of keys, 1 to 200.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Cursor printed by the previous call.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List your keys, newest first; for those who manage users, everybody's."""
    with open_client(url or ctx.obj) as client:
        page = client.api_keys.list(cursor, limit, user_id)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        print_text(f"{one.id:>6}  {one.shown}  {one.username:<16}  {_state(one)}  {one.name}")
        print_text(f"        {', '.join(one.scopes)}")
    if page.next_cursor:
        print_text(f"There are more: --cursor {page.next_cursor}")
    elif not page.items:
        print_text("There are no keys.")


@app.command("create")
def _create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[Scope], typer.Option(metavar="SCOPE", help="What it may do; repeatable. `mh roles` lists all.")
    ],
    expires: Time = None,
    user_id: Owner = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Make a key and print it, alone: it is shown only now. What else there is to say goes to standard error."""
    with open_client(url or ctx.obj) as client:
        made = client.api_keys.create(name, scope, expires, user_id)
    _print_made(made, as_json=as_json)


@app.command("rotate")
def _rotate(ctx: typer.Context, key_id: Id, as_json: AsJson = False, url: Url = None) -> None:
    """Replace a key by a new one and print that, as `create` does. The old key ends at once."""
    with open_client(url or ctx.obj) as client:
        made = client.api_keys.rotate(key_id)
    _print_made(made, as_json=as_json)
    print_error(f"mh: key {key_id} has ended: replace it wherever it is used")


@app.command("revoke")
def _revoke(ctx: typer.Context, key_id: Id, url: Url = None) -> None:
    """End a key for good."""
    with open_client(url or ctx.obj) as client:
        client.api_keys.revoke(key_id)
    print_text("Revoked.")


def _print_made(made: ApiKeyCreated, *, as_json: bool) -> None:
    key = made.api_key
    print_error(f"mh: key {key.id} of {key.username}, {_end(key)}: {', '.join(key.scopes)}")
    print_error("mh: it is shown only now. Keep it like a password")
    if as_json:
        print_json(made)
    else:
        print_text(made.token)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
    return f"{_end(key)}, {used}"


def _end(key: ApiKey) -> str:
    return f"until {key.expires_at:%Y-%m-%d %H:%M %Z}" if key.expires_at else "without end"
