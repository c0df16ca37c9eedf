"""Settings from files: DATABASE_PASSWORD_FILE=/run/secrets/password sets DATABASE_PASSWORD to the file's content.

This keeps secrets that Docker or Kubernetes mount out of the environment, where anyone who can inspect the process can
read them.
"""

import os
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic_settings import BaseSettings, InitSettingsSource

SUFFIX: Final = "_FILE"


class SettingsFileError(Exception):
    """A file named by a variable cannot be read. The message names both."""


def file_settings(settings_class: type[BaseSettings]) -> InitSettingsSource:
    """Return the settings from the files named in the environment; one trailing newline is ignored.

    Raises:
        SettingsFileError: a file cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for group, field in settings_class.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for name in field.annotation.model_fields:
                variable = f"{group}_{name}{SUFFIX}".upper()
                if path := os.environ.get(variable):
                    found.setdefault(group, {})[name] = _read(variable, Path(path))
    return InitSettingsSource(settings_class, init_kwargs=found)


def _read(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsFileError(f"{variable}: {path} cannot be read ({reason})") from None
