"""A service's image without Docker: the steps of its Dockerfile's build stages, done on this machine, in a folder.

What they write below /opt and /wheels comes below that folder. A stage that was built from the same files by the same
Python is used again; it is kept in var/images.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Self

from mh_devtools.paths import ROOT

KEPT = ROOT / "var" / "images"
PLACES = ("/opt/", "/wheels")
"""Where a build stage writes besides its working folder."""
NOT_HERE = frozenset({"PIP_NO_CACHE_DIR"})
"""Variables of a build stage that only spare the image: this machine keeps what it downloads."""


@dataclass(frozen=True)
class Stage:
    """A stage of a Dockerfile: its name, the stage or image it goes on from, and its steps, as (instruction, rest)."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Return what follows each such instruction."""
        return [rest for name, rest in self.steps if name == instruction]

    def environment(self) -> dict[str, str]:
        """Return the variables it sets."""
        pairs = (pair.partition("=") for rest in self.all("ENV") for pair in shlex.split(rest))
        return {name: value for name, _, value in pairs}


def read_stages(service: str) -> dict[str, Stage]:
    """Return the stages of a service's Dockerfile by name; the last one may have none ("")."""
    lines = (ROOT / "services" / service / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", " ")
    stages: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(name, base))
        elif stages:  # ARG may stand before
            stages[-1].steps.append((instruction, rest))
    return {stage.name: stage for stage in stages}


@dataclass(frozen=True)
class Image:
    """What a build stage of a service leaves: `root` stands for the image's /."""

    service: str
    stages: dict[str, Stage]
    root: Path

    @classmethod
    def built(cls, service: str, stage: str = "build") -> Self:
        """Return it, built now or before. Raises CalledProcessError when a step fails, which has said why."""
        stages = read_stages(service)
        line = list(line_of(stages, stage))
        root = KEPT / f"{service}-{stage}-{_fingerprint(line)}"
        if not (root / "done").exists():
            for old in KEPT.glob(f"{service}-{stage}-????????????"):
                shutil.rmtree(old)
            for step in line:
                _do(step, root)
            (root / "done").touch()
        return cls(service, stages, root)

    @property
    def packages(self) -> Path:
        """The folder that Python's packages are in."""
        [folder] = (self.root / "opt" / "venv" / "lib").glob("python3*/site-packages")
        return folder

    def here(self, text: str, temporary: Path) -> str:
        """Return a command or value of the image with its places replaced by those on this machine."""
        places = {"/opt/": f"{self.root}/opt/", "/tmp": str(temporary)}  # noqa: S108 - the image's
        return re.sub("|".join(places), lambda place: places[place[0]], text)


def line_of(stages: dict[str, Stage], name: str) -> Iterator[Stage]:
    """The stage and those it goes on from, the first one first."""
    if stages[name].base in stages:
        yield from line_of(stages, stages[name].base)
    yield stages[name]


def _fingerprint(line: Sequence[Stage]) -> str:
    found = hashlib.sha256(f"{sysconfig.get_platform()} {sys.version} {line}".encode())
    for stage in line:
        for file in sorted(file for source in _sources(stage) for file in _files(ROOT / source)):
            found.update(f"{file.relative_to(ROOT)}\n".encode())
            found.update(file.read_bytes())
    return found.hexdigest()[:12]


def _sources(stage: Stage) -> list[str]:
    return [source for rest in stage.all("COPY") for source in rest.split()[:-1]]


def _ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path, relative to the repository's root, out of the image."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    return any(fnmatch(part, pattern) for part in Path(path).parts for pattern in patterns)


def _files(place: Path) -> Iterator[Path]:
    for file in [place] if place.is_file() else place.rglob("*"):
        if file.is_file() and not _ignored(str(file.relative_to(ROOT))):
            yield file


def _do(stage: Stage, root: Path) -> None:
    """Do the steps of one stage."""
    source = root / "src"
    if not source.exists():
        source.mkdir(parents=True)
        # Steps install into the base's own Python as well, which must not be this one.
        subprocess.run([sys.executable, "-m", "venv", root / "base"], check=True)
    variables = {name: value for name, value in stage.environment().items() if name not in NOT_HERE}
    variables |= {"PATH": f"{root / 'base' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    for instruction, rest in stage.steps:
        if instruction == "COPY":
            *sources, target = rest.split()
            _copy(sources, source / target)
        elif instruction == "RUN":
            command = re.sub("|".join(PLACES), lambda place: f"{root}{place[0]}", rest)
            subprocess.run(["/bin/sh", "-ec", command], cwd=source, env=os.environ | variables, check=True)


def _copy(sources: Sequence[str], target: Path) -> None:
    for source in sources:
        for file in _files(ROOT / source):
            # Of a folder Docker copies what is in it, of a file the file itself.
            place = target / (file.relative_to(ROOT / source) if source.endswith("/") else file.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)
