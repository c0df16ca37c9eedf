"""A private MySQL 9 for tests: the platform is deployed on MySQL, while Debian only has MariaDB.

Run as a command, it fetches the server from Debian unstable with all its libraries, which it then runs with.
"""

import sys

from mh_devtools import servers
from mh_devtools.servers import debian_unstable

PACKAGE = "mysql-server-core"
IMAGE = "mysql:9.7"


def find() -> servers.MySQLProgram | None:
    """Return the fetched server, if there is one."""
    root = debian_unstable.unpacked(PACKAGE)
    if root is None:
        return None
    binary = root / "usr/sbin/mysqld"
    loader = debian_unstable.loader_of(root)
    if loader is None or not binary.exists():
        return None
    options = (
        f"--basedir={root}/usr",
        f"--lc-messages-dir={root}/usr/share/mysql",
        f"--plugin-dir={root}/usr/lib/mysql/plugin",
        "--secure-file-priv=NULL",
        "--mysqlx=OFF",
    )
    return servers.MySQLProgram((loader, "--library-path", str(loader.parent), binary), options)


def main() -> None:
    """Fetch it if possible; otherwise the tests that need it are skipped."""
    try:
        debian_unstable.fetch(PACKAGE, with_dependencies=True)
    except debian_unstable.UnavailableError as error:
        print(f"Without MySQL 9, some tests will not run: {error}.", file=sys.stderr)


if __name__ == "__main__":
    main()
