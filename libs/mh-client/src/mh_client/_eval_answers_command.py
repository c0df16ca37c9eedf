"""The command `mh eval-answers`: measure and compare the quality of answers."""

import asyncio
import itertools
from pathlib import Path
from typing import Annotated, Any

import typer
from mh_common.models import ExperimentCreate

from mh_client._cli_client import open_async_client, open_client
from mh_client._cli_common import EXIT_FAILURE, EXIT_INTERRUPTED, AsJson, Url
from mh_client._errors import EvaluationRefusedError
from mh_client._eval_command import (
    BaselineFile,
    Compare,
    Label,
    Limits,
    Name,
    Note,
    PlotFile,
    Save,
    Tolerance,
    WriteBaseline,
    import_extra,
    show,
)
from mh_client._terminal import print_error, progress_reporter
from mh_client.evaluation.answer_cases import Questions, read_questions
from mh_client.evaluation.configurations import parse_assignments
from mh_client.evaluation.gate import Gate

QuestionFile = Annotated[
    Path | None,
    typer.Argument(help="JSON Lines: question; optionally kind (question, off_topic or risk) and theme."),
]
TopK = Annotated[int, typer.Option(min=1, max=20, help="Conversations to ground each answer in.")]
Concurrency = Annotated[int, typer.Option(min=1, max=16, help="Concurrent questions.")]


def evaluate_answers(
    ctx: typer.Context,
    questions: QuestionFile = None,
    top_k: TopK = 3,
    label: Label = None,
    name: Name = None,
    note: Note = None,
    concurrency: Concurrency = 2,
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
    """Ask questions, measure citations, grounding, refusals and the handling of risk, and compare experiments.

    A configured language model is asked once or twice for each question.
    """
    run, report = import_extra("eval", "answer_run"), import_extra("eval", "report")
    if questions is None and (fail_below or baseline or not compare):
        raise EvaluationRefusedError("give a file of questions, or --compare with ids of saved experiments")
    gate = Gate(fail_below or (), baseline, tolerance, write_baseline)
    labels = {key: values[-1] for key, values in parse_assignments(label or ()).items()}
    options = run.AnswerOptions(top_k, concurrency, name, labels, note)
    read = read_questions(questions) if questions else None
    with open_client(url or ctx.obj) as client:
        columns = [report.saved_column(client.experiments.get(key)) for key in compare or ()]
        if read and save:
            # Fail before the work, not after it, if experiments cannot be saved.
            client.experiments.list(limit=1)
        runs = [_run(run, client.base_url, read, options)] if read else []
        _tell_failures(runs)
        ids = [client.experiments.add(one).id if save else None for one in runs]
    show([*columns, *map(report.Column, ids, runs)], as_json, plot)
    if failures := gate.failures(runs):
        print_error("\n".join(f"mh: {failure}" for failure in failures))
        raise typer.Exit(EXIT_FAILURE)


def _tell_failures(runs: list[ExperimentCreate]) -> None:
    for one in runs:
        if failed := one.configuration["failed"]:
            print_error(f"mh: {failed} of {one.data_set.cases:,} answers failed; they count as none")


def _run(run: Any, url: str, questions: Questions, options: Any) -> ExperimentCreate:
    done, total = itertools.count(1), len(questions.cases)

    async def ask_all(advance: Any) -> ExperimentCreate:
        async with open_async_client(url) as client:
            experiment: ExperimentCreate = await run.evaluate_answers(client, questions, options, advance)
        return experiment

    with progress_reporter("answers") as bar:

        def advance() -> None:
            number = next(done)
            bar(number, total, f"{number:,} of {total:,} questions")

        try:
            return asyncio.run(ask_all(advance))
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
