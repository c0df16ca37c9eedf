"""A virtual environment of this checkout: what it is fit for, how it is made and filled by pip."""

import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mh_devtools.paths import ROOT
from mh_devtools.set_up.pip_failures import MISSING, dotted, explained, last_line


class SetUpError(Exception):
    """A step failed. The message says what, why and how to go on."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment of this checkout."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def log(self) -> Path:
        """All that pip said at the last set-up."""
        return self.folder / "set-up.log"

    @property
    def half_made(self) -> Path:
        """Exists while the environment is being made."""
        return self.folder / "half-made"

    @property
    def name(self) -> str:
        """The folder as the user knows it."""
        return shown(self.folder)

    def version(self) -> tuple[int, int] | None:
        """Return the version of its Python, or None when that does not run, or has no pip."""
        program = "import sys, importlib.util as u; print(*sys.version_info[:2], u.find_spec('pip') is not None)"
        try:
            done = subprocess.run([self.python, "-I", "-c", program], capture_output=True, text=True, check=False)
        except OSError:
            return None
        said = done.stdout.split()
        return (int(said[0]), int(said[1])) if done.returncode == 0 and said[2:] == ["True"] else None

    def place(self) -> Path:
        """Return where it was made: what it holds names that place."""
        text = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        found = re.search(r"^command = .* -m venv (?:--\S+ )*(.+)$", text, re.MULTILINE)
        return Path(found[1]) if found else self.folder

    def why_anew(self, version: tuple[int, int] | None, asked_for: tuple[int, int] | None) -> str | None:
        """Return why it, of this version, has to be made again; None when it is fit for use, and as asked for."""
        if self.half_made.exists():
            return "was left half-made"
        if version is None:
            return "has no Python that runs, or no pip"
        if not supported(version):
            return f"is of Python {dotted(version)}, which is not supported"
        # That of the system may have been replaced by a newer one, which does not look where the packages are.
        if not (self.folder / "lib" / f"python{dotted(version)}").is_dir():
            return f"was made by another Python than the {dotted(version)} that it has now"
        if self.place().resolve() != self.folder.resolve():
            return f"was made in another place, {self.place()}"
        if asked_for not in (None, version):
            return f"is of Python {dotted(version)}"
        return None

    def make(self) -> None:
        """Make it with the Python that runs this."""
        # Where this is itself run by an environment's Python, that may be the one which goes.
        python = getattr(sys, "_base_executable", sys.executable)
        say(f"Making {self.name} with Python {platform.python_version()} ({python})")
        self.empty()
        self.half_made.touch()
        done = subprocess.run(
            [python, "-m", "venv", str(self.folder)], capture_output=True, text=True, check=False, cwd=ROOT
        )
        if done.returncode:
            self.empty()
            self.folder.rmdir()
            if importlib.util.find_spec("ensurepip") is None or "ensurepip" in done.stdout:
                package = f"python{dotted(sys.version_info[:2])}-venv"
                raise SetUpError(f"{python} has no venv module (Debian, Ubuntu: apt-get install {package}).")
            raise SetUpError(f"{python} could not make {self.name}: {last_line(done.stdout + done.stderr)}")
        self.half_made.unlink()

    def empty(self) -> None:
        """Leave an empty folder, or the link to one."""
        self.folder.mkdir(exist_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def drop_half_installed(self) -> None:
        """Remove the records of packages whose installation was cut off, so that pip does not take them for whole."""
        for record in self.folder.glob("lib/python*/site-packages/*.dist-info"):
            # pip writes this file after the package's own.
            if not (record / "INSTALLER").exists():
                shutil.rmtree(record)

    def pip(self, *arguments: str) -> None:
        """Run pip, with what it says in the log. Raises SetUpError."""
        code, output = self._run_pip(*arguments)
        if code == 0:
            return
        if missing := re.search(MISSING, output):
            # Only at length it says whether the index was reached, and not for everything, since that takes minutes.
            with tempfile.TemporaryDirectory() as folder:
                ask = ("-vv", "download", "--no-deps", "--retries=0", f"--dest={folder}", missing[1])
                output += self._run_pip(*ask)[1]
        raise SetUpError(f"{explained(output, self.version())}\nAll that pip said is in {shown(self.log)}.")

    def _run_pip(self, *arguments: str) -> tuple[int, str]:
        """Return pip's exit code and what it said, after adding that to the log."""
        environment = {**os.environ, "PIP_NO_INPUT": "1", "PIP_USER": "0", "PIP_QUIET": "0"}
        command = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-color", *arguments]
        with self.log.open("a+", encoding="utf-8", errors="replace") as log:
            start = log.seek(0, os.SEEK_END)
            # In a session of its own: Ctrl-C reaches pip once, through us, and it can tidy up.
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
            log.seek(start)
            return code, log.read()


def shown(path: Path) -> str:
    """Return a path as the user would type it here."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def supported(version: tuple[int, int]) -> bool:
    """Say whether the lock is made for this Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = re.fullmatch(r">=(\d+)\.(\d+),<(\d+)\.(\d+)", project["requires-python"])
    assert bounds, project["requires-python"]
    oldest_major, oldest, end_major, end = map(int, bounds.groups())
    return (oldest_major, oldest) <= version < (end_major, end)


def say(line: str) -> None:
    """Print one line now."""
    print(line, flush=True)
