"""A private Python 3.14 for tests, if none is installed: it is the newest supported, while Debian 12 has 3.11.

Run as a command, it fetches Python from Debian unstable with all its libraries and prints its path.
"""

import shlex
import sys
from pathlib import Path

from mh_devtools.servers import debian_unstable

PACKAGE = "python3.14-venv"
WHEELS = "/usr/share/python-wheels/"
"""Where Debian's Python looks for the pip wheel that it installs into new environments."""


def find() -> Path | None:
    """Return the fetched Python, if there is one; it works like any other `python3.14`."""
    root = debian_unstable.unpacked(PACKAGE)
    if root is None:
        return None
    command = root / "usr/bin/python3.14"
    loader = debian_unstable.loader_of(root)
    if loader is None:
        return None
    if not command.with_suffix(".14-real").exists():
        _settle(root, command, loader)
    return command


def _settle(root: Path, command: Path, loader: Path) -> None:
    """Make it run from its folder, with its own loader, libraries and pip."""
    for place in root.glob("usr/lib/python3.14/_sysconfigdata_*.py"):
        text = place.read_text(encoding="utf-8")
        place.write_text(text.replace(f"'{WHEELS}'", repr(f"{root}{WHEELS}")), encoding="utf-8")
    program = command.with_suffix(".14-real")
    command.rename(program)
    # Python finds its environment by argv[0], and an environment's `python` is a link to this file.
    start = shlex.join([str(loader), "--library-path", str(loader.parent), "--argv0"])
    command.write_text(f'#!/bin/sh\nexec {start} "$0" {shlex.quote(str(program))} "$@"\n', encoding="utf-8")
    command.chmod(0o755)


def main() -> None:
    """Fetch it if possible; otherwise the tests use the installed Pythons."""
    try:
        debian_unstable.fetch(PACKAGE, with_dependencies=True)
    except debian_unstable.UnavailableError as error:
        print(f"No Python 3.14 for tests: {error}.", file=sys.stderr)
        return
    print(find())


if __name__ == "__main__":
    main()
