"""The benchmarks: `make bench`, `make bench-quick`; `python -m bench --only NAME` for some sections.

MH_BENCH_DATASET names the CSV file to measure with; without it a train.csv in a data folder beside the checkout, else
the sample, over and over with other numbers in it where more is needed.

The figures are printed as they come. A whole run writes docs/benchmarks.json, its plots, and its tables into
docs/benchmarks.md and README.md; other runs write benchmarks.json, benchmarks.md and plots into the folder of --output.
"""

import argparse
import importlib
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from bench import environment, report
from bench.data import dataset, read_rows
from bench.documents import fill
from bench.measuring import FULL, QUICK, Bench, Section
from bench.plots import draw
from bench.record import Record
from mh_client import ConversationCreate
from server_stack import ROOT

SECTIONS = ("api", "importing", "indexing", "searching", "answering", "footprint", "growth", "soak")
DOCS = ROOT / "docs"
OUTPUT = ROOT / "var" / "bench"
HIGHLIGHTS: tuple[str, ...] = ()
"""The figures that the README shows."""


def run(bench: Bench, name: str, record: Record) -> None:
    """Measure a section into the record, with each figure printed as it comes."""
    folder = bench.folder / name
    folder.mkdir()
    section = cast(Section, importlib.import_module(f"bench.{name}"))
    started = time.perf_counter()
    figures = []
    for figure in section.measure(replace(bench, folder=folder)):
        print(report.line(figure), file=sys.stderr, flush=True)
        figures.append(figure)
    record.sections[name] = figures
    record.minutes[name] = (time.perf_counter() - started) / 60


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
    record.write(DOCS / "benchmarks.json")
    draw(record, DOCS / "figures")
    fill(DOCS / "benchmarks.md", report.tables(record))
    fill(ROOT / "README.md", {"figures": report.highlights(record, HIGHLIGHTS)})


def put_aside(record: Record, folder: Path) -> None:
    """Write a run that is not whole into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    record.write(folder / "benchmarks.json")
    draw(record, folder)
    text = "\n\n".join(f"## {name}\n\n{content}" for name, content in report.tables(record).items())
    (folder / "benchmarks.md").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under four minutes")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="these sections only")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where a run that is not whole is written")
    arguments = parser.parse_args()
    # Ended from outside, as by Ctrl-C: whatever was started is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows = read_rows(dataset())
    record = Record(about(rows))
    with tempfile.TemporaryDirectory(prefix="mh-bench-") as folder:
        bench = Bench(Path(folder), QUICK if arguments.quick else FULL, rows)
        for name in arguments.only or SECTIONS:
            run(bench, name, record)
    if arguments.quick or arguments.only:
        put_aside(record, arguments.output)
    else:
        publish(record)
    print(report.shortfalls(record))


if __name__ == "__main__":
    main()
