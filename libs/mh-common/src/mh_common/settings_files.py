"""Settings from files: DATABASE_PASSWORD_FILE=/run/secrets/password stands for a DATABASE_PASSWORD of that content.

So secrets that Docker or Kubernetes mount need not be in the environment, where whoever may look at the process sees
them.
"""

import os
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic_settings import BaseSettings, InitSettingsSource

ENDING: Final = "_FILE"


class SettingsFileError(Exception):
    """A file that a variable names cannot be read. The message names both."""


def file_settings(settings_class: type[BaseSettings]) -> InitSettingsSource:
    """Return what the files named in the environment say; one newline at the end of a file is none of it.

    Raises:
        SettingsFileError: a file cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for group, field in settings_class.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for name in field.annotation.model_fields:
                variable = f"{group}_{name}{ENDING}".upper()
                if path := os.environ.get(variable):
                    found.setdefault(group, {})[name] = _content(variable, Path(path))
    return InitSettingsSource(settings_class, init_kwargs=found)


def _content(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsFileError(f"{variable}: {path} cannot be read ({reason})") from None
