"""The command `mh eval`: measure and compare the quality of search."""

import asyncio
import importlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from mh_common.models import ExperimentCreate

from mh_client._cli_client import open_async_client, open_client
from mh_client._cli_common import EXIT_FAILURE, EXIT_INTERRUPTED, AsJson, Url, print_json, print_text
from mh_client._client import AsyncClient, Client
from mh_client._errors import EvaluationRefusedError
from mh_client._terminal import print_error, progress_reporter
from mh_client.evaluation.cases import LabelledQueries, read_queries
from mh_client.evaluation.configurations import Configuration, combinations, parse_assignments
from mh_client.evaluation.gate import Gate

if TYPE_CHECKING:
    from mh_client.evaluation.report import Column
    from mh_client.evaluation.run import Options

Queries = Annotated[
    Path | None, typer.Argument(help="JSON Lines: query; relevant_question(s) or relevant_ids; optionally theme.")
]
Mode = Annotated[list[str] | None, typer.Option(help="Same as --param mode=…; repeatable.")]
Param = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="A search parameter; repeatable, and every combination is run."),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="Recorded in the configuration but not sent, such as model=all-MiniLM-L6-v2."
    ),
]
Name = Annotated[str | None, typer.Option(help="Prefix of the experiment's name, before the parameters.")]
Note = Annotated[str | None, typer.Option(help="Note to save with the experiment.")]
Ks = Annotated[
    list[int] | None, typer.Option("--k", min=1, max=100, help="Ranks for hit@k and recall@k (default: 1, 3, 10).")
]
Concurrency = Annotated[int, typer.Option(min=1, max=64, help="Concurrent queries.")]
Compare = Annotated[
    list[int] | None,
    typer.Option(metavar="ID", help="A saved experiment to show too; all others are compared with the first."),
]
Save = Annotated[bool, typer.Option("--save/--no-save", help="Save each run as an experiment.")]
PlotFile = Annotated[Path | None, typer.Option("--plot", help="Plot the figures to FILE.png and FILE.svg.")]
Limits = Annotated[
    list[str] | None,
    typer.Option(metavar="MEASURE=VALUE", help="Exit with 1 if a run is below this, such as hit@3=0.6."),
]
BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", help="Exit with 1 if a run is below the figures in this file.")
]
WriteBaseline = Annotated[bool, typer.Option("--write-baseline", help="Write the figures to the baseline file.")]
Tolerance = Annotated[float, typer.Option(min=0, max=1, help="How far a figure may be below the baseline.")]


def evaluate(
    ctx: typer.Context,
    queries: Queries = None,
    mode: Mode = None,
    param: Param = None,
    label: Label = None,
    name: Name = None,
    note: Note = None,
    ks: Ks = None,
    concurrency: Concurrency = 4,
    compare: Compare = None,
    save: Save = True,
    as_json: AsJson = False,
    plot: PlotFile = None,
    fail_below: Limits = None,
    baseline: BaselineFile = None,
    write_baseline: WriteBaseline = False,
    tolerance: Tolerance = 0.01,
    url: Url = None,
) -> None:
    """Run labelled queries for each combination of search parameters, measure the results, and compare experiments."""
    run, report = import_extra("eval", "run"), import_extra("eval", "report")
    if queries is None and (fail_below or baseline or not compare):
        raise EvaluationRefusedError("give a file of labelled queries, or --compare with ids of saved experiments")
    gate = Gate(fail_below or (), baseline, tolerance, write_baseline)
    configurations = combinations(parse_assignments([*(f"mode={one}" for one in mode or ()), *(param or ())]), name)
    labels = {key: values[-1] for key, values in parse_assignments(label or ()).items()}
    options = run.Options(tuple(sorted(set(ks or run.DEFAULT_KS))), concurrency, labels, note)
    labelled = read_queries(queries) if queries else None
    with open_client(url or ctx.obj) as client:
        columns = [report.saved_column(client.experiments.get(key)) for key in compare or ()]
        runs = _run(run, client, labelled, configurations, options, save) if labelled else []
        ids = [client.experiments.add(one).id if save else None for one in runs]
    show([*columns, *map(report.Column, ids, runs)], as_json, plot)
    if failures := gate.failures(runs):
        print_error("\n".join(f"mh: {failure}" for failure in failures))
        raise typer.Exit(EXIT_FAILURE)


def show(columns: "Sequence[Column]", as_json: bool, plot: Path | None) -> None:
    """Print the experiments side by side, and plot them if requested."""
    report = import_extra("eval", "report")
    comparison = report.compare(columns)
    if as_json:
        print_json(comparison)
    else:
        print_text(report.format_report(comparison))
    if plot is not None:
        drawn = [
            (f"{report.column_label(at)}  {one.experiment.name}", one.experiment) for at, one in enumerate(columns)
        ]
        files = import_extra("plot", "plot").plot(plot, drawn)
        print_error(f"mh: plotted to {' and '.join(map(str, files))}")


def _run(
    run: ModuleType,
    client: Client,
    queries: LabelledQueries,
    configurations: Sequence[Configuration],
    options: "Options",
    save: bool,
) -> list[ExperimentCreate]:
    if save:
        # Fail before the work, not after it, if experiments cannot be saved.
        client.experiments.list(limit=1)

    async def run_all() -> list[ExperimentCreate]:
        async with open_async_client(client.base_url) as searching:
            return [await _run_one(run, searching, queries, one, options) for one in configurations]

    try:
        return asyncio.run(run_all())
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


async def _run_one(
    run: ModuleType, client: AsyncClient, queries: LabelledQueries, configuration: Configuration, options: "Options"
) -> ExperimentCreate:
    done = itertools.count(1)
    total = len(queries.cases)
    with progress_reporter(configuration.name) as bar:

        def advance() -> None:
            number = next(done)
            bar(number, total, f"{number:,} of {total:,} queries")

        experiment: ExperimentCreate = await run.evaluate(client, queries, configuration, options, advance)
    return experiment


def import_extra(extra: str, module: str) -> ModuleType:
    """Import an evaluation module lazily: its dependencies are an extra and take seconds to import."""
    try:
        return importlib.import_module(f"mh_client.evaluation.{module}")
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; install it with: pip install 'mh-client[cli,{extra}]'"
        raise EvaluationRefusedError(message) from error
