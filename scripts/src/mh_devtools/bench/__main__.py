"""The benchmarks: `make bench`, `make bench-quick`; `python -m mh_devtools.bench --only NAME` for some sections.

MH_BENCH_DATASET names the CSV file to measure with; without it a train.csv in a data folder beside the checkout, else
the sample, over and over with other numbers in it where more is needed.

The figures are printed as they come. A whole run writes docs/benchmarks.json, its plots, and its tables into
docs/benchmarks.md and README.md; other runs write benchmarks.json, benchmarks.md and plots into the folder of --output.
A section that fails does not end the run, but the run is not whole then, and its exit code is 1.
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

SECTIONS = ("api", "importing", "indexing", "answering", "footprint", "growth", "soak")
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
"""The figures that the README shows."""


def run(bench: Bench, name: str, record: Record) -> None:
    """Measure a section into the record, with each figure printed as it comes."""
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


def measured(scale: Scale, names: Sequence[str], kept: Path) -> tuple[Record, list[str]]:
    """Return what these sections measured, and the names of those that failed. `kept` has it after each section."""
    rows = read_rows(dataset())
    record, failed = Record(about(rows)), []
    with tempfile.TemporaryDirectory(prefix="mh-bench-") as folder:
        for name in names:
            try:
                run(Bench(Path(folder), scale, rows), name, record)
            except Exception:  # whatever it is, the other sections are worth their time
                traceback.print_exc()
                failed.append(name)
            record.write(kept)
    return record, failed


def about(rows: Sequence[ConversationCreate]) -> dict[str, Any]:
    """Return what a record says of the run."""
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
    """Write a whole run into the documents."""
    draw(record, DOCS / "figures")
    fill(DOCS / "benchmarks.md", report.tables(record))
    fill(ROOT / "README.md", {"figures": report.highlights(record, HIGHLIGHTS)})


def put_aside(record: Record, folder: Path) -> None:
    """Write a run that is not whole into a folder."""
    draw(record, folder)
    text = "\n\n".join(f"## {name}\n\n{content}" for name, content in report.tables(record).items())
    (folder / "benchmarks.md").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under four minutes")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="these sections only")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where a run that is not whole is written")
    parser.add_argument(
        "--publish", action="store_true", help="measure nothing; write the documents from benchmarks.json"
    )
    arguments = parser.parse_args()
    if arguments.publish:
        publish(read(DOCS / "benchmarks.json"))
        return
    # Ended from outside, as by Ctrl-C: whatever was started is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments.output.mkdir(parents=True, exist_ok=True)
    kept = arguments.output / "benchmarks.json"
    record, failed = measured(QUICK if arguments.quick else FULL, arguments.only or SECTIONS, kept)
    if arguments.quick or arguments.only or failed:
        put_aside(record, arguments.output)
    else:
        record.write(DOCS / "benchmarks.json")
        # What was written, which has fewer digits: the documents are held to it.
        publish(read(DOCS / "benchmarks.json"))
    print(report.shortfalls(record))
    if failed:
        sys.exit(f"These sections failed, and nothing was written into the documents: {', '.join(failed)}")


if __name__ == "__main__":
    main()
