"""Fills a Chroma server through Chroma's own client. Runs in the peers' environment; see `chroma`.

Reads one JSON request per line from standard input and answers each with a line of JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import chromadb  # type: ignore[import-not-found]  # in the peers' environment only
import numpy as np


def add(client: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Create a collection and add rows in the largest batches the server accepts; return its id and the seconds."""
    vectors = np.load(request["vectors"])
    rows = json.loads(Path(request["rows"]).read_text(encoding="utf-8"))
    # No embedding function: the vectors come from the platform's embedder.
    collection = client.get_or_create_collection(
        request["collection"], embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    size = client.get_max_batch_size()
    started = time.perf_counter()
    for first in range(0, len(vectors), size):
        part = slice(first, first + size)
        collection.add(
            ids=rows["ids"][part],
            embeddings=vectors[part],
            documents=rows["documents"] and rows["documents"][part],
            metadatas=rows["metadatas"] and rows["metadatas"][part],
        )
    return {"id": str(collection.id), "seconds": time.perf_counter() - started, "count": collection.count()}


def main() -> None:
    """Serve requests until standard input ends."""
    client = chromadb.HttpClient(host="127.0.0.1", port=int(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(add(client, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
