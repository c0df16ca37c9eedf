"""The environment of each process, from the same files as docker compose takes it: infra/env and .env."""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from mh_devtools import servers
from mh_devtools.paths import ROOT

FOLDER: Final = ROOT / "infra" / "env"

SECRETS: Final = ("MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "REDIS_PASSWORD", "MILVUS_ROOT_PASSWORD")
"""What the stores of this machine are locked with."""

_REFERENCE: Final = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^{}]*))?\}")
# What a container has as well. Coverage of tests is passed on by its own variables.
MACHINE: Final = re.compile(r"HOME|LANG|PATH|PYTHON[A-Z]*|TMPDIR|TZ|VIRTUAL_ENV|(LC|LD|DYLD|COV|COVERAGE)_\w+")


def read(service: str, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what infra/env/SERVICE.env says, its references replaced by `given` as docker compose does it.

    Raises:
        ServerError: a variable that the file asks for is empty.
    """
    given = given or {}
    variables: dict[str, str] = {}
    for line in (FOLDER / f"{service}.env").read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if equals:
            variables[name] = _REFERENCE.sub(lambda reference: _resolve(reference, given, service), value)
        elif name in given:
            variables[name] = given[name]
    return variables


def _resolve(reference: re.Match[str], given: Mapping[str, str], service: str) -> str:
    name, kind, text = reference.groups()
    value = given.get(name, "")
    if not value and kind == "?":
        raise servers.ServerError(f"{name} is empty, which infra/env/{service}.env asks for: {text}")
    return text if not value and kind == "-" else value


def of_process(service: str, given: Mapping[str, str], **more: str) -> dict[str, str]:
    """Return all that a process of this service gets: nothing of ours but what its file and `more` say."""
    machine = {name: value for name, value in os.environ.items() if MACHINE.fullmatch(name)}
    return {**machine, "PYTHONUNBUFFERED": "1", **read(service, given), **more}


def chosen(var: Path) -> dict[str, str]:
    """Return what the operator chose: .env, and over it this process's environment.

    Secrets that neither has are made once, and kept beside the data that they lock.
    """
    written = {name: value for name, value in dotenv_values(ROOT / ".env", interpolate=False).items() if value}
    found = {**written, **os.environ}
    kept = var / "secrets.env"
    made = {name: value for name, value in dotenv_values(kept, interpolate=False).items() if value}
    missing = [name for name in SECRETS if not found.get(name) and name not in made]
    if missing:
        made |= {name: secrets.token_hex(24) for name in missing}
        kept.touch(mode=0o600)
        kept.write_text("".join(f"{name}={value}\n" for name, value in made.items()), encoding="utf-8")
    return {**found, **{name: value for name, value in made.items() if not found.get(name)}}
