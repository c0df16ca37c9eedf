import os
import subprocess
import sys
from pathlib import Path


def test_the_model_runtime_sends_no_telemetry(tmp_path: Path) -> None:
    # Without the variables of CI systems, where the runtime sends no telemetry anyway.
    env = {name: os.environ[name] for name in os.environ if name.startswith(("PATH", "PYTHON", "COV"))}
    program = "import os, mh_common.embeddings.local; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=env | {"HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    # It would store an identifier of the machine there.
    assert list(tmp_path.iterdir()) == []
