"""Chroma as its users run it: its package's server, filled with its own client, in a separate environment.

`make bench` creates that environment; the platform's environment contains none of it.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mh_devtools import servers
from mh_devtools.bench.load import send
from mh_devtools.paths import ROOT

ENVIRONMENT = ROOT / ".venv-peers"
DRIVER = Path(__file__).with_name("chroma_driver.py")
_COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"

Vectors = npt.NDArray[np.float32]
Metadata = dict[str, str | int]


class Chroma:
    """Context manager for a Chroma server with its data in `folder`, and a process with its client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = servers.free_port()
        self._ids: dict[str, str] = {}

    def __enter__(self) -> Self:
        python = ENVIRONMENT / "bin" / "python"
        if not python.exists():
            raise servers.ServerError(f"{ENVIRONMENT.name} is missing: run `make bench`, which creates it.")
        self._folder.mkdir(parents=True)
        env = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
        options: list[str | Path] = ["--path", self._folder / "data", "--host", "127.0.0.1", "--port", str(self.port)]
        command: list[str | Path] = [ENVIRONMENT / "bin" / "chroma", "run", *options]
        self._server = servers.start("Chroma", command, self._folder / "chroma.log", env, self._folder)
        try:
            servers.wait_until(self._server, lambda: servers.listens(self.port))
            self._driver = subprocess.Popen(
                [python, DRIVER, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
            )
        except BaseException:
            self._server.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._driver.communicate()
        self._server.stop()

    def add(
        self,
        collection: str,
        ids: Sequence[int],
        vectors: Vectors,
        documents: Sequence[str] | None = None,
        metadatas: Sequence[Metadata] | None = None,
    ) -> float:
        """Add rows to a collection, creating it if necessary; return the seconds that Chroma's client took."""
        array, rows = self._folder / "vectors.npy", self._folder / "rows.json"
        np.save(array, vectors)
        content = {"ids": [str(key) for key in ids], "documents": documents, "metadatas": metadatas}
        rows.write_text(json.dumps(content), encoding="utf-8")
        answer = self._ask({"collection": collection, "vectors": str(array), "rows": str(rows)})
        self._ids[collection] = answer["id"]
        return float(answer["seconds"])

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps(request) + "\n")
        self._driver.stdin.flush()
        line = self._driver.stdout.readline()
        if not line:
            raise servers.ServerError("Chroma's client has ended; its error is printed above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def queries(self, collection: str, vectors: Vectors, limit: int) -> list[bytes]:
        """Return, for each vector, the bytes of a request for the ids of its nearest rows."""
        path = f"{_COLLECTIONS}/{self._ids[collection]}/query"
        wanted = {"n_results": limit, "include": ["distances"]}
        return [send("POST", path, json.dumps({"query_embeddings": [one], **wanted})) for one in vectors.tolist()]
