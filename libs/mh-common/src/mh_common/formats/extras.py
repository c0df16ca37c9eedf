"""Libraries that only some formats need, and which are installed by an extra."""

from importlib import import_module
from typing import Any

from mh_common.formats.rows import FileRefusedError


def load(module: str, *, what: str, extra: str) -> Any:
    """Return a module. Raises FileRefusedError, saying how to install it, where it is not there."""
    try:
        return import_module(module)
    except ImportError as error:
        raise FileRefusedError(
            f"{what} needs {module.partition('.')[0]}, which is not installed. "
            f"Install it with: pip install 'mh-client[{extra}]', or 'mh-common[{extra}]' without the client"
        ) from error
