"""The clients of commands, with the credential that they send, and what a refused credential means.

Unlike the library, which sends only what it is given or finds in MH_API_KEY, commands also read files.
"""

import os
from pathlib import Path
from typing import Final

from mh_common.models import FieldProblem
from pydantic import SecretStr

from mh_client._base import API_KEY_VARIABLE, checked_key, resolve_api_key, resolve_base_url
from mh_client._client import AsyncClient, Client
from mh_client._errors import AuthenticationError, InvalidInputError, PermissionDeniedError
from mh_client._stored_credentials import credentials_file, find_credential, is_for_others
from mh_client._terminal import print_error

API_KEY_FILE_VARIABLE: Final = "MH_API_KEY_FILE"


def open_client(url: str | None) -> Client:
    """Return a client for a command: for this URL, else MH_URL, with `credential_for` it. Raises InvalidInputError."""
    base_url = resolve_base_url(url)
    return Client(base_url, api_key=credential_for(base_url))


def open_async_client(url: str | None, max_retries: int = 2) -> AsyncClient:
    """Return an asynchronous client for a command, as `open_client` does. Raises InvalidInputError."""
    base_url = resolve_base_url(url)
    return AsyncClient(base_url, api_key=credential_for(base_url), max_retries=max_retries)


def credential_for(base_url: str) -> str:
    """Return what commands send: MH_API_KEY, else the key in the file MH_API_KEY_FILE, else what `mh login` stored.

    Empty: nothing. Raises InvalidInputError if it cannot be read or sent.
    """
    found = resolve_api_key(None) or _key_in_file() or _stored(base_url)
    return found.get_secret_value() if found else ""


def variable_in_use() -> str | None:
    """Return the environment variable whose key commands send; None: what `mh login` stored."""
    return next((name for name in (API_KEY_VARIABLE, API_KEY_FILE_VARIABLE) if os.environ.get(name)), None)


def explain_refusal(error: AuthenticationError | PermissionDeniedError) -> str:
    """Return why the platform refused a command, and what helps, in one line."""
    detail = error.problem.detail if error.problem else None
    if isinstance(error, PermissionDeniedError):
        if not error.missing_scopes:
            return detail or str(error)
        return f"{detail or _needed(error)} `mh whoami` shows what you may do."
    if error.was_sent is None:
        return detail or str(error)
    if not error.was_sent:
        return (
            "this platform asks who you are. Sign in with `mh login`, with the same --url if you gave one, or set "
            "MH_API_KEY"
        )
    if variable := variable_in_use():
        said = detail or "This API key is not valid here."
        return f"{said} It comes from {variable}: replace it there, or unset {variable} and use `mh login`"
    return f"{detail or 'You are no longer signed in.'} Use `mh login`"


def _needed(error: PermissionDeniedError) -> str:
    return f"This needs the scope {' and '.join(error.missing_scopes)}."


def _key_in_file() -> SecretStr | None:
    name = os.environ.get(API_KEY_FILE_VARIABLE)
    if not name:
        return None
    try:
        key = Path(name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _refused(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise _refused(f"{name} must be a text file with the key alone") from None
    return checked_key(key, f"{API_KEY_FILE_VARIABLE}: {name}")


def _stored(base_url: str) -> SecretStr | None:
    stored = find_credential(base_url)
    if stored is None:
        return None
    if is_for_others():
        path = credentials_file()
        print_error(f"mh: other users of this machine can read {path}, which is like a password: chmod 600 '{path}'")
    return stored.token


def _refused(message: str) -> InvalidInputError:
    return InvalidInputError([FieldProblem(field=API_KEY_FILE_VARIABLE, message=message)])
