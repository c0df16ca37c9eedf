"""The benchmarks: `make bench`, `make bench-quick`, or `python -m bench --only NAME` for one section.

MH_BENCH_DATASET names the CSV file to measure with; without it a train.csv in a data folder beside the checkout, else
the sample.
"""

import argparse
import importlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.data import dataset, read_rows
from bench.measuring import FULL, QUICK, Bench, Figure
from bench.report import line

SECTIONS = ("api", "importing", "indexing", "searching", "answering", "footprint", "growth", "soak")


def run(bench: Bench, name: str) -> Iterator[Figure]:
    """Yield the figures of a section, each printed as it comes."""
    folder = bench.folder / name
    folder.mkdir()
    for figure in importlib.import_module(f"bench.{name}").measure(replace(bench, folder=folder)):
        print(line(figure), file=sys.stderr, flush=True)
        yield figure


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, in under four minutes")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="these sections; nothing is written"
    )
    arguments = parser.parse_args()
    rows = read_rows(dataset())
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), QUICK if arguments.quick else FULL, rows)
        for name in arguments.only:
            list(run(bench, name))


if __name__ == "__main__":
    main()
