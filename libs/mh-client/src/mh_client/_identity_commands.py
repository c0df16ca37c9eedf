"""The commands of `mh users identities`: who may sign in with an account by way of an OpenID provider."""

from typing import Annotated

import typer

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, Url, print_json, print_text

app = typer.Typer(
    help="Say who may sign in with an account by way of an OpenID provider; needs users:manage.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

UserId = Annotated[int, typer.Argument(min=1, metavar="ID", help="The account's id; `mh users list` shows it.")]


@app.command("list")
def _list(
    ctx: typer.Context,
    user_id: UserId,
    limit: Annotated[int, typer.Option(help="Maximum number of identities, 1 to 200.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Cursor printed by the previous call.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List who may sign in with an account, oldest first."""
    with open_client(url or ctx.obj) as client:
        page = client.identities.list(user_id, cursor, limit)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        print_text(f"{one.id:>6}  {one.subject}  at {one.issuer}  since {one.linked_at:%Y-%m-%d}")
    if page.next_cursor:
        print_text(f"There are more: --cursor {page.next_cursor}")
    elif not page.items:
        print_text("Nobody.")


@app.command("add")
def _add(
    ctx: typer.Context,
    user_id: UserId,
    subject: Annotated[str, typer.Argument(help="What the provider calls the person: the claim sub.")],
    issuer: Annotated[str | None, typer.Option(help="The provider; default: the platform's own.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Let a person sign in with an account."""
    with open_client(url or ctx.obj) as client:
        made = client.identities.create(user_id, subject, issuer)
    if as_json:
        print_json(made)
        return
    print_text(f"identity {made.id} of account {user_id}: {made.subject} at {made.issuer}")


@app.command("delete")
def _delete(
    ctx: typer.Context,
    user_id: UserId,
    identity_id: Annotated[int, typer.Argument(min=1, metavar="IDENTITY", help="The identity's id.")],
    url: Url = None,
) -> None:
    """End that a person can sign in with an account, and the account's sessions."""
    with open_client(url or ctx.obj) as client:
        client.identities.delete(user_id, identity_id)
    print_text("Unlinked.")
