"""What `mh login` stores: for each platform, by its URL, the token of a session or an API key.

The file is for its owner alone (0600, in a folder with 0700), and is replaced as a whole:

    {"platforms": {"https://mh.example.org": {"token": "mh_ses_...", "kind": "session", "username": "ann"}}}
"""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mh_common.models import CredentialKind, FieldProblem
from pydantic import BaseModel, Field, SecretStr, ValidationError

from mh_client._errors import InvalidInputError
from mh_client._state import config_folder

_OTHERS: Final = 0o077
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class StoredCredential(BaseModel):
    """What is sent to a platform, and whose it is."""

    token: SecretStr = Field(min_length=1)
    kind: CredentialKind
    username: str


class _File(BaseModel):
    platforms: dict[str, StoredCredential] = {}


def credentials_file() -> Path:
    """Return where credentials are stored."""
    return config_folder() / "credentials.json"


def find_credential(base_url: str) -> StoredCredential | None:
    """Return what is stored for the platform at this URL. Raises InvalidInputError if the file cannot be read."""
    return _read().get(_platform(base_url))


def store_credential(base_url: str, credential: StoredCredential) -> None:
    """Store a credential in place of an earlier one for this URL. Raises InvalidInputError if that is not possible."""
    _write({**_read(), _platform(base_url): credential})


def remove_credential(base_url: str) -> StoredCredential | None:
    """Remove what is stored for this URL and return it. Raises InvalidInputError if that is not possible."""
    stored = dict(_read())
    removed = stored.pop(_platform(base_url), None)
    if removed is not None:
        _write(stored)
    return removed


def is_for_others() -> bool:
    """Return whether other users of this machine may read the file, which only its owner can have allowed."""
    if os.name != "posix":
        return False
    try:
        return bool(credentials_file().stat().st_mode & _OTHERS)
    except OSError:
        return False


def _platform(base_url: str) -> str:
    """Return the URL without what does not matter: letter case of the host, the usual port, a user name."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _read() -> Mapping[str, StoredCredential]:
    path = credentials_file()
    try:
        return _File.model_validate_json(path.read_bytes()).platforms
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _refused(f"cannot be read from {path}: {error.strerror}") from error
    except ValidationError:
        # Without the cause, which would show what is in the file.
        raise _refused(f"cannot be read from {path}: delete that file, and use `mh login` again") from None


def _write(platforms: Mapping[str, StoredCredential]) -> None:
    path = credentials_file()
    content = {
        name: {"token": one.token.get_secret_value(), "kind": one.kind.value, "username": one.username}
        for name, one in platforms.items()
    }
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_mode & _OTHERS:
            path.parent.chmod(0o700)
        _replace(path, json.dumps({"platforms": content}, indent=2) + "\n")
    except OSError as error:
        raise _refused(f"cannot be stored in {path}: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    # Only its owner may read what mkstemp creates.
    descriptor, name = tempfile.mkstemp(prefix=".credentials-", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _refused(message: str) -> InvalidInputError:
    return InvalidInputError([FieldProblem(field="credentials", message=message)])
