"""Make sure that the servers which the tests need are on this machine: `python -m mh_devtools.servers`.

They are looked for on PATH, else installed through apt (root on Debian); Docker can stand in for the stores.
"""

import os
import shutil
import subprocess
import sys

from mh_devtools.servers.processes import on_path
from mh_devtools.servers.stores import docker_answers, find_mysql, find_redis


def _install_with_apt() -> None:
    """Install the missing servers where this is Debian (or its kin) and we are root."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return
    packages = [] if find_mysql() else ["mariadb-server-core", "mariadb-client-core"]
    packages += [] if on_path("redis-server") else ["redis-server"]
    packages += [] if on_path("nginx") else ["nginx-light"]
    packages += [] if on_path("chromedriver") else ["chromium", "chromium-driver"]
    packages += [] if on_path("promtool") else ["prometheus"]
    # RUNLEVEL=1 keeps the packages from starting services of their own: only private instances are wanted.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    print(f"Installing {', '.join(packages)} through apt for the tests ...", flush=True)
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *command], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip()[-500:], file=sys.stderr)
            return


def ensure() -> list[str]:
    """Make the tests' servers available; return the names of those that could not be had."""
    if not (find_mysql() and all(on_path(name) for name in ("redis-server", "nginx", "chromedriver", "promtool"))):
        _install_with_apt()
    stores = {"MariaDB or MySQL": find_mysql(), "Redis": find_redis()}
    others = {
        "nginx": on_path("nginx"),
        "Chromium with its driver": on_path("chromedriver"),
        "promtool": on_path("promtool"),
    }
    # Docker stands in for the stores.
    needed = others if None in stores.values() and docker_answers() else stores | others
    return [name for name, binary in needed.items() if binary is None]


def main() -> None:
    """Report what is missing; with CI=true that is a failure."""
    missing = ensure()
    for name in missing:
        print(f"{name} is missing: the tests that need it will not run.", file=sys.stderr)
    if missing and os.environ.get("CI") == "true":
        sys.exit("CI=true: every server must be there.")


if __name__ == "__main__":
    main()
