"""Measures how long it takes to find passages with a local embedding model, and how much of it the model takes:

.venv/bin/python -m mh_devtools.passages.measure [questions.jsonl] [--url http://127.0.0.1:8080] [--chosen FILE]

Each line of the input has a `question` or a `query`; unless given, it is the first half of the counselors' questions of
the sample. The conversations come from the platform at --url, or from a temporary one with the sample or MH_DATASET.

Each question is asked with a cache that has no vector but the question's, which its search has made, and once more.
Other programs on the machine make both slower, so the processor time of all threads is measured too. --chosen writes
what was found, so that a change that should only be faster can be compared with what was before.
"""

import argparse
import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from mh_client import AsyncClient, GroupBy, MHError
from mh_common.embeddings import Embedder, TextUse
from mh_common.embeddings.cache import CachedEmbedder
from mh_common.embeddings.factory import LOCAL_TEXTS_PER_CALL
from mh_common.embeddings.local import LocalEmbedder
from mh_common.embeddings.local_models import LOCAL_MODELS, MINILM
from mh_common.models import Risk, Source
from mh_common.risk import LexiconScreener
from mh_common.risk_classifier import make_screener
from rag_api.answers.finding import BEST_QUESTIONS, OTHER_ANSWERS
from rag_api.answers.tokens import TokenCounter, count_tokens, make_token_counter
from rag_api.passages.finder import PassageFinder, Passages
from rag_api.safety.helplines import helpline_table
from rag_api.safety.notice import Notices
from rag_api.safety.screening import ScreeningService
from rag_api.search.views import as_client

from mh_devtools import servers
from mh_devtools.paths import SAMPLE
from mh_devtools.search.evaluate import private_platform

QUESTIONS: Final = SAMPLE / "counselor-dev.jsonl"
TOP_K: Final = 3
"""Conversations of an answer, as by default."""
FOUND: Final = 50
"""Hits among which the further answers to the best questions are."""
SPECIAL_TOKENS: Final = 2
"""Tokens of each text that are no part of it."""


@dataclass(frozen=True)
class Case:
    """A question, the risk noticed in it, and the conversations found."""

    question: str
    risk: Risk
    sources: Sequence[Source]


class Run(NamedTuple):
    """What one call took.

    Attributes:
        total: milliseconds.
        model: of these, while it waited for the embedding model.
        processor: milliseconds of processor time of all threads, which other programs hardly change.
        texts: that the model was given.
        tokens: of these.
    """

    total: float
    model: float
    processor: float
    texts: int
    tokens: int


class MeasuredEmbedder:
    """An `Embedder` that delegates to another one, and keeps how long that takes and what it is given."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.seconds = 0.0
        self.texts: list[str] = []

    @property
    def model(self) -> str:
        """The inner embedder's model."""
        return self._inner.model

    @property
    def dimension(self) -> int:
        """The inner embedder's dimension."""
        return self._inner.dimension

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        """See `Embedder.embed`."""
        started = time.perf_counter()
        try:
            return await self._inner.embed(texts, use)
        finally:
            self.seconds += time.perf_counter() - started
            self.texts += texts

    async def close(self) -> None:
        """Do nothing: the inner embedder is used again."""


