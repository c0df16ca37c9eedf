"""The users of a run: writers, an importer and readers, each with a random generator and the published client."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Self

from mh_client import (
    APIStatusError,
    AsyncClient,
    Conversation,
    ConversationCreate,
    MHError,
    NotFoundError,
    Sentiment,
)
from mh_client.resources.conversations import Changes

from mh_devtools.chaos.oracle import Oracle, Shown, Verdict, marks_of
from mh_devtools.chaos.plan import APIS, RAG, Plan, actor_rng

TIMEOUT_S: Final = 4.0
FAVOURITES: Final = 6
WORDS: Final = (
    *("sleep", "panic", "work", "grief", "mother", "exam", "anger", "school", "alone", "travel", "money", "night"),
    *("doctor", "friend", "birthday", "garden", "letter", "winter", "music", "silence", "promise", "crowd", "pain"),
)


class Clients:
    """Async context manager for one user's connections to every API, with an API key."""

    def __init__(self, urls: dict[str, str], api_key: str) -> None:
        self._connections = {name: AsyncClient(urls[name], api_key=api_key, timeout=TIMEOUT_S) for name in (*APIS, RAG)}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for connection in self._connections.values():
            await self._stack.enter_async_context(connection)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def any(self, rng: random.Random) -> AsyncClient:
        """Return the client of a random conversations API."""
        return self._connections[rng.choice(APIS)]

    @property
    def rag(self) -> AsyncClient:
        """The client of rag-api."""
        return self._connections[RAG]


@dataclass(frozen=True)
class _Import:
    key: str
    items: tuple[ConversationCreate, ...]


class Writer:
    """Adds, changes and deletes rows. Retries additions with the same key until their outcome is known."""

    def __init__(self, name: str, plan: Plan, clients: Clients, oracle: Oracle) -> None:
        self._name = f"w{plan.seed}.{name}"
        self._rng = actor_rng(plan.seed, name)
        self._pause = plan.pause
        self._clients = clients
        self._oracle = oracle
        self._number = 0
        self._unsettled: list[_Import] = []

    async def write(self, over: asyncio.Event) -> None:
        """Write single rows until `over` is set."""
        acts = (self.create, self.update, self.hurry, self.replace, self.delete, self.settle)
        while not over.is_set():
            await asyncio.sleep(self._rng.uniform(0, 2 * self._pause))
            await self._rng.choices(acts, (5, 5, 4, 3, 2, 2))[0]()

    async def load(self, over: asyncio.Event) -> None:
        """Write many rows at a time until `over` is set."""
        while not over.is_set():
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * (0.5 + 2 * self._pause))
            await self._rng.choices((self.bulk_create, self.bulk_delete, self.settle), (3, 1, 2))[0]()

    async def create(self) -> None:
        """Add one row."""
        await self._add(_Import(self._mark(), (self._content(),)))

    async def bulk_create(self) -> None:
        """Add many rows at once, as an import does."""
        items = tuple(self._content() for _ in range(self._rng.randint(2, 120)))
        await self._add(_Import(self._mark(), items))

    async def settle(self) -> None:
        """Retry one addition with an unknown outcome."""
        if self._unsettled:
            await self._add(self._unsettled.pop(0))

    @property
    def unsettled(self) -> int:
        """Number of additions with an unknown outcome."""
        return len(self._unsettled)

    async def _add(self, addition: _Import) -> None:
        self._oracle.creating(addition.items)
        client, items = self._clients.any(self._rng), addition.items
        try:
            if len(items) == 1:
                one = items[0].model_dump()
                ids = [(await client.conversations.create(**one, idempotency_key=addition.key)).id]
            else:
                ids = await client.conversations.bulk_create(items, idempotency_key=addition.key)
        except MHError as error:
            self._check_status(error)
            self._unsettled.append(addition)
        else:
            self._oracle.created(ids, items)

    async def update(self) -> None:
        """Change some fields of a row."""
        if (key := self._choose()) is not None:
            await self._update(key)

    async def hurry(self) -> None:
        """Change a random row two or three times in quick succession, while the first change is being indexed."""
        if not (ids := self._oracle.ids()):
            return
        key = self._rng.choice(ids)
        for _ in range(self._rng.randint(2, 3)):
            await self._update(key)
            await asyncio.sleep(self._rng.uniform(0, 0.1))

    async def _update(self, key: int) -> None:
        """Change some fields, sometimes only if the row still has the last known version."""
        mark = self._mark()
        changes: Changes = {"answer": self._text(mark)}
        if self._rng.random() < 0.6:
            changes["question"] = self._text()
        if_match = self._oracle.version(key) if self._rng.random() < 0.2 else None
        client = self._clients.any(self._rng)
        await self._change(key, mark, lambda: client.conversations.update(key, if_match=if_match, **changes))

    async def replace(self) -> None:
        """Replace a row's whole content."""
        if (key := self._choose()) is None:
            return
        mark = self._mark()
        content = self._content(mark).model_dump()
        client = self._clients.any(self._rng)
        await self._change(key, mark, lambda: client.conversations.replace(key, **content))

    async def _change(self, key: int, mark: str, send: Callable[[], Awaitable[Conversation]]) -> None:
        self._oracle.changing(key, mark)
        try:
            current = await send()
        except NotFoundError:
            self._oracle.absent(key)
        except MHError as error:
            # This includes 412: the first attempt may have succeeded, and only its response was lost.
            self._check_status(error)
            self._oracle.unknown()
        else:
            self._oracle.changed(mark, current)

    async def delete(self) -> None:
        """Delete a row."""
        if (key := self._choose()) is None:
            return
        self._oracle.deleting([key])
        try:
            await self._clients.any(self._rng).conversations.delete(key)
        except NotFoundError:
            self._oracle.absent(key)
        except MHError as error:
            self._check_status(error)
            self._oracle.unknown()
        else:
            self._oracle.deleted([key])

    async def bulk_delete(self) -> None:
        """Delete many rows."""
        ids = self._oracle.ids()
        ids = self._rng.sample(ids, min(len(ids), self._rng.randint(1, 30)))
        if not ids:
            return
        self._oracle.deleting(ids)
        try:
            await self._clients.any(self._rng).conversations.bulk_delete(ids, idempotency_key=self._mark())
        except MHError as error:
            self._check_status(error)
            self._oracle.unknown()
        else:
            self._oracle.deleted(ids)

    def _check_status(self, error: MHError) -> None:
        """Record a violation if the status cannot be explained by a fault."""
        if isinstance(error, APIStatusError) and error.status_code not in (409, 412, 429, 502, 503, 504):
            self._oracle.accuse(Verdict.ERROR, f"a writer was answered {error.status_code}: {error}")

    def _choose(self) -> int | None:
        """Choose any row, or one of a few that all writers prefer, so that they conflict."""
        ids = self._oracle.ids()
        if self._rng.random() < 0.5:
            ids = ids[:FAVOURITES]
        return self._rng.choice(ids) if ids else None

    def _mark(self) -> str:
        self._number += 1
        return f"{self._name}.{self._number}"

    def _text(self, mark: str | None = None) -> str:
        words = " ".join(self._rng.choices(WORDS, k=self._rng.randint(3, 12)))
        return f"{words.capitalize()}." if mark is None else f"{words.capitalize()} [{mark}]."

    def _content(self, mark: str | None = None) -> ConversationCreate:
        sentiments = list(Sentiment)
        return ConversationCreate(
            question=self._text(),
            answer=self._text(mark or self._mark()),
            question_sentiment=self._rng.choice(sentiments),
            answer_sentiment=self._rng.choice(sentiments),
        )


