"""A private MySQL 9 for tests: MySQL is what the platform is deployed on, while Debian itself brings MariaDB.

`fetch()` has apt download Debian unstable's server with every library it needs, and unpacks them into a folder of the
user's cache; the server then runs there on its own libraries. apt is told to keep its lists and sources in that folder
too, so that those of the system stay as they are, and needs no root.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import servers

PACKAGE = "mysql-server-core"
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
IMAGE = "mysql:9.7"
HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mental-health-platform" / "mysql9"
"""The unpacked packages; remove it to fetch a newer release."""


def find() -> servers.MySQLProgram | None:
    """Return the fetched server, if there is one."""
    binary = HOME / "usr/sbin/mysqld"
    loader = next(HOME.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"), None)
    if loader is None or not binary.exists():
        return None
    options = (
        f"--basedir={HOME}/usr",
        f"--lc-messages-dir={HOME}/usr/share/mysql",
        f"--plugin-dir={HOME}/usr/lib/mysql/plugin",
        "--secure-file-priv=NULL",
        "--mysqlx=OFF",
    )
    return servers.MySQLProgram((loader, "--library-path", str(loader.parent), binary), options)


def fetch() -> str | None:
    """Make sure that `find` finds it. Return why that cannot be, or None."""
    if find() is not None:
        return None
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and KEYRING.exists()):
        return "MySQL 9 comes from Debian unstable, through apt-get, dpkg-deb and debian-archive-keyring"
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME.parent) as folder:
        try:
            unpacked = _unpack(_download(Path(folder)), Path(folder) / "root")
        except subprocess.CalledProcessError as error:
            return f"MySQL 9 could not be fetched from {MIRROR}: {error.stderr.strip()[-300:]}"
        # Somebody else who fetches it at the same time may be first.
        if find() is None:
            unpacked.rename(HOME)
    return None


def _download(folder: Path) -> list[Path]:
    """Return the packages of the server and of all that it needs, as if nothing were installed."""
    for name in ("state/lists/partial", "cache/archives/partial", "none"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {MIRROR} sid main\n", encoding="utf-8")
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": folder / "none",
        "Dir::Etc::preferences": folder / "status",
        "Dir::Etc::preferencesparts": folder / "none",
        "Acquire::Languages": "none",
        "Acquire::http::Timeout": "20",
        "Acquire::Retries": "0",
        # A mirror may lag. Packages are still verified, and an older server does for tests.
        "Acquire::Check-Valid-Until": "false",
        "APT::Sandbox::User": "",
    }
    options = [part for name, value in settings.items() for part in ("--option", f"{name}={value}")]
    install = ["install", "--download-only", "--yes", "--no-install-recommends", PACKAGE]
    for command in (["update", "--error-on=any"], install):
        subprocess.run(["apt-get", "--quiet", *options, *command], capture_output=True, text=True, check=True)
    return sorted((folder / "cache/archives").glob("*.deb"))


def _unpack(packages: list[Path], root: Path) -> Path:
    for package in packages:
        command = ["dpkg-deb", "--extract", str(package), str(root)]
        subprocess.run(command, capture_output=True, text=True, check=True)
    return root


def main() -> None:
    """Fetch it where it can be had; the tests that need it are skipped elsewhere."""
    if reason := fetch():
        print(f"Without MySQL 9, some tests will not run. {reason}.", file=sys.stderr)


if __name__ == "__main__":
    main()
