"""Check the migrations without a server: up, compared with the models, down, and up again, on an empty SQLite file.

The same on MariaDB and MySQL, and beside the release before, is part of the tests.
"""

import os
import subprocess
import sys
import tempfile

from mh_devtools.paths import DATABASE_SERVICE

STEPS = (["upgrade", "head"], ["check"], ["downgrade", "base"], ["upgrade", "head"])


def main() -> None:
    """Run the steps; the first that fails ends the check with its message."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/check.db"}
        for step in STEPS:
            command = [sys.executable, "-m", "alembic", *step]
            done = subprocess.run(command, cwd=DATABASE_SERVICE, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"alembic {' '.join(step)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