class Reader:
    """Searches, asks and reads until cancelled, and has the oracle check every result."""

    def __init__(self, rng: random.Random, clients: Clients, oracle: Oracle) -> None:
        self._rng = rng
        self._clients = clients
        self._oracle = oracle

    async def run(self) -> None:
        """Read until cancelled."""
        acts = (self._search, self._answer, self._get, self._list)
        while True:
            await asyncio.sleep(self._rng.uniform(0, 0.2))
            try:
                await self._rng.choices(acts, (8, 2, 4, 1))[0]()
            except MHError as error:
                if isinstance(error, APIStatusError) and error.status_code not in (429, 502, 503, 504):
                    self._oracle.accuse(Verdict.ERROR, f"a reader was answered {error.status_code}: {error}")
                self._oracle.counts["reads refused"] += 1

    async def _search(self) -> None:
        query, since = self._query(), self._oracle.now()
        found = await self._clients.rag.search(query, limit=self._rng.choice((3, 10, 50)))
        for hit in found.hits:
            self._oracle.check_shown("a search", since, Shown(hit.id, hit.question, hit.answer))

    async def _answer(self) -> None:
        query, since = self._query(), self._oracle.now()
        answer = await self._clients.rag.answer(query, top_k=5)
        for source in answer.sources:
            self._oracle.check_shown("an answer", since, Shown(source.id, source.question, source.answer))
        if not marks_of(answer.answer) <= marks_of(" ".join(source.answer for source in answer.sources)):
            self._oracle.accuse(Verdict.FOREIGN, "an answer quotes what is in none of its sources")

    async def _get(self) -> None:
        known = self._oracle.ids() + self._oracle.deleted_ids()
        if not known:
            return
        key, since = self._rng.choice(known), self._oracle.now()
        try:
            row = await self._clients.any(self._rng).conversations.get(key)
        except NotFoundError:
            self._oracle.absent(key)
        else:
            self._oracle.check_shown("a read", since, _shown(row))

    async def _list(self) -> None:
        since = self._oracle.now()
        page = await self._clients.any(self._rng).conversations.list(limit=50, sort="-id")
        for row in page.items:
            self._oracle.check_shown("a list", since, _shown(row))

    def _query(self) -> str:
        """Return a question that was written, so that its row must be among the first hits; or a few words."""
        ids = self._oracle.ids() if self._rng.random() < 0.5 else self._oracle.deleted_ids()
        if ids and self._rng.random() < 0.8:
            return self._oracle.question(self._rng.choice(ids))
        return " ".join(self._rng.choices(WORDS, k=4))


def _shown(row: Conversation) -> Shown:
    return Shown(row.id, row.question, row.answer, row.version)