def main() -> None:
    """Measure and print. Exits with 3, and one line on standard error, if there is no platform."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=QUESTIONS)
    parser.add_argument("--url", help="the platform; a temporary one unless given")
    parser.add_argument("--model", choices=LOCAL_MODELS, default=MINILM.name, help="%(default)s unless given")
    parser.add_argument("--chosen", type=Path, metavar="FILE", help="write what was found as JSON Lines")
    arguments = parser.parse_args()
    # Not a line for each risk that is noticed.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    lines = [json.loads(line) for line in arguments.file.read_text("utf-8").splitlines()]
    questions = [line.get("question") or line["query"] for line in lines]
    try:
        with ExitStack() as cleanup:
            url = arguments.url or private_platform(cleanup)
            cases = asyncio.run(find_cases(questions, url))
    except (servers.ServerError, MHError) as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    chosen = asyncio.run(measure(cases, arguments.model))
    if arguments.chosen:
        arguments.chosen.write_text("".join(f"{json.dumps(one)}\n" for one in chosen), encoding="utf-8")


async def find_cases(questions: Sequence[str], url: str) -> list[Case]:
    """Return the questions for which there are conversations, with those that an answer looks through."""
    screening = make_screening()
    async with AsyncClient(url) as client:
        return [case async for case in _cases(questions, client, screening)]


async def _cases(questions: Sequence[str], client: AsyncClient, screening: ScreeningService) -> AsyncIterator[Case]:
    for question in questions:
        found = await client.search(question, plain_query=True, limit=TOP_K)
        hits = [hit for hit in found.hits if hit.relevance >= (found.relevance_threshold or 0.0)]
        if not hits:
            continue
        best, taken = {hit.question for hit in hits[:BEST_QUESTIONS]}, {hit.id for hit in hits}
        answers = await client.search(question, plain_query=True, group_by=GroupBy.NONE, limit=FOUND)
        others = [hit for hit in answers.hits if hit.question in best and hit.id not in taken]
        sources = [Source.model_validate(hit, from_attributes=True) for hit in [*hits, *others[:OTHER_ANSWERS]]]
        yield Case(question, (await screening.screen_question(question)).risk, sources)


def make_screening() -> ScreeningService:
    """Return the screening as it is where the local model is installed."""
    return ScreeningService(make_screener(), LexiconScreener(), Notices(helpline_table(), (), date.today))


async def measure(cases: Sequence[Case], model: str) -> list[dict[str, Any]]:
    """Print how long the cases take; return what was found for each, as it can be compared."""
    local, screening, chosen = LocalEmbedder(LOCAL_MODELS[model]), make_screening(), []
    await local.embed(["A first batch, which takes longer."])
    at_risk = sum(case.risk.level.needs_notice for case in cases)
    print(f"{len(cases)} questions, {at_risk} of them with a notice of risk; milliseconds, and texts for {model}")
    for excerpts in (False, True):
        first, again = [], []
        for case in cases:
            measured = MeasuredEmbedder(local)
            embedder = _cached(measured)
            await embedder.embed([as_client(case.question)], TextUse.QUERY)
            finder = PassageFinder(embedder, screening)
            found, run = await _timed(finder, measured, case, excerpts)
            first.append(run)
            again.append((await _timed(finder, measured, case, excerpts))[1])
            chosen.append(_chosen(case, found, excerpts))
        print("\n".join(_report("quotes and excerpts" if excerpts else "quotes", first, again)))
    await local.close()
    return chosen


def _cached(inner: Embedder) -> CachedEmbedder:
    shortens = LOCAL_MODELS[inner.model].shortens_queries
    return CachedEmbedder(inner, separate_queries=shortens, texts_per_call=LOCAL_TEXTS_PER_CALL)


async def _timed(finder: PassageFinder, embedder: MeasuredEmbedder, case: Case, excerpts: bool) -> tuple[Passages, Run]:
    embedder.seconds, embedder.texts = 0.0, []
    started, used = time.perf_counter(), time.process_time()
    found = await finder.find(case.question, case.sources, case.risk, excerpts=excerpts)
    total, used = time.perf_counter() - started, time.process_time() - used
    tokens = sum(count_tokens(_counter(), text) + SPECIAL_TOKENS for text in embedder.texts)
    return found, Run(1000 * total, 1000 * embedder.seconds, 1000 * used, len(embedder.texts), tokens)


@cache
def _counter() -> TokenCounter:
    return make_token_counter(None)


def _chosen(case: Case, found: Passages, excerpts: bool) -> dict[str, Any]:
    return {
        "question": case.question,
        "with_excerpts": excerpts,
        "quotes": [[case.sources[one.source - 1].id, one.kind, one.text] for one in found.quotes],
        "excerpts": {case.sources[number - 1].id: text for number, text in found.excerpts.items()},
    }


def _report(what: str, first: Sequence[Run], again: Sequence[Run]) -> Iterator[str]:
    for when, runs in (("first time", first), ("again", again)):
        parts = {
            "in all": [run.total for run in runs],
            "model": [run.model for run in runs],
            "rest": [run.total - run.model for run in runs],
            "processor": [run.processor for run in runs],
            "texts": [float(run.texts) for run in runs],
            "tokens": [float(run.tokens) for run in runs],
        }
        figures = (f"{name} {_p(values, 50):.0f}/{_p(values, 95):.0f}" for name, values in parts.items())
        yield f"{what}, {when}: p50/p95 " + ", ".join(figures)


def _p(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    main()
