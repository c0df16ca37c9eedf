"""Keys and the setup token of stacks on this machine that run with AUTH_MODE=required. Files with them are private."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from mh_common.auth.roles import Role
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.models import AccountKind

from mh_devtools import servers
from mh_devtools.paths import DATABASE_SERVICE

OPEN: Final = "open"
REQUIRED: Final = "required"
MODES: Final = (OPEN, REQUIRED)
API_KEY: Final = "MH_API_KEY"
"""Variable from which both clients and `mh` take their key."""


def keep_secret(file: Path, secret: str) -> None:
    """Write a secret to a file that only its owner can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"{secret}\n", encoding="utf-8")


def kept_secret(file: Path) -> str | None:
    """Return the secret in a file; None if there is none."""
    return file.read_text(encoding="utf-8").strip() or None if file.exists() else None


def service_key(file: Path) -> str:
    """Return the service key kept in this file, which is made if there is none."""
    if (kept := kept_secret(file)) is None:
        keep_secret(file, kept := make_token(TokenKind.SERVICE_KEY))
    return kept


def add_key(username: str, role: Role, env: Mapping[str, str], folder: Path = DATABASE_SERVICE) -> str:
    """Make an API key for a service account, and the account if there is none. Raises ServerError.

    Args:
        username: of the account.
        role: of a new account.
        env: environment of conversations-api, with its database.
        folder: the working directory, whose .env is read, if there is one.
    """
    command = [sys.executable, "-m", "conversations_api.accounts", "add-key", username, "--role", role.value]
    done = subprocess.run(command, cwd=folder, env=dict(env), capture_output=True, text=True, check=False)
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines() or ["no message"]
    if done.returncode:
        raise servers.ServerError(f"A key for {username} could not be made: {lines[-1]}")
    return lines[-1]


def api_key(file: Path, url: str, make: Callable[[], str]) -> str:
    """Return the API key kept in this file if conversations-api at `url` accepts it; else make one and keep it.

    Raises:
        ServerError: conversations-api does not say whether it does, or `make` raises it.
    """
    if (kept := kept_secret(file)) and _get(f"{url}/api/v1/me", kept) is not None:
        return kept
    keep_secret(file, made := make())
    return made


def setup_token(file: Path, url: str, key: str) -> str | None:
    """Return the setup token that conversations-api at `url` wrote to this file; None once a person has an account.

    None also if the key may not list the accounts any more: somebody who could do that has an account.

    Args:
        file: AUTH_SETUP_TOKEN_FILE; removed when the token is of no more use.
        url: of conversations-api, or of a gateway in front of it.
        key: an administrator's.

    Raises:
        ServerError: conversations-api does not list the accounts.
    """
    if (kept := kept_secret(file)) is None:
        return None
    page = _get(f"{url}/api/v1/users?limit=200", key)
    if page is None:
        return None
    if any(user["kind"] == AccountKind.PERSON for user in page["items"]):
        file.unlink()
        return None
    return kept


def _get(url: str, key: str) -> Any:
    """Return the JSON at this URL; None if the key may not read it. Raises ServerError."""
    try:
        answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    except httpx.HTTPError as error:
        raise servers.ServerError(f"{url} cannot be fetched: {error}") from error
    if answer.status_code in (401, 403):
        return None
    if answer.status_code != 200:
        raise servers.ServerError(f"{url} returned {answer.status_code}: {answer.text[:300]}")
    return answer.json()


def set_up_command(url: str, token: str) -> str:
    """Return the command that makes the first administrator."""
    return f".venv/bin/mh --url {url} setup --token {token}"
