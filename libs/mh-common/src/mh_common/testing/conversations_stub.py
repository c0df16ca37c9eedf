"""A real HTTP server that speaks the two calls the indexer worker makes to the conversations API, for its tests.

with StubConversations.running() as stub:
    stub.put(1, "How do I sleep better?")
    client = AsyncClient(stub.base_url)
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mh_common.models import (
    Conversation,
    ConversationPage,
    ConversationVersion,
    IndexOutcome,
    IndexReport,
    IndexReportAnswer,
    IndexStatus,
    Sentiment,
)

CREATED = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)


class StubConversations:
    """The server's state. Every attribute may be read and set from any thread while it runs.

    Attributes:
        rows: the conversations, by id; change them with `put` and `remove`.
        reads: the ids of every read, in order.
        outcomes: every reported outcome, in order.
        after_read: called with the ids between taking the rows of a read and answering it; may block, as this is a
            thread of its own: whatever it does, the worker does not know yet.
        failures: answer so many requests with 503 first.
        base_url: set by `running`.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Conversation] = {}
        self.reads: list[list[int]] = []
        self.outcomes: list[IndexOutcome] = []
        self.after_read: Callable[[list[int]], object] = lambda ids: None
        self.failures = 0
        self.base_url = ""
        self._lock = threading.Lock()
        self.app = Starlette(
            routes=[
                Route("/api/v1/conversations", self._list, methods=["GET"]),
                Route("/api/v1/index/reports", self._report, methods=["POST"]),
            ]
        )

    def put(self, key: int, question: str, **fields: Any) -> Conversation:
        """Add a conversation, or change one: its version goes up by one."""
        with self._lock:
            version = self.rows[key].version + 1 if key in self.rows else 1
            values = {
                "answer": f"An answer to number {key}.",
                "question_sentiment": Sentiment.NEGATIVE,
                "answer_sentiment": Sentiment.NEUTRAL,
                "created_at": CREATED,
                "updated_at": CREATED,
                "index_status": IndexStatus.PENDING,
                **fields,
            }
            self.rows[key] = Conversation(id=key, version=version, question=question, **values)
            return self.rows[key]

    def remove(self, key: int) -> None:
        """Delete a conversation."""
        with self._lock:
            del self.rows[key]

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[StubConversations]":
        """Serve on a free port of the loopback address, in a thread, until the block is left."""
        stub = cls()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stub.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            # Without a log_config uvicorn leaves the logging of the test's process alone.
            server = uvicorn.Server(uvicorn.Config(stub.app, log_config=None, lifespan="off"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="conversations-stub")
            thread.start()
            try:
                while not server.started and thread.is_alive():
                    time.sleep(0.005)
                yield stub
            finally:
                server.should_exit = True
                # A caller that was killed never reads its answer, and is not waited for.
                server.force_exit = True
                thread.join()

    # Plain functions run in threads of their own, so that `after_read` may block.
    def _list(self, request: Request) -> Response:
        ids = [int(key) for key in request.query_params.getlist("ids")]
        with self._lock:
            self.reads.append(ids)
            if self._fails():
                return Response(status_code=503)
            found = [self.rows[key] for key in sorted(ids) if key in self.rows]
        self.after_read(ids)
        limit = int(request.query_params["limit"])
        return _json(ConversationPage(items=found[:limit], next_cursor=None))

    async def _report(self, request: Request) -> Response:
        report = IndexReport.model_validate_json(await request.body())
        with self._lock:
            if self._fails():
                return Response(status_code=503)
            self.outcomes.extend(report.outcomes)
            versions = [
                ConversationVersion(
                    conversation_id=outcome.conversation_id,
                    version=row.version if (row := self.rows.get(outcome.conversation_id)) else None,
                )
                for outcome in report.outcomes
            ]
        return _json(IndexReportAnswer(versions=versions))

    def _fails(self) -> bool:
        self.failures -= 1
        return self.failures >= 0


def _json(model: ConversationPage | IndexReportAnswer) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
