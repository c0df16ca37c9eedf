"""Run the examples in README.md and docs/integrations.md against the running stack, through its gateway: `make smoke`.

The blocks of shell and Python are run unchanged, except for the URL and the path of `mh`. Commands that call make are
skipped. If there are no conversations, the sample is imported first. If an example fails or prints nothing, exits with
code 1 and one line. Examples get the stack's API key as MH_API_KEY, and curl sends it if the example names none.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from mh_client import Client, MHError

from mh_devtools import access, servers
from mh_devtools.paths import ROOT
from mh_devtools.stack.__main__ import VAR, read_state, say
from mh_devtools.stack.parts import API_KEY_FILE

DOCUMENTS: Final = (ROOT / "README.md", ROOT / "docs" / "integrations.md")
ADDRESS: Final = "http://127.0.0.1:8080"
"""URL of the gateway in the examples."""
TIMEOUT_S: Final = 300
PAGES: Final = ("/", "/docs", "/conversations-api/openapi.json", "/rag-api/openapi.json", "/readyz")

_BLOCK: Final = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A runnable example in a document."""

    language: str
    code: str

    @property
    def title(self) -> str:
        """Its first line."""
        return self.code.splitlines()[0]

    def run(self, url: str, state: Path, key: str | None = None) -> str:
        """Run it against the gateway at `url` and return what it printed. Raises ServerError when it fails.

        `state` is a folder for what is kept between examples; `key` becomes MH_API_KEY.
        """
        code = self.code.replace(ADDRESS, url)
        command = [sys.executable, "-c", code]
        if self.language == "sh":
            here = Path(sys.executable).parent
            command = ["bash", "-euo", "pipefail", "-c", code.replace(".venv/bin/", f"{here}/")]
        # XDG_STATE_HOME has the import journals of mh.
        env = {**os.environ, "CURL_HOME": str(state), "XDG_STATE_HOME": str(state), "MH_URL": url}
        self._write_curl_options(state, key)
        if key is not None:
            env[access.API_KEY] = key
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode or not done.stdout.strip():
            reason = " ".join(done.stdout.split())[-300:] or "it printed nothing"
            raise servers.ServerError(f"This example failed: {self.title}: {reason}")
        return done.stdout

    def _write_curl_options(self, state: Path, key: str | None) -> None:
        options = ["fail-with-body", "show-error"]
        if key is not None and "Authorization:" not in self.code:
            options.append(f'header = "Authorization: Bearer {key}"')
        access.keep_secret(state / ".curlrc", "\n".join(options))


IMPORT: Final = Example("sh", ".venv/bin/mh import scripts/sample/conversations.csv --wait --again")


def examples(text: str) -> Iterator[Example]:
    """Yield the examples of a document: one per shell command and one per block of Python."""
    for language, block in _BLOCK.findall(text):
        if language == "python":
            yield Example(language, block)
            continue
        for command in re.split(r"(?<!\\)\n", block.strip()):
            if not command.startswith(("make ", "#")):
                yield Example(language, command)


def documented() -> list[Example]:
    """Return the examples of all the documents."""
    return [example for file in DOCUMENTS for example in examples(file.read_text(encoding="utf-8"))]


def smoke(url: str, state: Path, key: str | None = None) -> None:
    """Fetch every page and run every example, with this API key. Raises ServerError on the first failure."""
    for page in PAGES:
        try:
            response = httpx.get(url + page, timeout=30)
        except httpx.HTTPError as error:
            raise servers.ServerError(f"{url}{page} cannot be fetched: {error}") from error
        if response.status_code != 200:
            raise servers.ServerError(f"{url}{page} returned {response.status_code}: {response.text[:300]}")
        say(f"ok  GET {page}")
    with Client(url, api_key=key) as client:
        wanted = [] if client.conversations.stats().total else [IMPORT]
    for example in [*wanted, *documented()]:
        example.run(url, state, key)
        say(f"ok  {example.title}")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="make smoke", description=__doc__)
    parser.add_argument("--var", type=Path, default=VAR, help="the stack's folder")
    var = parser.parse_args().var.resolve()
    try:
        smoke(read_state(var)["url"], var / "smoke", access.kept_secret(var / API_KEY_FILE))
    except (servers.ServerError, MHError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
