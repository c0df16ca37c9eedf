"""The commands `mh login`, `logout`, `whoami`, `password`, `setup` and `roles`: who one is to the platform."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import typer
from mh_common.models import CredentialKind, Me, RoleScopes
from pydantic import SecretStr, TypeAdapter

from mh_client._base import checked_key, refuse_user_name, resolve_base_url
from mh_client._cli_client import open_client, variable_in_use
from mh_client._cli_common import EXIT_FAILURE, AsJson, Url, print_json, print_text
from mh_client._client import Client
from mh_client._errors import AuthenticationError, MHError
from mh_client._secret_input import ask_secret, ask_text, is_terminal, read_secrets, secret
from mh_client._stored_credentials import StoredCredential, find_credential, remove_credential, store_credential
from mh_client._terminal import print_error

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def login(
    ctx: typer.Context,
    username: Annotated[str | None, typer.Option(help="Who signs in (default: asked for).")] = None,
    password_stdin: FromStdin = False,
    with_key: Annotated[
        bool, typer.Option("--key", help="Store an API key instead: asked for, or read from standard input.")
    ] = False,
    url: Url = None,
) -> None:
    """Sign in: what was given is checked, and stored for all later commands with this URL."""
    if with_key and (username is not None or password_stdin):
        raise typer.BadParameter("--key goes without --username and --password-stdin")
    if password_stdin and username is None:
        raise typer.BadParameter("--password-stdin needs --username")
    base_url = resolve_base_url(url or ctx.obj)
    refuse_user_name(base_url)
    _warn_if_readable(base_url)
    earlier = find_credential(base_url)
    token = _ask_key() if with_key else _sign_in(base_url, username, from_stdin=password_stdin)
    me = _owner_of(base_url, token)
    if me.credential is None:
        print_error(f"mh: {base_url} has no accounts (AUTH_MODE=open): everybody may do everything. Nothing was stored")
        raise typer.Exit(EXIT_FAILURE)
    store_credential(base_url, StoredCredential(token=token, kind=me.credential.kind, username=me.username))
    print_text(f"Signed in: {_described(me)}, at {base_url}.")
    if earlier is not None:
        _end_earlier(base_url, earlier)
    if variable := variable_in_use():
        print_error(f"mh: {variable} is set, and goes before this; unset it to act as {me.username}")


def logout(ctx: typer.Context, url: Url = None) -> None:
    """Sign out: end the session, and remove what `mh login` stored for this URL."""
    base_url = resolve_base_url(url or ctx.obj)
    refuse_user_name(base_url)
    stored = remove_credential(base_url)
    if stored is None:
        print_text(f"You were not signed in at {base_url}.")
    elif stored.kind is not CredentialKind.SESSION:
        print_text(f"The API key of {stored.username} for {base_url} is no longer stored here. It still works.")
    else:
        try:
            _end(base_url, stored)
        except MHError:
            print_error(
                "mh: signed out on this machine only; the session itself ends when it has not been used for long"
            )
            raise
        print_text(f"Signed out: {stored.username}, at {base_url}.")
    if variable := variable_in_use():
        print_error(f"mh: {variable} is still set, and commands go on to use it")


def whoami(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Show who the platform takes you for, and what you may do."""
    with open_client(url or ctx.obj) as client:
        me = client.me()
    if as_json:
        print_json(me)
        return
    print_text(f"{_described(me)}, at {client.base_url}")
    print_text(_credential_of(me))
    print_text(f"May: {', '.join(me.scopes)}")


def password(
    ctx: typer.Context,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the current and the new password, a line each.")
    ] = False,
    url: Url = None,
) -> None:
    """Change your own password, which ends your other sessions."""
    if password_stdin:
        current, new = read_secrets("passwords", count=2)
    else:
        current, new = ask_secret("current password"), ask_secret("new password", is_new=True)
    with open_client(url or ctx.obj) as client:
        client.change_password(current, new)
    print_text("The password was changed. Your other sessions have ended.")


def setup(
    ctx: typer.Context,
    token: Annotated[str, typer.Option(help="The setup token, which the platform's first start printed.")],
    username: Annotated[str | None, typer.Option(help="Name of the administrator (default: asked for).")] = None,
    display_name: Annotated[str | None, typer.Option(help="Name to show.")] = None,
    password_stdin: FromStdin = False,
    url: Url = None,
) -> None:
    """Add the first administrator of a platform."""
    if password_stdin and username is None:
        raise typer.BadParameter("--password-stdin needs --username")
    base_url = resolve_base_url(url or ctx.obj)
    _warn_if_readable(base_url)
    name = ask_text("username") if username is None else username
    chosen = secret("password", from_stdin=password_stdin, is_new=True)
    with Client(base_url, api_key="") as client:
        user = client.set_up(token, name, chosen, display_name)
    print_text(
        f"{user.username} is an administrator of {base_url} now. To sign in: mh login --username {user.username}"
    )


def roles(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """List the roles, and what each may do."""
    with open_client(url or ctx.obj) as client:
        found = client.roles()
    if as_json:
        print_text(TypeAdapter(list[RoleScopes]).dump_json(found, indent=2).decode())
        return
    for one in found:
        print_text(f"{one.role:<10} {', '.join(one.scopes)}")


def _sign_in(base_url: str, username: str | None, *, from_stdin: bool) -> SecretStr:
    name = ask_text("username") if username is None else username
    given = secret("password", from_stdin=from_stdin)
    with Client(base_url, api_key="") as client:
        token = client.sessions.create(name, given).token
    if token is None:
        raise MHError("the platform started a session without a token, as for a browser")
    return SecretStr(token)


def _ask_key() -> SecretStr:
    return checked_key(secret("API key", from_stdin=not is_terminal()).strip(), "API key")


def _owner_of(base_url: str, token: SecretStr) -> Me:
    with Client(base_url, api_key=token.get_secret_value()) as client:
        try:
            return client.me()
        except AuthenticationError as error:
            # Not as other commands say it: what was refused was given just now.
            print_error(f"mh: {(error.problem and error.problem.detail) or error}")
            raise typer.Exit(EXIT_FAILURE) from error


def _end(base_url: str, session: StoredCredential) -> None:
    """End a session; one that has ended already is fine. Raises MHError."""
    with Client(base_url, api_key=session.token.get_secret_value()) as client:
        try:
            client.sessions.end_current()
        except AuthenticationError:
            return


def _end_earlier(base_url: str, earlier: StoredCredential) -> None:
    if earlier.kind is not CredentialKind.SESSION:
        return
    try:
        _end(base_url, earlier)
    except MHError as error:
        print_error(f"mh: the session that was stored before could not be ended: {error}")


def _warn_if_readable(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        print_error(f"mh: {base_url} is not encrypted: others on the network can read what you send. Use https")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _described(me: Me) -> str:
    shown = f" ({me.display_name})" if me.display_name else ""
    return f"{me.username}{shown}, {me.role or me.kind}"


def _credential_of(me: Me) -> str:
    if me.credential is None:
        return "There are no accounts (AUTH_MODE=open): everybody may do everything."
    kind = me.credential.kind.replace("_", " ").replace("api", "API")
    return f"By {kind}" if me.credential.id is None else f"By {kind} {me.credential.id}"
