"""One evaluation of answers: questions in, an experiment out."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mh_common.models import Answer, ExperimentCreate, ExperimentKind

from mh_client._client import AsyncClient
from mh_client._errors import ServerError
from mh_client.evaluation.answer_cases import AnswerCase, Questions
from mh_client.evaluation.answer_measures import MEASURES, NO_MODEL, Failed, measure
from mh_client.evaluation.cases import indexes_by_theme
from mh_client.evaluation.measures import summarise


@dataclass(frozen=True)
class AnswerOptions:
    """Options of an evaluation: conversations per answer, concurrency, and what is recorded but not sent."""

    top_k: int = 3
    concurrency: int = 2
    name: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None


async def evaluate_answers(
    client: AsyncClient,
    questions: Questions,
    options: AnswerOptions | None = None,
    advance: Callable[[], object] = lambda: None,
) -> ExperimentCreate:
    """Ask every question and compute the measures; nothing is saved.

    `advance` is called after each answer. An answer that fails (a server's error) counts as none.

    Raises:
        MHError: the platform cannot be asked at all, or every answer failed.
    """
    options = options or AnswerOptions()
    started = time.perf_counter()
    answers = await _ask(client, questions.cases, options, advance)
    duration = time.perf_counter() - started
    rows = [measure(case.kind, one) for case, one in zip(questions.cases, answers, strict=True)]
    values = {name: [row[name] for row in rows] for name in MEASURES}
    values = {name: each for name, each in values.items() if any(value is not None for value in each)}
    written = Counter(one.model for one in answers if isinstance(one, Answer) and one.model != NO_MODEL)
    versions = [one.prompt_version for one in answers if isinstance(one, Answer) and one.prompt_version]
    model = written.most_common(1)[0][0] if written else NO_MODEL
    return ExperimentCreate(
        kind=ExperimentKind.ANSWERS,
        name=" ".join(filter(None, [options.name, f"model={model}", f"top_k={options.top_k}"]))[:200],
        configuration={
            **options.labels,
            "model": model,
            "prompt_version": next(iter(versions), None),
            "top_k": options.top_k,
            "failed": sum(isinstance(one, Failed) for one in answers),
        },
        data_set=questions.data_set,
        metrics=summarise(values, indexes_by_theme(questions.cases)),
        per_case=values,
        duration_seconds=round(duration, 3),
        note=options.note,
    )


async def _ask(
    client: AsyncClient, cases: Sequence[AnswerCase], options: AnswerOptions, advance: Callable[[], object]
) -> list[Answer | Failed]:
    answers: list[Answer | Failed] = [Failed(noticed_risk=False)] * len(cases)
    failures: list[ServerError] = []
    waiting = iter(enumerate(cases))

    async def work() -> None:
        for index, case in waiting:
            try:
                answers[index] = await client.answer(case.question, options.top_k)
            except ServerError as error:
                failures.append(error)
                answers[index] = Failed(noticed_risk=error.noticed is not None)
            advance()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(options.concurrency):
                group.create_task(work())
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__
    if len(failures) == len(cases):
        raise failures[0]
    return answers
