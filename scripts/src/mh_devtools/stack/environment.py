"""The environment of each process, from the same files that docker compose uses: infra/env and .env."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from mh_common.auth.tokens import TokenKind, make_token

from mh_devtools import servers
from mh_devtools.paths import ROOT

FOLDER: Final = ROOT / "infra" / "env"

SECRETS: Final = ("MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "REDIS_PASSWORD", "MILVUS_ROOT_PASSWORD")
"""Secrets of the stores on this machine."""
SERVICE_KEY: Final = "MH_SERVICE_KEY"

_MAKERS: Final[Mapping[str, Callable[[], str]]] = {
    **{name: partial(secrets.token_hex, 24) for name in SECRETS},
    SERVICE_KEY: partial(make_token, TokenKind.SERVICE_KEY),
}
"""The secrets that are made if the operator chose none."""

_REFERENCE: Final = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^{}]*))?\}")
# Variables that a container has too, and those that coverage measurement needs.
MACHINE: Final = re.compile(r"HOME|LANG|PATH|PYTHON[A-Z]*|TMPDIR|TZ|VIRTUAL_ENV|(LC|LD|DYLD|COV|COVERAGE)_\w+")


def read(service: str, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of infra/env/SERVICE.env, interpolated from `given` like docker compose does.

    Raises:
        ServerError: a required variable is empty.
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
        raise servers.ServerError(f"{name}, which infra/env/{service}.env requires, is empty: {text}")
    return text if not value and kind == "-" else value


def process_environment(service: str, given: Mapping[str, str], **more: str) -> dict[str, str]:
    """Return the environment of a service's process: the machine's variables, its env file and `more`, nothing else."""
    machine = {name: value for name, value in os.environ.items() if MACHINE.fullmatch(name)}
    return {**machine, "PYTHONUNBUFFERED": "1", **read(service, given), **more}


def chosen(var: Path) -> dict[str, str]:
    """Return the operator's variables: .env, overridden by this process's environment.

    Missing secrets are generated once and stored beside the data that they protect.
    """
    written = {name: value for name, value in dotenv_values(ROOT / ".env", interpolate=False).items() if value}
    found = {**written, **os.environ}
    kept = var / "secrets.env"
    made = {name: value for name, value in dotenv_values(kept, interpolate=False).items() if value}
    missing = [name for name in _MAKERS if not found.get(name) and name not in made]
    if missing:
        made |= {name: _MAKERS[name]() for name in missing}
        kept.touch(mode=0o600)
        kept.write_text("".join(f"{name}={value}\n" for name, value in made.items()), encoding="utf-8")
    return {**found, **{name: value for name, value in made.items() if not found.get(name)}}
