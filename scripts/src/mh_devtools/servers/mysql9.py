"""A private MySQL 9 for tests: MySQL is what the platform is deployed on, while Debian itself brings MariaDB.

As a command it fetches Debian unstable's server with every library it needs; the server then runs on these.
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
    """Fetch it where it can be had; the tests that need it are skipped elsewhere."""
    try:
        debian_unstable.fetch(PACKAGE, with_dependencies=True)
    except debian_unstable.UnavailableError as error:
        print(f"Without MySQL 9, some tests will not run: {error}.", file=sys.stderr)


if __name__ == "__main__":
    main()
