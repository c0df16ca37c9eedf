"""The benchmarks: `make bench`, `make bench-quick`; `python -m mh_devtools.bench --only NAME` for some sections.

MH_BENCH_DATASET is the CSV file to measure with; by default a train.csv in a data folder next to the checkout, or else
the sample data. If more rows are needed, they are repeated with numbers added.

Figures are printed as they are measured. A complete run writes docs/benchmarks.json, its plots, and its tables in
docs/benchmarks.md and README.md; other runs write benchmarks.json, benchmarks.md and plots to the --output folder. A
section that fails does not stop the run, but the run is then incomplete and exits with 1.
"""

import argparse
import importlib
import signal
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from mh_client import ConversationCreate

from mh_devtools.bench import environment, report
from mh_devtools.bench.data import dataset, read_rows
from mh_devtools.bench.documents import fill
from mh_devtools.bench.measuring import FULL, QUICK, Bench, Scale, Section
from mh_devtools.bench.plots import draw
from mh_devtools.bench.record import Record, read
from mh_devtools.paths import ROOT

SECTIONS = ("api", "importing", "files", "indexing", "answering", "footprint", "growth", "soak")
DOCS = ROOT / "docs"
OUTPUT = ROOT / "var" / "bench"
HIGHLIGHTS = (
    "import / executemany",
    "import / one POST a row",
    "indexing, free embedder / Milvus alone",
    "time to index, local model / embedder alone",
    "commit to searchable, p95, 50 writes/s, free embedder, less embed + upsert",
    "GET one, 16 clients / raw aiomysql",
    "PATCH one, 16 clients / synchronous",
    "search, 20,000 rows, 1 client: p50 - embed and Milvus called directly",
    "answer, 2,000 rows: p50 - embed, search, fetch and language model called directly",
    "100 clients: requests that failed",
    "100 clients: 99th percentile",
)
"""The figures in the README."""


def run(bench: Bench, name: str, record: Record) -> None:
    """Measure a section, print each figure as soon as it is measured, and add them to the record."""
    folder = bench.folder / name
    folder.mkdir()
    section = cast(Section, importlib.import_module(f"mh_devtools.bench.{name}"))
    started = time.perf_counter()
    figures = []
    for figure in section.measure(replace(bench, folder=folder)):
        print(report.line(figure), file=sys.stderr, flush=True)
        figures.append(figure)
    record.sections[name] = figures
    record.minutes[name] = (time.perf_counter() - started) / 60


def measure_sections(scale: Scale, names: Sequence[str], output: Path) -> tuple[Record, list[str]]:
    """Measure these sections; return the record and the names of sections that failed.

    The record is written to `output` after each section.
    """
    rows = read_rows(dataset())
    record, failed = Record(about(rows)), []
    with tempfile.TemporaryDirectory(prefix="mh-bench-") as folder:
        for name in names:
            try:
                run(Bench(Path(folder), scale, rows), name, record)
            except Exception:  # whatever it is, continue with the other sections
                traceback.print_exc()
                failed.append(name)
            record.write(output)
    return record, failed


def about(rows: Sequence[ConversationCreate]) -> dict[str, Any]:
    """Return the record's information on machine, versions, commit and data."""
    data = {
        "rows": len(rows),
        "question_words": round(statistics.fmean(len(row.question.split()) for row in rows)),
        "answer_words": round(statistics.fmean(len(row.answer.split()) for row in rows)),
    }
    return {
        "machine": environment.machine(),
        "versions": environment.versions(),
        "commit": environment.commit(),
        "data": data,
    }


def publish(record: Record) -> None:
    """Write a complete run to the documents."""
    draw(record, DOCS / "figures")
    fill(DOCS / "benchmarks.md", report.tables(record))
    fill(ROOT / "README.md", {"figures": report.highlights(record, HIGHLIGHTS)})


def write_partial(record: Record, folder: Path) -> None:
    """Write an incomplete run to a folder."""
    draw(record, folder)
    text = "\n\n".join(f"## {name}\n\n{content}" for name, content in report.tables(record).items())
    (folder / "benchmarks.md").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller measurements, in under four minutes")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="only these sections")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the results of an incomplete run")
    parser.add_argument(
        "--publish", action="store_true", help="only write the documents from benchmarks.json, without measuring"
    )
    arguments = parser.parse_args()
    if arguments.publish:
        publish(read(DOCS / "benchmarks.json"))
        return
    # Treat SIGTERM like Ctrl-C, so that everything that was started is stopped too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments.output.mkdir(parents=True, exist_ok=True)
    output = arguments.output / "benchmarks.json"
    record, failed = measure_sections(QUICK if arguments.quick else FULL, arguments.only or SECTIONS, output)
    if arguments.quick or arguments.only or failed:
        write_partial(record, arguments.output)
    else:
        record.write(DOCS / "benchmarks.json")
        # Read back, as the file has fewer digits and a test compares the documents with it.
        publish(read(DOCS / "benchmarks.json"))
    print(report.shortfalls(record))
    if failed:
        sys.exit(f"These sections failed, and the documents were not changed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
