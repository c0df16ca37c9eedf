"""List the pins without a wheel for a supported combination of Python and operating system.

    python -m mh_devtools.set_up.check_wheels [EXPORT ...]     # files in requirements/; default: run and dev

poetry.lock lists every file of a release, so no index is needed. Exits with code 1 if a missing wheel is not in
`KNOWN`.
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
"""Minor version of glibc 2: that of Debian 10, older than on any distribution that is still supported."""
OLDEST_MACOS = (14, 0)
"""ONNX Runtime requires both."""


@dataclass(frozen=True)
class Platform:
    """An operating system, by Python's name, and a CPU architecture."""

    system: str
    machine: str

    def __str__(self) -> str:
        return f"{'macOS' if self.system == 'darwin' else 'Linux'} {self.machine}"

    def environment(self, version: tuple[int, int]) -> dict[str, str]:
        """Return the environment for evaluating a requirement's marker."""
        short = f"{version[0]}.{version[1]}"
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": self.system.capitalize(),
            # Any recent patch release.
            "python_full_version": f"{short}.9",
            "python_version": short,
            "sys_platform": self.system,
        }


@cache
def tags(platform: Platform, version: tuple[int, int]) -> frozenset[Tag]:
    """Return the tags of the wheels that a Python of this version accepts on this platform."""
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
    ("pytrec-eval-terrier", LINUX_ARM): "compiled from source: needs gcc and Python's headers; for tests only",
    ("argon2-cffi-bindings", INTEL_MAC): "compiled from source: needs a C compiler",
    ("cryptography", INTEL_MAC): "compiled from source: needs Rust",
    ("onnxruntime", INTEL_MAC): "has neither wheel nor source: Intel Macs are not supported",
}
"""Wheels known to be missing, and the consequence."""


@dataclass(frozen=True)
class Missing:
    """A pin without a wheel for some Pythons on a platform."""

    export: str
    pin: str
    platform: Platform
    pythons: tuple[str, ...]

    @property
    def known(self) -> str | None:
        """The consequence, if it is known to be missing."""
        return KNOWN.get((self.pin.partition("==")[0], self.platform))

    def __str__(self) -> str:
        """Return a one-line description."""
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
    """Return the pins in a file of requirements/."""
    text = (ROOT / "requirements" / f"{export}.txt").read_text(encoding="utf-8")
    return [Requirement(line.rstrip(" \\")) for line in re.findall(r"^[A-Za-z0-9].*", text, re.MULTILINE)]


def missing(export: str, files: dict[str, list[str]]) -> Iterator[Missing]:
    """Yield the pins of an export that have no wheel for a Python and platform that their marker includes."""
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
    """Print the missing wheels."""
    files = locked_files()
    found = [one for export in sys.argv[1:] or ("run", "dev") for one in missing(export, files)]
    for one in found:
        print(one)
    if unknown := [one for one in found if not one.known]:
        sys.exit(f"{len(unknown)} of these are not known to be missing.")


if __name__ == "__main__":
    main()
