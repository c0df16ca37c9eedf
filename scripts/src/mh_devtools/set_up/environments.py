"""A virtual environment of this checkout: whether it can be used, creating it, and running its pip."""

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
    """A step failed. The message says what, why and how to continue."""


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
        """pip's output in the last set-up."""
        return self.folder / "set-up.log"

    @property
    def incomplete_marker(self) -> Path:
        """Exists while the environment is being created."""
        return self.folder / "half-made"

    @property
    def name(self) -> str:
        """The folder, as shown to the user."""
        return shown(self.folder)

    def version(self) -> tuple[int, int] | None:
        """Return the version of its Python, or None if that does not run or has no pip."""
        program = "import sys, importlib.util as u; print(*sys.version_info[:2], u.find_spec('pip') is not None)"
        try:
            done = subprocess.run([self.python, "-I", "-c", program], capture_output=True, text=True, check=False)
        except OSError:
            return None
        said = done.stdout.split()
        return (int(said[0]), int(said[1])) if done.returncode == 0 and said[2:] == ["True"] else None

    def place(self) -> Path:
        """Return the path where it was created, which its scripts contain."""
        text = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
        found = re.search(r"^command = .* -m venv (?:--\S+ )*(.+)$", text, re.MULTILINE)
        return Path(found[1]) if found else self.folder

    def reason_to_recreate(self, version: tuple[int, int] | None, asked_for: tuple[int, int] | None) -> str | None:
        """Return why the environment, of this version, must be recreated; None if it can be used as requested."""
        if self.incomplete_marker.exists():
            return "was not created completely"
        if version is None:
            return "has no working Python, or no pip"
        if not supported(version):
            return f"uses Python {dotted(version)}, which is not supported"
        # The system's Python may have been upgraded; the new one looks for packages in another folder.
        if not (self.folder / "lib" / f"python{dotted(version)}").is_dir():
            return f"was created with another Python than its current {dotted(version)}"
        if self.place().resolve() != self.folder.resolve():
            return f"was created at another path, {self.place()}"
        if asked_for not in (None, version):
            return f"uses Python {dotted(version)}"
        return None

    def make(self) -> None:
        """Create it with the Python that runs this program."""
        # If that is an environment's Python, it may be the environment that is about to be deleted.
        python = getattr(sys, "_base_executable", sys.executable)
        say(f"Creating {self.name} with Python {platform.python_version()} ({python})")
        self.empty()
        self.incomplete_marker.touch()
        done = subprocess.run(
            [python, "-m", "venv", str(self.folder)], capture_output=True, text=True, check=False, cwd=ROOT
        )
        if done.returncode:
            self.empty()
            self.folder.rmdir()
            if importlib.util.find_spec("ensurepip") is None or "ensurepip" in done.stdout:
                package = f"python{dotted(sys.version_info[:2])}-venv"
                raise SetUpError(f"{python} has no venv module (Debian, Ubuntu: apt-get install {package}).")
            raise SetUpError(f"{python} could not create {self.name}: {last_line(done.stdout + done.stderr)}")
        self.incomplete_marker.unlink()

    def empty(self) -> None:
        """Empty the folder, which may be a symlink."""
        self.folder.mkdir(exist_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def remove_partial_installs(self) -> None:
        """Delete the records of partly installed packages, so that pip installs them again."""
        for record in self.folder.glob("lib/python*/site-packages/*.dist-info"):
            # pip writes this file last.
            if not (record / "INSTALLER").exists():
                shutil.rmtree(record)

    def pip(self, *arguments: str) -> None:
        """Run pip, with its output in the log. Raises SetUpError."""
        code, output = self._run_pip(*arguments)
        if code == 0:
            return
        if missing := re.search(MISSING, output):
            # Only verbose output says whether the index was reached. Not for every package, since that takes minutes.
            with tempfile.TemporaryDirectory() as folder:
                ask = ("-vv", "download", "--no-deps", "--retries=0", f"--dest={folder}", missing[1])
                output += self._run_pip(*ask)[1]
        raise SetUpError(f"{explained(output, self.version())}\npip's complete output is in {shown(self.log)}.")

    def _run_pip(self, *arguments: str) -> tuple[int, str]:
        """Return pip's exit code and its output, which is appended to the log."""
        environment = {**os.environ, "PIP_NO_INPUT": "1", "PIP_USER": "0", "PIP_QUIET": "0"}
        command = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-color", *arguments]
        with self.log.open("a+", encoding="utf-8", errors="replace") as log:
            start = log.seek(0, os.SEEK_END)
            # In its own session, so that pip gets Ctrl-C only once, from us, and can clean up.
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
    """Return a path relative to the checkout, if it is inside."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def supported(version: tuple[int, int]) -> bool:
    """Return whether the lock supports this Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = re.fullmatch(r">=(\d+)\.(\d+),<(\d+)\.(\d+)", project["requires-python"])
    assert bounds, project["requires-python"]
    oldest_major, oldest, end_major, end = map(int, bounds.groups())
    return (oldest_major, oldest) <= version < (end_major, end)


def say(line: str) -> None:
    """Print one line and flush."""
    print(line, flush=True)
