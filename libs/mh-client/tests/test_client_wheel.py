"""What the published wheels ask for: nothing but httpx and pydantic, beside each other."""

import email
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from poetry.core.masonry.api import build_wheel

LIBS = Path(__file__).resolve().parents[2]
HEAVY = {
    *("celery", "fastapi", "jinja2", "numpy", "onnxruntime", "openai", "pymilvus", "pydantic_settings", "redis"),
    *("sqlalchemy", "starlette", "structlog", "tokenizers", "typer", "vaderSentiment"),
}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The built wheels by the name of their library."""
    built = {}
    for name in ("mh-client", "mh-common"):
        monkeypatch.chdir(LIBS / name)
        built[name] = tmp_path / build_wheel(str(tmp_path))
    return built


def needed(wheel: Path) -> set[str]:
    """Names of what pip installs with this wheel when no extra is asked for."""
    with zipfile.ZipFile(wheel) as archive:
        [place] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(place))
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    # A path of this checkout would be of no use to anybody else.
    assert not any(requirement.url for requirement in requirements)
    return {one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})}


def test_without_extras_the_wheels_need_httpx_and_pydantic_only(wheels: dict[str, Path]) -> None:
    assert needed(wheels["mh-client"]) == {"httpx", "mh-common", "pydantic"}
    assert needed(wheels["mh-common"]) == {"pydantic"}


def test_the_wheels_work_and_load_nothing_heavy(wheels: dict[str, Path], tmp_path: Path) -> None:
    # None in sys.modules makes an import fail: httpx uses rich and click where they are, and does without.
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
