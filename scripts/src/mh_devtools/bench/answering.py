"""Answers from the platform, compared with calling their parts directly: embed, search, fetch the texts, complete.

The language model is a stub in a process of its own that responds immediately, so only the platform's work remains.
"""

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self

import httpx
from mh_client import AsyncClient, Client
from mh_common.embeddings.local import LocalEmbedder
from mh_common.milvus import make_client
from mh_common.models import SearchMode
from rag_api.search.filters import And
from rag_api.search.index import IndexQuery
from rag_api.search.milvus.index import MilvusIndex
from rag_api.search.selection import MIN_CANDIDATES

from mh_devtools.bench import stub_embedder
from mh_devtools.bench.data import add, wait_until_indexed
from mh_devtools.bench.measuring import Bench, Figure, at_most, differences, in_turn
from mh_devtools.bench.searching import CONSISTENCY
from mh_devtools.bench.stubs import language_model
from mh_devtools.bench.texts import variants
from mh_devtools.stack.server_stack import ServerStack

ROWS = 2000
WORDS = 25
TOP_K = 3

Ask = Callable[[str], Coroutine[Any, Any, float]]
"""Asks a question and returns the duration in seconds."""


class Asking:
    """Both ways to get an answer. Belongs to one event loop."""

    def __init__(self, stack: ServerStack, settings: Mapping[str, str]) -> None:
        self._stack = stack
        self._completions = f"{settings['OPENAI_BASE_URL']}/chat/completions"
        self._key = settings["OPENAI_API_KEY"]

    async def __aenter__(self) -> Self:
        self._exits = AsyncExitStack()
        headers = {"Authorization": f"Bearer {self._key}"}
        self._http = await self._exits.enter_async_context(httpx.AsyncClient(headers=headers, timeout=60))
        self._api = await self._exits.enter_async_context(AsyncClient(self._stack.api_url))
        self._embedder = LocalEmbedder()
        self._exits.push_async_callback(self._embedder.close)
        milvus = make_client(self._stack.milvus_uri, "", 10)
        self._exits.push_async_callback(milvus.close)
        model, dimension = self._embedder.model, self._embedder.dimension
        self._index = MilvusIndex(milvus, model=model, dimension=dimension, consistency=CONSISTENCY, timeout=10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def over_http(self, question: str) -> float:
        """Return the duration of an answer from the platform, in seconds."""
        started = time.perf_counter()
        answer = await self._http.post(self._url, json={"question": question, "top_k": TOP_K})
        answer.raise_for_status()
        return time.perf_counter() - started

    async def over_http_streamed(self, question: str) -> float:
        """Return the seconds until the first words of a streamed answer from the platform."""
        body = {"question": question, "top_k": TOP_K}
        started = time.perf_counter()
        async with self._http.stream("POST", self._url, json=body, headers={"Accept": "text/event-stream"}) as answer:
            return await _until("event: token", answer, started)

    async def directly(self, question: str) -> float:
        """Return the duration of the indispensable parts of an answer, called directly, in seconds."""
        started = time.perf_counter()
        answer = await self._http.post(self._completions, json=await self._prompt(question))
        answer.raise_for_status()
        return time.perf_counter() - started

    async def directly_streamed(self, question: str) -> float:
        """Return the seconds until the model's first words, with the parts called directly."""
        started = time.perf_counter()
        body = {**await self._prompt(question), "stream": True}
        async with self._http.stream("POST", self._completions, json=body) as answer:
            return await _until("data: ", answer, started)

    @property
    def _url(self) -> str:
        return f"{self._stack.rag_url}/api/v1/answers"

    async def _prompt(self, question: str) -> dict[str, Any]:
        [vector] = await self._embedder.embed([question])
        matches = await self._index.search(IndexQuery(SearchMode.HYBRID, question, vector), MIN_CANDIDATES, And())
        ids = [match.unit.key.source_id for match in matches[:TOP_K]]
        found = await self._api.conversations.list(ids=ids, limit=TOP_K)
        texts = json.dumps([[row.question, row.answer] for row in found.items])
        return {"model": "stub", "messages": [{"role": "user", "content": f"{question}\n{texts}"}]}


async def _until(beginning: str, answer: httpx.Response, started: float) -> float:
    answer.raise_for_status()
    lines: AsyncIterator[str] = answer.aiter_lines()
    elapsed: float | None = None
    # Read to the end, so that the connection can be reused.
    async for line in lines:
        if elapsed is None and line.startswith(beginning):
            elapsed = time.perf_counter() - started
    assert elapsed is not None, "The answer has no words"
    return elapsed


async def _median(ask: Ask, questions: Sequence[str]) -> float:
    return 1000 * statistics.median([await ask(question) for question in questions])


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure complete answers, and the first words of streamed ones; each with a new question."""
    texts = [" ".join(row.question.split()[:WORDS]) for row in bench.rows]
    questions = (f"{texts[number % len(texts)]} {number}" for number in itertools.count())
    with (
        language_model(bench.folder) as settings,
        ServerStack(bench.folder, durable=True, deployed=True, **settings) as stack,
        asyncio.Runner() as runner,
    ):
        with Client(stack.api_url, timeout=60) as client, stack.worker(app=stub_embedder.CELERY_APP):
            add(client, variants(bench.rows, 0, ROWS))
            wait_until_indexed(client)
        asking = runner.run(Asking(stack, settings).__aenter__())

        def side(ask: Ask) -> float:
            return runner.run(_median(ask, list(itertools.islice(questions, bench.scale.answers))))

        kinds: dict[str, tuple[Ask, Ask]] = {
            "answer": (asking.over_http, asking.directly),
            "first words of a streamed answer": (asking.over_http_streamed, asking.directly_streamed),
        }
        for name, (ours, direct) in kinds.items():
            sides = {"over HTTP, ms": partial(side, ours), "direct, ms": partial(side, direct)}
            shown = in_turn(sides, bench.scale.rounds)
            extra = differences(shown["over HTTP, ms"], shown["direct, ms"])
            title = f"{name}, {ROWS:,} rows: p50 - embed, search, fetch and language model called directly"
            yield Figure(title, "ms", at_most(10), extra, shown, "Local model; the language model is a stub.")
        runner.run(asking.__aexit__())
