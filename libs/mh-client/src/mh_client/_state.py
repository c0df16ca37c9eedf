"""Where `mh` keeps files between two runs."""

import os
from pathlib import Path


def state_folder(kind: str) -> Path:
    """Return the folder for files of this kind: below mh in XDG_STATE_HOME, else in ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mh" / kind


def config_folder() -> Path:
    """Return the folder for what a user keeps: mental-health in XDG_CONFIG_HOME, else in ~/.config."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "mental-health"
