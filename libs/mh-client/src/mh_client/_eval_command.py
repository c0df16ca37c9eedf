"""The command `mh eval`: how well the platform's search ranks, as figures that can be compared."""

import asyncio
import importlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from mh_common.models import ExperimentCreate

from mh_client._client import AsyncClient, Client
from mh_client._command_parts import INTERRUPTED, REFUSED, AsJson, Url, print_json, print_text
from mh_client._errors import EvaluationRefusedError
from mh_client._terminal import meter, say
from mh_client.evaluation.cases import LabelledQueries, read_queries
from mh_client.evaluation.configurations import Configuration, combinations, parse_assignments
from mh_client.evaluation.gate import Gate

if TYPE_CHECKING:
    from mh_client.evaluation.report import Column
    from mh_client.evaluation.run import Options

Queries = Annotated[
    Path | None, typer.Argument(help="JSON Lines: query; relevant_question(s) or relevant_ids; theme if any.")
]
Mode = Annotated[list[str] | None, typer.Option(help="The same as --param mode=…; may be given several times.")]
Param = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="A search parameter; given several times: each combination is run."),
]
Label = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Noted in the configuration and not sent, such as model=all-MiniLM-L6-v2."),
]
Name = Annotated[str | None, typer.Option(help="Stands before the parameters in the experiment's name.")]
Note = Annotated[str | None, typer.Option(help="Kept with the experiment.")]
Ks = Annotated[list[int] | None, typer.Option("--k", min=1, max=100, help="Ranks for hit@k, recall@k (1, 3 and 10).")]
Concurrency = Annotated[int, typer.Option(min=1, max=64, help="Queries at the same time.")]
Compare = Annotated[
    list[int] | None, typer.Option(metavar="ID", help="A kept experiment to show as well; the first is compared with.")
]
Save = Annotated[bool, typer.Option("--save/--no-save", help="Keep each run as an experiment.")]
PlotFile = Annotated[Path | None, typer.Option("--plot", help="Draw the figures into FILE.png and FILE.svg.")]
Limits = Annotated[
    list[str] | None, typer.Option(metavar="MEASURE=VALUE", help="Exit with 1 where a run is below, as hit@3=0.6.")
]
BaselineFile = Annotated[Path | None, typer.Option("--baseline", help="Exit with 1 where a run drops below this file.")]
WriteBaseline = Annotated[bool, typer.Option("--write-baseline", help="Write the runs' figures to the baseline file.")]
Tolerance = Annotated[float, typer.Option(min=0, max=1, help="How far below the baseline a figure may be.")]


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
    """Run labelled queries, measure what search finds for each combination of parameters, and compare experiments."""
    run, report = _needing("eval", "run"), _needing("eval", "report")
    if queries is None and (fail_below or baseline or not compare):
        raise EvaluationRefusedError("name a file of labelled queries, or only --compare with experiments' ids")
    gate = Gate(fail_below or (), baseline, tolerance, write_baseline)
    configurations = combinations(parse_assignments([*(f"mode={one}" for one in mode or ()), *(param or ())]), name)
    labels = {key: values[-1] for key, values in parse_assignments(label or ()).items()}
    options = run.Options(tuple(sorted(set(ks or run.DEFAULT_KS))), concurrency, labels, note)
    labelled = read_queries(queries) if queries else None
    with Client(url or ctx.obj) as client:
        columns = [report.kept(client.experiments.get(key)) for key in compare or ()]
        runs = _run(run, client, labelled, configurations, options, save) if labelled else []
        ids = [client.experiments.add(one).id if save else None for one in runs]
    _show([*columns, *map(report.Column, ids, runs)], as_json, plot)
    if failures := gate.failures(runs):
        say("\n".join(f"mh: {failure}" for failure in failures))
        raise typer.Exit(REFUSED)


def _show(columns: "Sequence[Column]", as_json: bool, plot: Path | None) -> None:
    """Print the experiments side by side, and draw them where asked to."""
    report = _needing("eval", "report")
    comparison = report.compare(columns)
    if as_json:
        print_json(comparison)
    else:
        print_text(report.text(comparison))
    if plot is not None:
        drawn = [(f"{report.label(at)}  {one.experiment.name}", one.experiment) for at, one in enumerate(columns)]
        files = _needing("plot", "plot").plot(plot, drawn)
        say(f"mh: drawn into {' and '.join(map(str, files))}")


def _run(
    run: ModuleType,
    client: Client,
    queries: LabelledQueries,
    configurations: Sequence[Configuration],
    options: "Options",
    save: bool,
) -> list[ExperimentCreate]:
    if save:
        # Where nothing can be kept, that is said before the work and not after it.
        client.experiments.list(limit=1)

    async def run_all() -> list[ExperimentCreate]:
        async with AsyncClient(client.base_url) as searching:
            return [await _run_one(run, searching, queries, one, options) for one in configurations]

    try:
        return asyncio.run(run_all())
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


async def _run_one(
    run: ModuleType, client: AsyncClient, queries: LabelledQueries, configuration: Configuration, options: "Options"
) -> ExperimentCreate:
    done = itertools.count(1)
    total = len(queries.cases)
    with meter(configuration.name) as bar:

        def advance() -> None:
            number = next(done)
            bar(number, total, f"{number:,} of {total:,} queries")

        experiment: ExperimentCreate = await run.evaluate(client, queries, configuration, options, advance)
    return experiment


def _needing(extra: str, module: str) -> ModuleType:
    """Import a module of the evaluation when it is needed: what it needs takes seconds to load, and is an extra."""
    try:
        return importlib.import_module(f"mh_client.evaluation.{module}")
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; install it with: pip install 'mh-client[cli,{extra}]'"
        raise EvaluationRefusedError(message) from error
