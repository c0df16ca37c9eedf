"""An HTTP server with the routes of the conversations API that the indexer worker and rag-api call, for their tests.

with StubConversations.running() as stub:
    stub.put(1, "How do I sleep better?")
    client = AsyncClient(stub.base_url)
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mh_common.auth.principals import LOCAL
from mh_common.auth.roles import Scope
from mh_common.models import (
    INTERNAL_HISTORY,
    INTERNAL_INDEX,
    USER_ID_HEADER,
    Conversation,
    ConversationPage,
    Feedback,
    FeedbackCreate,
    HistoryEntry,
    HistoryEntryCreate,
    IndexOutcome,
    IndexReport,
    IndexReportAnswer,
    IndexStatus,
    Me,
    Sentiment,
    UnitScreening,
    UnitVersion,
)
from mh_common.units import CONVERSATION, UnitKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mh_devtools.stubs.server import json_response, problem_response, serving

CREATED = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
MAX_PAGE = 200
RETRY_AFTER = 7
"""Seconds in Retry-After, sent with each of `statuses`."""


class StubConversations:
    """The server's state. All attributes can be read and set from any thread while it is running.

    Attributes:
        rows: the conversations by id; `put` and `remove` change them as writers do, one version at a time.
        reads: the ids of every read in order, including failed ones.
        units: the current versions of units of kinds other than conversations.
        outcomes: every reported outcome, in order; `screenings` lists what screening found.
        after_read: called with the ids after the rows of a read are copied and before they are returned, in a thread of
            its own, so it may block: the reader does not see its changes.
        answers: the user of each answer in the query history (None: no user), by answer id.
        history: every stored answer, in order.
        feedback: the feedback by answer id.
        statuses: status codes with which the next requests fail, one each.
        callers: who may call, by credential. None: there are no accounts (AUTH_MODE=open), and no credential counts.
        received: path and credential (None: none) of every request but those for readiness, in order.
        base_url: set by `running`.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Conversation] = {}
        self.units: dict[UnitKey, int] = {}
        self.reads: list[list[int]] = []
        self.outcomes: list[IndexOutcome] = []
        self.screenings: list[UnitScreening] = []
        self.after_read: Callable[[list[int]], object] = lambda ids: None
        self.answers: dict[UUID, str | None] = {}
        self.history: list[HistoryEntryCreate] = []
        self.feedback: dict[UUID, Feedback] = {}
        self.statuses: list[int] = []
        self.callers: Mapping[str, Me] | None = None
        self.received: list[tuple[str, str | None]] = []
        self.base_url = ""
        self._lock = threading.Lock()
        self.app = Starlette(
            routes=[
                Route("/readyz", self._ready),
                Route("/api/v1/me", self._me),
                Route("/api/v1/conversations", self._list, methods=["GET"]),
                Route(f"{INTERNAL_INDEX}/reports", self._report, methods=["POST"]),
                Route(INTERNAL_HISTORY, self._add_answer, methods=["POST"]),
                Route(f"{INTERNAL_HISTORY}/{{answer_id:uuid}}/feedback", self._rate, methods=["PUT"]),
            ]
        )

    def put(self, key: int, question: str, **fields: Any) -> Conversation:
        """Add a conversation, or change one and increment its version."""
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

    def version_of(self, key: UnitKey) -> int | None:
        """Return the current version of a unit; None if it does not exist."""
        if key.kind != CONVERSATION:
            return self.units.get(key)
        row = self.rows.get(key.source_id)
        return None if row is None else row.version

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[StubConversations]":
        """Serve on a free loopback port, in a thread, during the block."""
        stub = cls()
        with serving(stub.app) as stub.base_url:
            yield stub

    def asked_for(self, path: str) -> list[str | None]:
        """Return the credentials of the requests of this path, in order."""
        return [credential for asked, credential in self.received if asked == path]

    def _refusal(self, request: Request, scope: Scope | None = None) -> Response | None:
        """Note who called, and return the response to a caller who may not."""
        _, _, credential = request.headers.get("Authorization", "").partition("Bearer ")
        self.received.append((request.url.path, credential or None))
        if self.callers is None:
            return None
        caller = self.callers.get(credential)
        if caller is None:
            return problem_response(401)
        if scope is not None and scope not in caller.scopes:
            return problem_response(403, missing_scopes=[scope])
        return None

    def _user(self, request: Request, named: str | None) -> str | None:
        """Return whose history is meant, if the request names this person: theirs, or the caller's own."""
        caller = (self.callers or {}).get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if caller is None or (named is not None and Scope.ON_BEHALF_OF in caller.scopes):
            return named
        return str(caller.id)

    def _ready(self, _: Request) -> Response:
        return self._fail() if self.statuses else Response()

    async def _me(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if self.statuses:
            return self._fail()
        if refusal:
            return refusal
        if self.callers is None:
            everything = sorted(LOCAL.scopes)
            return json_response(
                Me(id=None, username=LOCAL.username, kind=LOCAL.kind, role=None, scopes=everything, credential=None)
            )
        return json_response(self.callers[request.headers["Authorization"].removeprefix("Bearer ")])

    # Synchronous handlers run in threads of their own, so that `after_read` may block.
    def _list(self, request: Request) -> Response:
        if refusal := self._refusal(request, Scope.CONVERSATIONS_READ):
            return refusal
        ids = [int(key) for key in request.query_params.getlist("ids")]
        with self._lock:
            self.reads.append(ids)
            if self.statuses:
                return self._fail()
            found = [self.rows[key] for key in sorted(set(ids)) if key in self.rows]
        self.after_read(ids)
        limit = int(request.query_params["limit"])
        if not 1 <= limit <= MAX_PAGE:
            return problem_response(400)
        return json_response(ConversationPage(items=found[:limit], next_cursor=None))

    async def _report(self, request: Request) -> Response:
        if refusal := self._refusal(request, Scope.INTERNAL):
            return refusal
        report = IndexReport.model_validate_json(await request.body())
        with self._lock:
            if self.statuses:
                return self._fail()
            self.outcomes.extend(report.outcomes)
            self.screenings.extend(report.screenings)
            versions = [
                UnitVersion(**outcome.key._asdict(), version=self.version_of(outcome.key))
                for outcome in report.outcomes
            ]
        return json_response(IndexReportAnswer(versions=versions))

    async def _add_answer(self, request: Request) -> Response:
        if refusal := self._refusal(request, Scope.ANSWERS):
            return refusal
        entry = HistoryEntryCreate.model_validate_json(await request.body())
        entry = entry.model_copy(update={"user_id": self._user(request, entry.user_id)})
        with self._lock:
            self.history.append(entry)
            self.answers[entry.answer_id] = entry.user_id
        return json_response(HistoryEntry(**entry.model_dump(), created_at=CREATED), 201)

    async def _rate(self, request: Request) -> Response:
        if self.statuses:
            return self._fail()
        if refusal := self._refusal(request, Scope.ANSWERS):
            return refusal
        answer_id = request.path_params["answer_id"]
        user = self._user(request, request.headers.get(USER_ID_HEADER))
        if answer_id not in self.answers or self.answers[answer_id] not in (None, user):
            return problem_response(404)
        given = FeedbackCreate.model_validate_json(await request.body())
        self.feedback[answer_id] = Feedback(**given.model_dump(), at=CREATED)
        return json_response(self.feedback[answer_id])

    def _fail(self) -> Response:
        return problem_response(self.statuses.pop(0), headers={"Retry-After": str(RETRY_AFTER)})
