"""Check the migrations on an empty SQLite database: upgrade, compare with the models, downgrade, upgrade again.

The tests do the same on MariaDB and MySQL, and beside the previous release.
"""

import os
import subprocess
import sys
import tempfile

from mh_devtools.paths import DATABASE_SERVICE

STEPS = (["upgrade", "head"], ["check"], ["downgrade", "base"], ["upgrade", "head"])


def main() -> None:
    """Run the steps; exit with the message of the first that fails."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/check.db"}
        for step in STEPS:
            command = [sys.executable, "-m", "alembic", *step]
            done = subprocess.run(command, cwd=DATABASE_SERVICE, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"alembic {' '.join(step)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
