"""The tables of docs/scaling.md: the resources for a number of conversations, computed from docs/scaling-rates.json.

`python -m mh_devtools.bench.sizing` prints them; `--write` inserts them into the document between its markers. A test
compares both.
"""

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mh_devtools.bench.documents import fill
from mh_devtools.paths import ROOT

DOCUMENT = ROOT / "docs" / "scaling.md"
RATES = ROOT / "docs" / "scaling-rates.json"
GB = 10**9


@dataclass(frozen=True)
class Assumptions:
    """Values that are chosen, not measured. The formulas and their sources are in docs/scaling.md."""

    sizes: tuple[int, ...] = (1_000_000, 100_000_000)
    dimensions: tuple[int, ...] = (384, 1536)
    vectors: int = 2
    """Vectors per row: of the question, and of question and answer together."""
    hnsw_m: int = 18
    """Links of a vector in each direction: the default of AUTOINDEX."""
    diskann_memory: float = 0.125 + 0.1
    """PQ codes and cached nodes, as shares of the raw vectors: Milvus's defaults."""
    diskann_degree: int = 56
    sector: int = 4096
    rabitq_extra: int = 16
    """Bytes per vector in addition to its bits: id and correction factors."""
    posting: int = 8
    """Bytes per word in the sparse index: row and weight."""
    price: float = 0.02
    """US dollars per million tokens of text-embedding-3-small."""
    import_hours: tuple[float, ...] = (1, 48)
    """Hours in which each size is to be imported and indexed."""
    searches: tuple[int, ...] = (50, 500)
    """Searches per second at the peak, for each size; likewise `reads`."""
    reads: tuple[int, ...] = (200, 2000)
    busy: float = 0.6
    """Maximum utilisation of a core at the peak."""
    node_memory: int = 64 * GB
    """Memory of a query node, of which `busy` holds data."""


class Measured:
    """The measurements."""

    def __init__(self, file: Path = RATES) -> None:
        self.document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        self.texts: dict[str, float] = self.document["texts"]
        self.database: dict[str, float] = self.document["database_bytes_per_row"]

    def cpu(self, activity: str, part: str) -> float:
        """Return the processor seconds that `part` uses for one item."""
        milliseconds: float = self.document["rates"][activity]["cpu_ms"].get(part, 0.0)
        return milliseconds / 1000


