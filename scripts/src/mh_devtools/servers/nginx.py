"""Run the gateway with a local nginx, rendering its configuration like the nginx image does."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from mh_devtools import servers
from mh_devtools.paths import ROOT

FOLDER = ROOT / "infra" / "gateway"
MISSING = "nginx is not installed (Debian: apt-get install nginx-light)"


def find_nginx() -> str | None:
    """Return an nginx binary from PATH."""
    return shutil.which("nginx", path=servers.SEARCH_PATH)


def render(values: Mapping[str, str]) -> str:
    """Return nginx.conf with each ${VARIABLE} replaced. Raises KeyError for a missing value."""
    template = (FOLDER / "nginx.conf.template").read_text(encoding="utf-8")
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], template)


def start_nginx(directory: Path, port: int, values: Mapping[str, str]) -> servers.Running:
    """Start the gateway on a loopback port. `values`: both upstreams and the rates; see infra/README.md.

    Raises:
        ServerError: nginx is not installed, or does not start.
    """
    binary = find_nginx()
    if binary is None:
        raise servers.ServerError(MISSING)
    directory.mkdir(parents=True, exist_ok=True)
    here = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_SERVICES_LISTEN": f"127.0.0.1:{servers.free_port()}",
        "GATEWAY_TMP": str(directory),
        "GATEWAY_PAGES": str(FOLDER / "pages"),
        "GATEWAY_RESOLVER": "127.0.0.1",
        "GATEWAY_TRUSTED_PROXY": "127.0.0.1",
    }
    config = directory / "nginx.conf"
    config.write_text(render({**here, **values}), encoding="utf-8")
    # When root starts nginx, its workers run as nobody, who cannot read a private folder.
    directives = "daemon off;" + (" user root;" if os.getuid() == 0 else "")
    command: list[str | Path] = [binary, "-e", "/dev/stderr", "-p", directory, "-c", config, "-g", directives]
    server = servers.start("nginx", command, directory / "nginx.log")
    servers.wait_until(server, lambda: servers.listens(port))
    return server
