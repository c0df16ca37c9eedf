"""The published wheels depend only on httpx, pydantic and each other."""

import email
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from poetry.core.masonry.api import build_wheel

LIBS = Path(__file__).resolve().parents[2]
LOCKED = LIBS.parent / "requirements" / "client.txt"
HEAVY = {
    *("celery", "fastapi", "jinja2", "numpy", "onnxruntime", "openai", "pymilvus", "pydantic_settings", "redis"),
    *("sqlalchemy", "starlette", "structlog", "tokenizers", "typer", "vaderSentiment"),
}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The built wheels, by library."""
    built = {}
    for name in ("mh-client", "mh-common"):
        monkeypatch.chdir(LIBS / name)
        built[name] = tmp_path / build_wheel(str(tmp_path))
    return built


def needed(wheel: Path) -> set[str]:
    """Names of the wheel's dependencies without extras."""
    with zipfile.ZipFile(wheel) as archive:
        [place] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(place))
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    # A path in this checkout would be useless to anybody else.
    assert not any(requirement.url for requirement in requirements)
    return {one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})}


def test_without_extras_the_wheels_need_httpx_and_pydantic_only(wheels: dict[str, Path]) -> None:
    assert needed(wheels["mh-client"]) == {"httpx", "mh-common", "pydantic"}
    assert needed(wheels["mh-common"]) == {"pydantic"}


def test_the_wheels_contain_no_stubs_or_test_helpers(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            files = archive.namelist()
        package = name.replace("-", "_")
        assert all(file.startswith((f"{package}/", f"{package}-")) for file in files)
        assert [file for file in files if "stub" in file or "testing" in file] == []


def test_the_wheels_work_and_import_nothing_heavy(wheels: dict[str, Path], tmp_path: Path) -> None:
    # None in sys.modules makes an import fail: httpx uses rich and click if installed, but works without.
    program = """if True:
        import json, sys
        sys.modules["rich"] = sys.modules["click"] = None
        import mh_client, mh_client.importing, mh_common
        mh_client.Client().close()
        print(json.dumps([mh_client.__file__, mh_common.__file__]))
        print(json.dumps(sorted({name.partition(".")[0] for name, module in sys.modules.items() if module})))
    """
    path = {"PYTHONPATH": ":".join(str(wheel) for wheel in wheels.values())}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    files, loaded = (json.loads(line) for line in done.stdout.splitlines())
    assert [Path(file).parent.parent for file in files] == list(wheels.values())
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.installs
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_published_wheels_install_alone_and_provide_the_command(wheels: dict[str, Path], tmp_path: Path) -> None:
    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # Nothing from this checkout or the user's environment, except how to reach the package index.
    clean = {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_", "HTTPS_", "HOME"))}
    run(sys.executable, "-m", "twine", "check", "--strict", *wheels.values())
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--require-hashes", "--requirement", LOCKED)
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", *wheels.values())
    run(python, "-m", "pip", "check")
    assert "import" in run(tmp_path / "venv" / "bin" / "mh", "--help")
    packages = run(python, "-c", "import mh_client, mh_common; print(mh_client.__file__, mh_common.__file__)")
    assert packages.count(str(tmp_path)) == 2


def test_the_wheels_have_metadata_and_type_information(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            [place] = [entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA")]
            metadata = email.message_from_bytes(archive.read(place))
            assert f"{name.replace('-', '_')}/py.typed" in archive.namelist()
            assert place.replace("METADATA", "licenses/LICENSE") in archive.namelist()
        assert metadata["License-Expression"] == "MIT"
        assert metadata["Description-Content-Type"] == "text/markdown"
        assert len(str(metadata.get_payload())) > 500
        assert "Typing :: Typed" in metadata.get_all("Classifier", [])
