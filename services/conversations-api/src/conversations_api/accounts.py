"""Accounts, for operators who can reach the database: `python -m conversations_api.accounts --help`.

It needs no account, so it is also the way back in for those who have lost theirs.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from mh_common.auth.principals import Principal
from mh_common.auth.roles import GIVEN_TO_KEYS, SCOPES_OF, Role, Scope
from mh_common.errors import DomainError
from mh_common.models import AccountKind, AccountState, ApiKeyCreate, PrincipalKind, UserCreate
from mh_common.settings import load_settings

from conversations_api.api_keys.service import ApiKeyService
from conversations_api.database import AsyncSession, make_engine, make_session_factory
from conversations_api.database_errors import database_errors
from conversations_api.outside_users.repository import OutsideUserRepository
from conversations_api.settings import AccountsSettings, FirstAdministratorSettings, Settings
from conversations_api.setup.service import SetupService
from conversations_api.users.repository import UserRepository
from conversations_api.users.service import UserService

KEY_NAME: Final = "made by an operator"


async def add_key(session: AsyncSession, username: str, role: Role, *, on_behalf_of: bool = False) -> str:
    """Return a new API key with all scopes of a service account's role; make the account if there is none.

    With `on_behalf_of` the key may act for people without an account as well.

    Raises:
        DomainError: the username is of a person, or of an account with another role.
    """
    users = UserRepository(session)
    row = await users.find_by_name(username)
    if row is None:
        await UserService(session).add(UserCreate(username=username, role=role, kind=AccountKind.SERVICE))
        row = await users.find_by_name(username)
    if row is None or row.kind is not AccountKind.SERVICE or row.role is not role:
        raise DomainError(f"{username} is not a service account with the role {role}. Choose another username.")
    if row.state is AccountState.DISABLED:
        raise DomainError(f"{username} is disabled: its keys would be refused. Enable it, or choose another username.")
    operator = Principal(
        username=username, kind=PrincipalKind.SERVICE, scopes=frozenset(Scope), role=role, user_id=row.id
    )
    more = GIVEN_TO_KEYS if on_behalf_of else frozenset()
    content = ApiKeyCreate(name=KEY_NAME, scopes=sorted(SCOPES_OF[role] | more))
    return (await ApiKeyService(session).add(operator, content)).token


async def adopt_history(session: AsyncSession, username: str) -> str:
    """Give a service account the people of the time without accounts, whose earlier questions its keys find then.

    Raises:
        DomainError: there is no service account with this name.
    """
    row = await UserRepository(session).find_by_name(username)
    if row is None or row.kind is not AccountKind.SERVICE:
        raise DomainError(f"There is no service account {username}: add-key makes one.")
    people = await OutsideUserRepository(session).adopt(row.id)
    return f"{username} acts for {people} more people, who were named before there were accounts."


async def prepare_setup(session: AsyncSession, settings: FirstAdministratorSettings) -> str | None:
    """Prepare a platform that has no account yet; return the text that tells the operator how to go on, or None.

    Makes the administrator that the settings name, or else a setup token, which is also written to the file that they
    name. Does nothing if anybody has an account.
    """
    service = SetupService(session)
    if settings.admin_username is not None and settings.admin_password is not None:
        made = await service.make_administrator(settings.admin_username, settings.admin_password.get_secret_value())
        return f"Made the administrator {settings.admin_username} of AUTH_ADMIN_USERNAME." if made else None
    token = await service.make_token()
    return None if token is None else _announcement(token, settings)


def _announcement(token: str, settings: FirstAdministratorSettings) -> str:
    if settings.setup_token_file is not None:
        _write_secret(settings.setup_token_file, token)
    return f"Set up the first administrator with this token, which is shown only now: mh setup --token {token}"


def _write_secret(file: Path, secret: str) -> None:
    """Write a file that only this user can read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as opened:
        os.fchmod(opened.fileno(), 0o600)
        opened.write(f"{secret}\n")


async def in_transaction(
    settings: AccountsSettings | Settings, work: Callable[[AsyncSession], Awaitable[str | None]]
) -> str | None:
    """Return what `work` returns, which gets a session of the database; commit what it did."""
    engine = make_engine(settings.database)
    try:
        with database_errors():
            async with make_session_factory(engine).begin() as session:
                return await work(session)
    finally:
        await engine.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. What it made is printed to standard output, alone."""
    parser = argparse.ArgumentParser(prog="python -m conversations_api.accounts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup-token", help="print a new token for making the first administrator")
    key = commands.add_parser("add-key", help="print a new API key of a service account, which is made if needed")
    key.add_argument("username")
    key.add_argument("--role", type=Role, choices=list(Role), required=True)
    key.add_argument("--on-behalf-of", action="store_true", help="let it act for people without an account")
    adopt = commands.add_parser("adopt-history", help="give a service account the history of the time without accounts")
    adopt.add_argument("username")
    chosen = parser.parse_args(arguments)

    async def work(session: AsyncSession) -> str | None:
        if chosen.command == "add-key":
            return await add_key(session, chosen.username, chosen.role, on_behalf_of=chosen.on_behalf_of)
        if chosen.command == "adopt-history":
            return await adopt_history(session, chosen.username)
        return await SetupService(session).make_token(replace=True)

    try:
        made = asyncio.run(in_transaction(load_settings(AccountsSettings), work))
    except DomainError as error:
        sys.exit(str(error))
    if made is None:
        sys.exit("There is an account already: an administrator can add others.")
    print(made)


if __name__ == "__main__":
    main()
