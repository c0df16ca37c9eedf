"""Files: the time of exports and imports in each format, compared with CSV, and the memory that the client takes.

Everything is exported that the largest size of the run has, and as much is read. Whole imports are of fewer rows, since
the platform's work is the same for every format.
"""

import asyncio
import csv
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
import pyarrow
import pyarrow.parquet
from mh_client import Client, ConversationCreate
from mh_client.importing import ImportOptions, check_file
from mh_client.resources.conversations import ExportFormat

from mh_devtools.bench.data import add, import_whole
from mh_devtools.bench.measuring import Bench, Figure, at_most, in_turn, ratios, timed
from mh_devtools.bench.texts import variants
from mh_devtools.stack.server_stack import NO_MILVUS, ServerStack
from mh_devtools.testing.workbooks import workbook

EXPORTED: Final[tuple[ExportFormat, ...]] = ("csv", "jsonl", "parquet")
NAMES: Final = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet", "xlsx": "an Excel workbook"}
COLUMNS: Final = ("question", "answer", "question_sentiment", "answer_sentiment")
IMPORTED_ROWS: Final = 2_000
TIME_GOAL: Final = 1.3
MEMORY_GOAL: Final = 1.2
SAMPLE_S: Final = 0.01


def measure(bench: Bench) -> Iterator[Figure]:
    """Export and read all rows, import some, each format in turn; and export and read at two sizes for the memory."""
    rows = variants(bench.rows, 0, bench.scale.sizes[-1])
    with (
        ServerStack(bench.folder, deployed=True, rag_app=None, milvus_uri=NO_MILVUS) as stack,
        Client(stack.api_url, timeout=60) as client,
    ):
        memory = []
        for size in bench.scale.sizes[-2:]:
            add(client, rows[client.conversations.stats().total : size])
            memory.append(_memory(stack.api_url, _write(rows[:size], bench.folder / f"{size}")))
        yield from _times("export", f"{len(rows):,} rows", _exports(client, bench.folder), bench.scale.rounds)
        files = {form: bench.folder / f"{len(rows)}" / f"rows.{form}" for form in NAMES}
        reads = {form: partial(_read, file) for form, file in files.items()}
        yield from _times("reading", f"{len(rows):,} rows", reads, bench.scale.rounds)
        yield from _times("import", f"{IMPORTED_ROWS:,} rows", _imports(client, bench), bench.scale.rounds)
    if len(memory) > 1:
        yield from _memories(memory, bench.scale.sizes[-2:])


def _times(what: str, how_many: str, sides: Mapping[str, Callable[[], float]], rounds: int) -> Iterator[Figure]:
    seconds = in_turn(sides, rounds)
    for form in list(sides)[1:]:
        shown = {f"{NAMES[one]}, s": seconds[one] for one in ("csv", form)}
        name = f"{what} of {how_many}, {NAMES[form]} / CSV"
        yield Figure(name, "times", at_most(TIME_GOAL), ratios(seconds[form], seconds["csv"]), shown)


def _exports(client: Client, folder: Path) -> dict[str, Callable[[], float]]:
    def export(form: ExportFormat) -> None:
        with (folder / f"exported.{form}").open("wb") as file:
            file.writelines(client.conversations.export(format=form))

    return {form: lambda form=form: timed(lambda: export(form)) for form in EXPORTED}  # type: ignore[misc]


def _read(file: Path) -> float:
    """Return the seconds that it takes to read and check a file, without a platform."""
    options = ImportOptions(state_dir=file.parent / "journals")
    return timed(lambda: asyncio.run(check_file(None, file, options)))


def _imports(client: Client, bench: Bench) -> dict[str, Callable[[], float]]:
    # An import skips rows that are there already, so that each needs others.
    starts = itertools.count(bench.scale.sizes[-1], IMPORTED_ROWS)

    def once(form: str) -> float:
        rows = variants(bench.rows, next(starts), IMPORTED_ROWS)
        [file] = _write(rows, bench.folder / "imported", [form]).values()
        seconds = timed(lambda: asyncio.run(import_whole(client.base_url, file)))
        # So that the relay is idle while the others are measured.
        while client.index.summary().outbox_depth:
            time.sleep(0.05)
        return seconds

    return {form: partial(once, form) for form in NAMES}


def _write(rows: Sequence[ConversationCreate], folder: Path, forms: Sequence[str] = tuple(NAMES)) -> dict[str, Path]:
    """Write the rows in these formats, as other programs do; return the files by format."""
    folder.mkdir(exist_ok=True)
    files = {form: folder / f"rows.{form}" for form in forms}
    cells: list[list[Any]] = [[str(getattr(row, name)) for name in COLUMNS] for row in rows]
    for form, file in files.items():
        if form == "csv":
            with file.open("w", encoding="utf-8", newline="") as output:
                csv.writer(output).writerows([COLUMNS, *cells])
        elif form == "jsonl":
            lines = (json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in cells)
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        elif form == "parquet":
            columns = dict(zip(COLUMNS, zip(*cells, strict=True), strict=True))
            pyarrow.parquet.write_table(pyarrow.table(columns), file)
        else:
            file.write_bytes(workbook({"rows": [list(COLUMNS), *cells]}))
    return files


def _memory(url: str, files: Mapping[str, Path]) -> dict[str, float]:
    """Return the peak memory of `mh` in MB while it exports and reads each format."""
    peaks = {}
    for form in EXPORTED:
        target = str(files[form].with_name(f"exported.{form}"))
        peaks[f"export, {NAMES[form]}"] = _peak(url, "export", "--format", form, "-o", target)
        # Nobody is there: the file alone is looked at, and without looking for equal rows.
        dry = ("import", str(files[form]), "--dry-run", "--on-duplicate", "add")
        peaks[f"reading, {NAMES[form]}"] = _peak("http://127.0.0.1:9", *dry)
    return peaks


def _peak(url: str, *command: str) -> float:
    args = [sys.executable, "-m", "mh_client.cli", "--url", url, *command]
    with subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(SAMPLE_S)
    if process.wait():
        raise RuntimeError(f"mh {command[0]} failed")
    return peak / 1e6


def _memories(memory: Sequence[Mapping[str, float]], sizes: Sequence[int]) -> Iterator[Figure]:
    small, large = memory
    for name in large:
        shown = {f"MB at {size:,} rows": [found[name]] for size, found in zip(sizes, memory, strict=True)}
        told = f"{name}: most memory of mh at {sizes[1]:,} rows / at {sizes[0]:,}"
        yield Figure(told, "times", at_most(MEMORY_GOAL), [large[name] / small[name]], shown)
