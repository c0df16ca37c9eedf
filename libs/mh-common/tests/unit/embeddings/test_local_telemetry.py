import os
import subprocess
import sys
from pathlib import Path


def test_the_model_s_runtime_reports_to_nobody(tmp_path: Path) -> None:
    # What marks a machine of continuous integration, where the runtime keeps still by itself, is left out.
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
    # It would keep an identifier of the machine there.
    assert list(tmp_path.iterdir()) == []
