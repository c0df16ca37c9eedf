"""Make sure that the servers for the tests are installed: `python -m mh_devtools.servers`.

Servers that are not on PATH are installed with apt (as root on Debian); Docker can replace the stores.
"""

import os
import shutil
import subprocess
import sys

from mh_devtools.servers.processes import on_path
from mh_devtools.servers.stores import docker_is_available, find_mysql, find_redis


def _install_with_apt() -> None:
    """Install the missing servers if this is Debian (or a derivative) and we are root."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return
    packages = [] if find_mysql() else ["mariadb-server-core", "mariadb-client-core"]
    packages += [] if on_path("redis-server") else ["redis-server"]
    packages += [] if on_path("nginx") else ["nginx-light"]
    packages += [] if on_path("chromedriver") else ["chromium", "chromium-driver"]
    packages += [] if on_path("promtool") else ["prometheus"]
    # RUNLEVEL=1 keeps the packages from starting their services: only private instances are wanted.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    print(f"Installing {', '.join(packages)} with apt for the tests ...", flush=True)
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *command], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip()[-500:], file=sys.stderr)
            return


def ensure() -> list[str]:
    """Make the tests' servers available; return the names of those that are not."""
    if not (find_mysql() and all(on_path(name) for name in ("redis-server", "nginx", "chromedriver", "promtool"))):
        _install_with_apt()
    stores = {"MariaDB or MySQL": find_mysql(), "Redis": find_redis()}
    others = {
        "nginx": on_path("nginx"),
        "Chromium with its driver": on_path("chromedriver"),
        "promtool": on_path("promtool"),
    }
    # Docker can replace the stores.
    needed = others if None in stores.values() and docker_is_available() else stores | others
    return [name for name, binary in needed.items() if binary is None]


def main() -> None:
    """Report missing servers; with CI=true they are an error."""
    missing = ensure()
    for name in missing:
        print(f"{name} is missing: the tests that need it will not run.", file=sys.stderr)
    if missing and os.environ.get("CI") == "true":
        sys.exit("CI=true: every server must be available.")


if __name__ == "__main__":
    main()
