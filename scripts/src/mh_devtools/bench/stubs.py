"""Stubs of external servers, each in a process of its own, so that they do not slow down the measuring process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mh_devtools import servers
from mh_devtools.stubs.openai_stub import StubOpenAI


@contextmanager
def openai(folder: Path, *options: str) -> Iterator[str]:
    """Run a stub of OpenAI's API that responds immediately; yield its URL, including /v1."""
    port = servers.free_port()
    command = [sys.executable, "-m", "mh_devtools.stubs.openai_stub", "--port", str(port), *options]
    server = servers.start("OpenAI stub", command, folder / "openai.log")
    try:
        servers.wait_until(server, lambda: servers.listens(port))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.stop()


@contextmanager
def language_model(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Run a stub language model; yield the settings for it, also for embeddings if the provider is openai."""
    with openai(folder, *options) as url:
        yield {"OPENAI_API_KEY": StubOpenAI().api_key, "OPENAI_BASE_URL": url}


@contextmanager
def embeddings(folder: Path, dimension: int) -> Iterator[dict[str, Any]]:
    """Run a stub embedding server; yield the settings for it."""
    with openai(folder, "--dimension", str(dimension)) as url:
        yield {
            "EMBEDDING_PROVIDER": "openai",
            "EMBEDDING_DIMENSION": str(dimension),
            "EMBEDDING_BASE_URL": url,
            "EMBEDDING_API_KEY": StubOpenAI().api_key,
        }