PARTS = ("conversations-api", "worker", "rag-api", "MariaDB/MySQL", "Redis", "Milvus Lite")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Format a number with two significant digits, or all before the decimal point."""
    if value >= 100:
        return f"{value:,.0f}"
    digits = max(0, 1 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{digits}f}"


def size(count: float) -> str:
    """Return bytes in a readable unit."""
    return f"{number(count / (1000 * GB))} TB" if count >= 1000 * GB else f"{number(count / GB)} GB"


def rates_table(measured: Measured) -> str:
    """Return the table of measured rates: items per second, and milliseconds of one core."""
    head = ["activity", "per second, 2 shared cores (range)", *(f"{part}, ms" for part in PARTS)]
    rows = []
    for name, rate in measured.document["rates"].items():
        rate_range = f"{number(rate['per_second'])} ({number(rate['low'])} to {number(rate['high'])})"
        rows.append(
            [name, rate_range, *(number(rate["cpu_ms"][part]) if part in rate["cpu_ms"] else "" for part in PARTS)]
        )
    return table(head, rows)


def texts_table(measured: Measured) -> str:
    """Return the table of the mean lengths of a conversation."""
    rows = [[name.replace("_", " "), number(value)] for name, value in measured.texts.items()]
    rows += [[f"bytes in MySQL: {name}", number(value)] for name, value in measured.database.items()]
    return table(["mean of a conversation", ""], rows)


def vector_bytes(chosen: Assumptions, dimension: int) -> dict[str, float]:
    """Return the bytes of a row's vectors by index: memory, and disk if the index uses it."""
    raw = 4 * dimension
    node = raw + 4 * (1 + chosen.diskann_degree)
    sectors = 1 / (chosen.sector // node) if node <= chosen.sector else math.ceil(node / chosen.sector)
    of_each = {
        "vectors as they are": raw,
        "HNSW (AUTOINDEX), memory": raw + 2 * chosen.hnsw_m * 4,
        "IVF_RABITQ with SQ8 refinement, memory": dimension / 8 + chosen.rabitq_extra + dimension,
        "IVF_RABITQ alone, memory": dimension / 8 + chosen.rabitq_extra,
        "DISKANN, memory": chosen.diskann_memory * raw,
        "DISKANN, disk of each query node's share": sectors * chosen.sector,
    }
    return {name: chosen.vectors * one for name, one in of_each.items()}


def storage_table(measured: Measured, chosen: Assumptions) -> str:
    """Return the table of bytes on disk and in memory."""
    texts = measured.texts
    words = texts["indexed_words_bytes"]
    question, both = texts["question_bytes"], texts["question_bytes"] + texts["answer_bytes"]
    lines: list[tuple[str, float]] = [
        ("MySQL as it grows", sum(n for name, n in measured.database.items() if "OPTIMIZE" not in name)),
        ("MySQL after OPTIMIZE TABLE", sum(n for name, n in measured.database.items() if "as it grew" not in name)),
        ("sparse (BM25) index, memory", texts["distinct_words"] * chosen.posting),
        ("fields `question`, `text` and `words` in Milvus, memory unless mapped", question + both + words),
    ]
    for dimension in chosen.dimensions:
        lines += [(f"{name}, {dimension} dims", one) for name, one in vector_bytes(chosen, dimension).items()]
    head = ["", "bytes a row", *(f"{count:,} rows" for count in chosen.sizes)]
    return table(head, [[name, number(one), *(size(one * count) for count in chosen.sizes)] for name, one in lines])


def filling_table(measured: Measured, chosen: Assumptions) -> str:
    """Return the table of the effort to import and index, with the cores needed to do it in the chosen time."""
    tokens = measured.texts["embedded_tokens"]
    api = measured.cpu("import", "conversations-api") + measured.cpu("index", "conversations-api")
    database = sum(measured.cpu(activity, "MariaDB/MySQL") for activity in ("import", "index"))
    worker, local = measured.cpu("index", "worker"), measured.cpu("index, local model", "worker")
    hours: list[tuple[str, float]] = [
        ("conversations-api", api),
        ("MySQL", database),
        ("worker, embeddings by OpenAI", worker),
        ("worker, local model", local),
    ]
    rows: list[list[str]] = [
        ["tokens embedded", *(f"{number(count * tokens / 10**6)} million" for count in chosen.sizes)],
        ["price at OpenAI", *(f"${number(count * tokens / 10**6 * chosen.price)}" for count in chosen.sizes)],
        ["time allowed", *(f"{number(wished)} h" for wished in chosen.import_hours)],
        [
            "tokens a minute to finish in that time",
            *(f"{number(n * tokens / h / 60 / 10**6)} million" for n, h in _each(chosen.sizes, chosen.import_hours)),
        ],
    ]
    for name, seconds in hours:
        row = [f"{name}: core-hours, cores to finish in that time"]
        for count, wished in _each(chosen.sizes, chosen.import_hours):
            spent = count * seconds / 3600
            row.append(f"{number(spent)}, {math.ceil(spent / wished / chosen.busy)}")
        rows.append(row)
    return table(["", *(f"{count:,} rows" for count in chosen.sizes)], rows)


def peak_table(measured: Measured, chosen: Assumptions) -> str:
    """Return the table of cores for searches and reads at the peak, without Milvus: Lite's rates are not a server's."""
    rows = [["searches a second", *map(number, chosen.searches)], ["reads a second", *map(number, chosen.reads)]]

    def add(name: str, for_a_search: float, for_a_read: float) -> None:
        busy = (s * for_a_search + r * for_a_read for s, r in _each(chosen.searches, chosen.reads))
        rows.append([f"{name}: cores", *(str(math.ceil(cores / chosen.busy)) for cores in busy)])

    add("rag-api, queries embedded by OpenAI", measured.cpu("search", "rag-api"), 0)
    add("rag-api, local model", measured.cpu("search, local model", "rag-api"), 0)
    for part in ("conversations-api", "MariaDB/MySQL"):
        add(part, measured.cpu("search", part), measured.cpu("read", part))
    return table(["at the peak", *(f"{count:,} rows" for count in chosen.sizes)], rows)


def nodes_table(measured: Measured, chosen: Assumptions) -> str:
    """Return the table of query nodes needed to hold the vectors and the sparse index in memory, for one copy."""
    sparse = measured.texts["distinct_words"] * chosen.posting
    rows = []
    for dimension in chosen.dimensions:
        for name, one in vector_bytes(chosen, dimension).items():
            if name.endswith("memory"):
                counts = (n * (one + sparse) / (chosen.node_memory * chosen.busy) for n in chosen.sizes)
                rows.append(
                    [f"{name.removesuffix(', memory')}, {dimension} dims", *(str(math.ceil(c)) for c in counts)]
                )
    head = [f"query nodes of {size(chosen.node_memory)} for one copy", *(f"{count:,} rows" for count in chosen.sizes)]
    return table(head, rows)


def _each(first: Sequence[int], second: Sequence[float]) -> list[tuple[int, Any]]:
    return list(zip(first, second, strict=True))


def tables(measured: Measured, chosen: Assumptions) -> dict[str, str]:
    """Return every table of the document by its marker."""
    return {
        "rates": rates_table(measured),
        "texts": texts_table(measured),
        "storage": storage_table(measured, chosen),
        "nodes": nodes_table(measured, chosen),
        "filling": filling_table(measured, chosen),
        "peak": peak_table(measured, chosen),
    }


def main() -> None:
    """Print the tables, or write them to the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    made = tables(Measured(), Assumptions())
    if parser.parse_args().write:
        fill(DOCUMENT, made)
    else:
        print("\n\n".join(made.values()))


if __name__ == "__main__":
    main()
