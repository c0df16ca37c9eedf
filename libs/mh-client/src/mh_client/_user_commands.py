"""The commands of `mh users`: the accounts of people and programs."""

from typing import Annotated, Any, cast

import typer
from mh_common.auth.roles import Role
from mh_common.models import AccountKind, AccountState, User

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, Url, print_json, print_text
from mh_client._identity_commands import app as identities_app
from mh_client._secret_input import secret
from mh_client._terminal import print_error
from mh_client.resources.users import UserChanges

app = typer.Typer(
    help="Manage the accounts of people and programs; needs users:manage.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(identities_app, name="identities")

Id = Annotated[int, typer.Argument(min=1, metavar="ID", help="The account's id; `mh users list` shows it.")]
DisplayName = Annotated[str | None, typer.Option(help="Name to show.")]
Email = Annotated[str | None, typer.Option(help="E-mail address.")]
AskPassword = Annotated[bool, typer.Option("--ask-password", help="Ask for a password, without showing it.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read a password from standard input.")]


@app.command("list")
def _list(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(help="Maximum number of accounts, 1 to 200.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Cursor printed by the previous call.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List accounts, by id."""
    with open_client(url or ctx.obj) as client:
        page = client.users.list(cursor, limit)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        state = f"  {one.state}" if one.state is not AccountState.ACTIVE else ""
        print_text(f"{one.id:>6}  {one.username:<24}  {one.role:<9}  {one.kind:<7}  {one.display_name or ''}{state}")
    if page.next_cursor:
        print_text(f"There are more: --cursor {page.next_cursor}")


@app.command("add")
def _add(
    ctx: typer.Context,
    username: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[Role, typer.Option(help="What the account may do; `mh roles` explains.")],
    service: Annotated[
        bool, typer.Option("--service", help="Of a program, which has keys and cannot sign in.")
    ] = False,
    display_name: DisplayName = None,
    email: Email = None,
    ask_password: AskPassword = False,
    password_stdin: FromStdin = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Add an account, and print it."""
    kind = AccountKind.SERVICE if service else AccountKind.PERSON
    password = _password(ask=ask_password, from_stdin=password_stdin)
    with open_client(url or ctx.obj) as client:
        user = client.users.create(username, role, kind=kind, display_name=display_name, email=email, password=password)
    _print(user, as_json=as_json)
    if service:
        print_error(f"mh: to make a key for it: mh keys create NAME --scope SCOPE --user-id {user.id}")
    elif not user.has_password:
        print_error(f"mh: nobody can sign in with it until it has a password: mh users set {user.id} --ask-password")


@app.command("show")
def _show(ctx: typer.Context, user_id: Id, as_json: AsJson = False, url: Url = None) -> None:
    """Print an account."""
    with open_client(url or ctx.obj) as client:
        _print(client.users.get(user_id), as_json=as_json)


@app.command("set")
def _set(
    ctx: typer.Context,
    user_id: Id,
    role: Annotated[Role | None, typer.Option(help="New role.")] = None,
    display_name: DisplayName = None,
    email: Email = None,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Remove display-name or email; repeatable.")
    ] = None,
    ask_password: AskPassword = False,
    password_stdin: FromStdin = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Change the given fields of an account, and print it. A new password ends its sessions."""
    cleared = [name.replace("-", "_") for name in clear or ()]
    if unknown := set(cleared) - {"display_name", "email"}:
        raise typer.BadParameter(f"{min(unknown)!r} cannot be removed; these can: display-name, email")
    given: dict[str, Any] = {"role": role, "display_name": display_name, "email": email}
    given["password"] = _password(ask=ask_password, from_stdin=password_stdin)
    changes = {name: value for name, value in given.items() if value is not None} | dict.fromkeys(cleared)
    if not changes:
        raise typer.BadParameter("name what to change, such as --role")
    _update(ctx, user_id, cast(UserChanges, changes), as_json=as_json, url=url)


@app.command("disable")
def _disable(ctx: typer.Context, user_id: Id, as_json: AsJson = False, url: Url = None) -> None:
    """Disable an account: its sessions end, and its keys no longer work."""
    _update(ctx, user_id, {"state": AccountState.DISABLED}, as_json=as_json, url=url)


@app.command("enable")
def _enable(ctx: typer.Context, user_id: Id, as_json: AsJson = False, url: Url = None) -> None:
    """Enable an account again; its keys work again."""
    _update(ctx, user_id, {"state": AccountState.ACTIVE}, as_json=as_json, url=url)


def _update(ctx: typer.Context, user_id: int, changes: UserChanges, *, as_json: bool, url: str | None) -> None:
    with open_client(url or ctx.obj) as client:
        _print(client.users.update(user_id, **changes), as_json=as_json)


def _password(*, ask: bool, from_stdin: bool) -> str | None:
    if ask and from_stdin:
        raise typer.BadParameter("--ask-password and --password-stdin exclude each other")
    return secret("password", from_stdin=from_stdin, is_new=True) if ask or from_stdin else None


def _print(user: User, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
        return
    print_text(f"account {user.id}: {user.username}, {user.role}, {user.kind}, {user.state}")
    for name in ("display_name", "email"):
        if value := getattr(user, name):
            print_text(f"{name}: {value}")
    if user.kind is AccountKind.PERSON:
        print_text(f"has a password: {'yes' if user.has_password else 'no'}")
        last = f"{user.last_login_at:%Y-%m-%d %H:%M %Z}" if user.last_login_at else "never"
        print_text(f"last signed in: {last}")
