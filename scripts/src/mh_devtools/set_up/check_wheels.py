"""Say which pins have no ready-made wheel for a Python and a platform on which the platform is supported.

    python -m mh_devtools.set_up.check_wheels [EXPORT ...]     # of requirements/: run and dev, unless others are named

poetry.lock names every file of a release, so that nothing is asked of an index. Exit code 1 when a wheel is missing and
that is not known.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

from mh_devtools.paths import ROOT

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
OLDEST_GLIBC = 28
"""Minor version of glibc 2: that of Debian 10; what is supported today has a newer one."""
OLDEST_MACOS = (14, 0)
"""ONNX Runtime asks for both."""


@dataclass(frozen=True)
class Platform:
    """A kind of machine: its system as Python names it, and its processor."""

    system: str
    machine: str

    def __str__(self) -> str:
        return f"{'macOS' if self.system == 'darwin' else 'Linux'} {self.machine}"

    def environment(self, version: tuple[int, int]) -> dict[str, str]:
        """Return what a requirement's marker is compared with here."""
        short = f"{version[0]}.{version[1]}"
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": self.system.capitalize(),
            # None before the releases that are around today.
            "python_full_version": f"{short}.9",
            "python_version": short,
            "sys_platform": self.system,
        }


@cache
def tags(platform: Platform, version: tuple[int, int]) -> frozenset[Tag]:
    """Return the tags of the wheels that a Python of this version takes there."""
    if platform.system == "darwin":
        platforms = list(mac_platforms(OLDEST_MACOS, platform.machine))
    else:
        kinds = [f"manylinux_2_{minor}" for minor in range(OLDEST_GLIBC, 4, -1)]
        platforms = [f"{kind}_{platform.machine}" for kind in (*kinds, "manylinux2014", "manylinux2010", "manylinux1")]
    interpreter = f"cp{version[0]}{version[1]}"
    own = cpython_tags(version, platforms=platforms)
    return frozenset((*own, *compatible_tags(version, interpreter=interpreter, platforms=platforms)))


LINUX, LINUX_ARM, MACOS = Platform("linux", "x86_64"), Platform("linux", "aarch64"), Platform("darwin", "arm64")
INTEL_MAC = Platform("darwin", "x86_64")
PLATFORMS = (LINUX, LINUX_ARM, MACOS, INTEL_MAC)

KNOWN = {
    ("pytrec-eval-terrier", LINUX_ARM): "compiled from its source: needs gcc and Python's headers; for tests only",
    ("cryptography", INTEL_MAC): "compiled from its source: needs Rust",
    ("onnxruntime", INTEL_MAC): "has neither wheel nor source: Intel Macs are not supported",
}
"""What is missing, and what follows."""


@dataclass(frozen=True)
class Missing:
    """A pin without a wheel for some Pythons on a platform."""

    export: str
    pin: str
    platform: Platform
    pythons: tuple[str, ...]

    @property
    def known(self) -> str | None:
        """What follows, where it is known to be missing."""
        return KNOWN.get((self.pin.partition("==")[0], self.platform))

    def __str__(self) -> str:
        """Return one line for a person."""
        line = f"{self.export}.txt: {self.pin} has no wheel on {self.platform} for Python {', '.join(self.pythons)}"
        return f"{line} ({self.known})" if self.known else line


def locked_files() -> dict[str, list[str]]:
    """Return the names of the files of each locked release, by `name==version`."""
    locks = (ROOT / "poetry.lock", ROOT / "scripts/src/mh_devtools/bench/peers" / "poetry.lock")
    packages = (one for lock in locks for one in tomllib.loads(lock.read_text(encoding="utf-8"))["package"])
    return {
        f"{canonicalize_name(package['name'])}=={package['version']}": [file["file"] for file in package["files"]]
        for package in packages
    }


def pins(export: str) -> list[Requirement]:
    """Return what a file of requirements/ pins."""
    text = (ROOT / "requirements" / f"{export}.txt").read_text(encoding="utf-8")
    return [Requirement(line.rstrip(" \\")) for line in re.findall(r"^[A-Za-z0-9].*", text, re.MULTILINE)]


def missing(export: str, files: dict[str, list[str]]) -> Iterator[Missing]:
    """Yield the pins of an export that have no wheel for a Python and a platform that they are meant for."""
    for platform, one in product(PLATFORMS, pins(export)):
        pin = f"{canonicalize_name(one.name)}{one.specifier}"
        offered = {tag for name in files[pin] if name.endswith(".whl") for tag in parse_wheel_filename(name)[3]}
        pythons = tuple(
            f"{version[0]}.{version[1]}"
            for version in PYTHONS
            if (one.marker is None or one.marker.evaluate(platform.environment(version)))
            and offered.isdisjoint(tags(platform, version))
        )
        if pythons:
            yield Missing(export, pin, platform, pythons)


def main() -> None:
    """Print what is missing."""
    files = locked_files()
    found = [one for export in sys.argv[1:] or ("run", "dev") for one in missing(export, files)]
    for one in found:
        print(one)
    if unknown := [one for one in found if not one.known]:
        sys.exit(f"{len(unknown)} of these are not known to be missing.")


if __name__ == "__main__":
    main()
