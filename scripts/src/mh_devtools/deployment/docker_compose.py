"""Docker's compose plugin, which checks compose files without an engine: the one on this machine, else Debian's.

As a command (`python -m mh_devtools.deployment.docker_compose`) it fetches the plugin, or says why that cannot be.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from mh_devtools.servers import debian_unstable

PACKAGE = "docker-compose"
_PLUGIN = Path("usr/libexec/docker/cli-plugins/docker-compose")


def find() -> list[str] | None:
    """Return how docker compose is called here, or None where there is none that knows `include` (2.20)."""
    fetched = debian_unstable.unpacked(PACKAGE)
    candidates = [["docker", "compose"], ["docker-compose"], *([[str(fetched / _PLUGIN)]] if fetched else [])]
    return next((command for command in candidates if shutil.which(command[0]) and _version(command) >= (2, 20)), None)


def _version(command: list[str]) -> tuple[int, int]:
    done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
    version = re.match(r"v?(\d+)\.(\d+)", done.stdout)
    return (int(version[1]), int(version[2])) if version else (0, 0)


def ensure() -> list[str]:
    """Return how docker compose is called here, fetched where it was missing. Raises UnavailableError."""
    if found := find():
        return found
    debian_unstable.fetch(PACKAGE)
    found = find()
    if found is None:
        raise debian_unstable.UnavailableError(f"the {PACKAGE} that was fetched does not run here")
    return found


def main() -> None:
    """Fetch it."""
    try:
        print(" ".join(ensure()))
    except debian_unstable.UnavailableError as error:
        sys.exit(f"Without docker compose the compose files are not checked: {error}.")


if __name__ == "__main__":
    main()
