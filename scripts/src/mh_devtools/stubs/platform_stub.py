"""An HTTP server with the routes of the platform that the `mh` command uses, for tests; it can inject faults.

with StubPlatform.running() as stub:
    stub.break_after = 3
    client = AsyncClient(stub.base_url)
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, Final, Self
from uuid import UUID

from conversations_api.conversations.merging import merge
from mh_common.fields import ReviewState
from mh_common.identifiers import IdentifierKind
from mh_common.models import (
    ANSWER_EVENTS,
    MAX_BULK_ROWS,
    About,
    Answer,
    AnswerDone,
    AnswerEvent,
    AnswerLatency,
    AnswerRisk,
    AnswerSources,
    AnswerToken,
    AnswerUsage,
    BulkCreate,
    BulkCreated,
    CheckedSentence,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationStats,
    Explanation,
    FailureCount,
    Feedback,
    FieldProblem,
    FoundAdvice,
    Helpline,
    HistoryEntry,
    IdentifierSpan,
    IdentifiersPreview,
    IdentifiersPreviewRequest,
    ImportUndo,
    ImportUndone,
    IndexFailurePage,
    IndexQueued,
    IndexRun,
    IndexState,
    IndexStatus,
    IndexSummary,
    ModelInfo,
    OnDuplicate,
    PartScore,
    PhiMode,
    QueryOrigin,
    Risk,
    RiskCategory,
    RiskLevel,
    RiskNotice,
    RiskSpan,
    SearchHit,
    SearchResult,
    Sentiment,
    SentTexts,
    Source,
    Usage,
)
from mh_common.text import content_hash
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mh_devtools.stubs.server import json_response, problem_response, serving

ACUTE: Final = AnswerRisk(
    risk=Risk(
        level=RiskLevel.ACUTE,
        categories=[RiskCategory.SUICIDE],
        spans=[RiskSpan(start=12, end=33, category=RiskCategory.SUICIDE, level=RiskLevel.ACUTE)],
    ),
    risk_notice=RiskNotice(
        summary="Acute risk noticed: suicide (“take them all tonight”). Act first.",
        questions=["Plan: have they thought about how?", "Means: what is within reach?"],
        helplines=[
            Helpline(
                country="US",
                name="988 Suicide & Crisis Lifeline",
                categories=[RiskCategory.SUICIDE],
                call="988",
                text="988",
                url="https://988lifeline.org",
                hours="24/7",
                source="https://example.org/988",
                checked_on=date(2026, 3, 1),
                is_checked=True,
            ),
            Helpline(
                country="CL",
                name="*4141",
                categories=[RiskCategory.SUICIDE],
                call="*4141",
                note="From mobile phones.",
                source="https://example.org/4141",
                checked_on=date(2025, 3, 1),
                is_checked=False,
            ),
        ],
        helplines_note="Numbers marked as unchecked must be verified first.",
    ),
)
"""What a platform says of "He wants to take them all tonight"."""


def _split(text: str) -> Iterator[bytes]:
    """Split a text as a network may: anywhere, even in the middle of a character."""
    data = text.encode()
    for start in range(0, len(data), 99):
        yield data[start : start + 99]


def _model(name: str, recipient: str, *, remote: bool = False) -> ModelInfo:
    return ModelInfo(
        name=name,
        recipient=recipient,
        remote=remote,
        phi_mode=PhiMode.PSEUDONYMISE if remote else PhiMode.OFF,
    )


class _CutResponse(Response):
    """Starts a response and never completes it, so that the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"100")]})


class StubPlatform:
    """The server's state. All attributes can be read and set from any thread while it is running.

    Attributes:
        rows: the stored conversations in the order of arrival. Their ids count from 1, and change when one is deleted.
        tags: the tag of the import that added each of them.
        edited: the ids of those that count as edited.
        updated: the ids of those that an import updated, by its tag.
        listed: the conversations that a list by ids searches.
        bulks: the number of rows of each bulk request, in order.
        at_once: the maximum number of bulk requests processed concurrently.
        break_after: after this many stored bulk requests, break the connection of the last one and all later ones.
        hold: keep bulk requests waiting while this is true.
        refuse: returns the reason why a row is rejected, or None.
        pending: the pending counts, one for each request for statistics; 0 when used up.
        failed: the failed count in the statistics.
        queries: the bodies of search and answer requests, and the parameters of exports.
        export_pieces: the pieces of an export; None breaks the connection.
        failures: the conversations whose indexing failed.
        runs: the states of the index run for successive requests, the first for the request that adds it; the last one
            is repeated. None breaks the connection.
        users: the X-User-Id of each question.
        tokens: the parts of the answer's text.
        uncited: the sentences of the answer that cite no source.
        model: what wrote the answer.
        checked: its sentences, held against their sources.
        languages: those of the question and of the answer.
        noticed: the risk noticed in any question; None as by platforms that screen nothing.
        sent: what was sent for an answer, for those who ask to see it; None: not told, as by an older platform.
        about: what answers on the platform.
        stream_end: replaces the rest of a streamed answer after its first two tokens.
        risk_pauses: pause a streamed answer after its risk while this is true.
        stream_pauses: pause a streamed answer after its first two tokens while this is true.
        stream_breaks: break the connection at the end of a streamed answer.
        feedback: the bodies of all requests with feedback.
        stored_after: the first requests with feedback that find no answer, as if it were not stored yet.
        answered: the history, by answer; None means that it is disabled.
        done: body and response of every stored bulk request, by its key.
        base_url: set by `running`.
    """

    def __init__(self) -> None:
        self.rows: list[ConversationCreate] = []
        self.tags: list[str | None] = []
        self.edited: set[int] = set()
        self.updated: dict[str, set[int]] = {}
        self.listed: list[Conversation] = []
        self.bulks: list[int] = []
        self.at_once = 0
        self.break_after: int | None = None
        self.hold = False
        self.refuse: Callable[[ConversationCreate], str | None] = lambda row: None
        self.pending: list[int] = []
        self.failed = 0
        self.queries: list[Mapping[str, Any]] = []
        self.export_pieces: list[bytes | None] = [b"id,question\r\n", b"1,q\r\n"]
        self.failures: list[IndexState] = []
        self.runs: list[IndexRun | None] = []
        self.users: list[str | None] = []
        self.tokens = ["At the", " same hour", " [1]."]
        self.uncited: list[str] = []
        self.model = "extractive"
        self.checked: list[CheckedSentence] = []
        self.languages: tuple[str | None, str | None] = (None, None)
        self.noticed: AnswerRisk | None = AnswerRisk(risk=Risk())
        self.feedback: list[Mapping[str, Any]] = []
        self.stored_after = 0
        self.sent: list[SentTexts] | None = []
        self.about = About(
            version="1",
            answers="quotes",
            language_model=None,
            embedding=_model("all-MiniLM-L6-v2", "this machine"),
            safety_screening=True,
        )
        self.stream_end: str | None = None
        self.risk_pauses = False
        self.stream_pauses = False
        self.stream_breaks = False
        self.answered: dict[UUID, HistoryEntry] | None = {}
        self.base_url = ""
        self.done: dict[str, tuple[bytes, BulkCreated]] = {}
        self._in_progress = 0
        self.app = Starlette(
            routes=[
                Route("/api/v1/conversations", self._list),
                Route("/api/v1/conversations/bulk", self._bulk, methods=["POST"]),
                Route("/api/v1/conversations/undo-import", self._undo, methods=["POST"]),
                Route("/api/v1/conversations/stats", self._stats),
                Route("/api/v1/conversations/export", self._export),
                Route("/api/v1/index/summary", self._summary),
                Route("/api/v1/index/failures", self._failures),
                Route("/api/v1/index/retry", self._retry, methods=["POST"]),
                Route("/api/v1/index/sync", self._run, methods=["POST"]),
                Route("/api/v1/index/rebuild", self._run, methods=["POST"]),
                Route("/api/v1/index/runs/{run_id}", self._run),
                Route("/api/v1/search", self._search, methods=["POST"]),
                Route("/api/v1/conversations/{id:int}/similar", self._similar),
                Route("/api/v1/answers", self._answer, methods=["POST"]),
                Route("/api/v1/answers/{id:uuid}/feedback", self._rate, methods=["POST"]),
                Route("/api/v1/history/{id:uuid}", self._entry),
                Route("/api/v1/about", self._about),
                Route("/api/v1/identifiers/preview", self._preview, methods=["POST"]),
            ]
        )

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """Serve on a free loopback port, in a thread, during the block."""
        stub = cls()
        with serving(stub.app) as stub.base_url:
            try:
                yield stub
            finally:
                stub.hold = stub.risk_pauses = stub.stream_pauses = False

    async def _bulk(self, request: Request) -> Response:
        body = await request.body()
        bulk = BulkCreate.model_validate_json(body)
        if bulk.dry_run:
            faults = self._faults(bulk)
            return problem_response(422, faults) if faults else json_response(self._merge(bulk, store=False), 200)
        self.bulks.append(len(bulk.items))
        self._in_progress += 1
        self.at_once = max(self.at_once, self._in_progress)
        try:
            while self.hold:  # noqa: ASYNC110 - it is set from another thread
                await asyncio.sleep(0.005)
            return self._store(request.headers["Idempotency-Key"], body, bulk)
        finally:
            self._in_progress -= 1

    def _store(self, key: str, body: bytes, bulk: BulkCreate) -> Response:
        if self.break_after is not None and len(self.done) >= self.break_after:
            return _CutResponse()
        if faults := self._faults(bulk):
            return problem_response(422, faults)
        if key not in self.done:
            self.done[key] = (body, self._merge(bulk, store=True))
        stored, response = self.done[key]
        if stored != body:
            return problem_response(422)
        if self.break_after is not None and len(self.done) >= self.break_after:
            return _CutResponse()
        return json_response(response, 201)

    def _faults(self, bulk: BulkCreate) -> list[FieldProblem]:
        return [
            FieldProblem(field=f"items.{row}.question", message=reason, row=row)
            for row, item in enumerate(bulk.items)
            if (reason := self.refuse(item))
        ]

    def _merge(self, bulk: BulkCreate, *, store: bool) -> BulkCreated:
        # A test may have emptied the list.
        del self.tags[len(self.rows) :]
        known = {}
        if bulk.on_duplicate is not OnDuplicate.ADD:
            for place in reversed(range(len(self.rows))):
                row = self.rows[place]
                known[content_hash(row.question, row.answer)] = SimpleNamespace(id=place + 1, **dict(row))
            hashes = [content_hash(item.question, item.answer) for item in bulk.items]
        else:
            hashes = [bytes([number // 256, number % 256]) for number in range(len(bulk.items))]
        work = merge(bulk.items, hashes, known, update=bulk.on_duplicate is OnDuplicate.UPDATE)
        if not store:
            return BulkCreated(ids=[], outcomes=work.outcomes)
        new_ids = range(len(self.rows) + 1, len(self.rows) + 1 + len(work.added))
        for key, values in work.changed.items():
            self.rows[key - 1] = self.rows[key - 1].model_copy(update=values)
            if bulk.import_tag is not None:
                self.updated.setdefault(bulk.import_tag, set()).add(key)
        self.rows.extend(work.added)
        self.tags.extend([bulk.import_tag] * len(work.added))
        return BulkCreated(ids=work.ids(new_ids), outcomes=work.outcomes)

    async def _undo(self, request: Request) -> Response:
        del self.tags[len(self.rows) :]
        undo = ImportUndo.model_validate_json(await request.body())
        of_import = [place + 1 for place, tag in enumerate(self.tags) if tag == undo.import_tag]
        kept = [] if undo.edited else [key for key in of_import if key in self.edited]
        deletable = [key for key in of_import if key not in kept]
        updated = sorted(self.updated.get(undo.import_tag, set()) - set(of_import))
        if not of_import and not updated:
            return problem_response(404)
        deleted = [] if undo.dry_run else deletable[:MAX_BULK_ROWS]
        for key in reversed(deleted):
            del self.rows[key - 1], self.tags[key - 1]
        counts = {"deleted": len(deleted), "remaining": len(deletable) - len(deleted), "edited": len(kept)}
        return json_response(ImportUndone(**counts, edited_ids=kept, updated=len(updated), updated_ids=updated))

    async def _list(self, request: Request) -> Response:
        ids = request.query_params.getlist("ids")
        found = [row for row in self.listed if str(row.id) in ids]
        return json_response(ConversationPage(items=found, next_cursor=None))

    async def _stats(self, request: Request) -> Response:
        pending = self.pending.pop(0) if self.pending else 0
        total = len(self.rows)
        counts = dict.fromkeys(Sentiment, 0)
        return json_response(
            ConversationStats(
                total=total,
                question_sentiment=counts,
                answer_sentiment=counts,
                pairs=[],
                per_month=[],
                index_status={
                    IndexStatus.PENDING: pending,
                    IndexStatus.INDEXED: total - pending - self.failed,
                    IndexStatus.FAILED: self.failed,
                },
                risk_level=dict.fromkeys(RiskLevel, 0),
                unsafe_advice=dict.fromkeys(FoundAdvice, 0),
                review_state={**dict.fromkeys(ReviewState, 0), ReviewState.UNREVIEWED: total},
            )
        )

    async def _summary(self, request: Request) -> Response:
        reasons = Counter(state.reason or "" for state in self.failures)
        return json_response(
            IndexSummary(
                total=len(self.rows),
                pending=0,
                indexed=len(self.rows) - len(self.failures),
                failed=len(self.failures),
                oldest_pending_at=None,
                lag_seconds=0.0,
                outbox_depth=0,
                oldest_outbox_at=None,
                failures=[FailureCount(reason=reason, count=count) for reason, count in reasons.most_common()],
            )
        )

    async def _failures(self, request: Request) -> Response:
        start = int(request.query_params.get("cursor", "0"))
        page = [state for state in self.failures if state.conversation_id > start][:2]
        more = page and page[-1] != self.failures[-1]
        return json_response(IndexFailurePage(items=page, next_cursor=str(page[-1].conversation_id) if more else None))

    async def _retry(self, request: Request) -> Response:
        queued, self.failures = len(self.failures), []
        return json_response(IndexQueued(queued=queued), 202)

    async def _run(self, request: Request) -> Response:
        if body := await request.body():
            self.queries.append(json.loads(body))
        run = self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]
        return _CutResponse() if run is None else json_response(run, 202)

    async def _export(self, request: Request) -> Response:
        self.queries.append(dict(request.query_params))

        async def pieces() -> Any:
            for piece in self.export_pieces:
                if piece is None:
                    raise ConnectionResetError
                yield piece

        return StreamingResponse(pieces(), media_type="text/csv")

    async def _search(self, request: Request) -> Response:
        self.queries.append(await request.json())
        hits = [
            SearchHit(
                id=7,
                version=1,
                created_at=datetime(2026, 3, 1, tzinfo=UTC),
                updated_at=datetime(2026, 3, 1, tzinfo=UTC),
                question="How do I [bold]sleep[/bold]?\nReally.",
                answer="At the same \x1b[31mhour.",
                question_sentiment=Sentiment.NEGATIVE,
                answer_sentiment=Sentiment.NEUTRAL,
                risk_level=RiskLevel.ELEVATED,
                unsafe_advice=FoundAdvice.MEDICATION,
                score=0.75,
                relevance=0.75,
            )
        ]
        query = self.queries[-1]
        if query.get("explain"):
            parts = [
                PartScore(part="text", rank=3, score=0.61),
                PartScore(part="keywords", rank=None, score=0.0),
                PartScore(part="fusion", rank=1, score=0.3),
            ]
            hits[0].explanation = Explanation(parts=parts, evidence=0.46)
        hits = hits if query["query"] != "nothing" else []
        threshold = 0.9 if query["query"] == "off topic" else 0.1
        return self._screened(SearchResult(hits=hits, total_hits=len(hits), relevance_threshold=threshold))

    async def _similar(self, request: Request) -> Response:
        self.queries.append({"id": request.path_params["id"], **request.query_params})
        return json_response(SearchResult(hits=[], total_hits=0))

    async def _answer(self, request: Request) -> Response:
        self.queries.append(await request.json())
        self.users.append(request.headers.get("X-User-Id"))
        if self.queries[-1]["question"] == "too much":
            return problem_response(503, **(self.noticed.model_dump(mode="json") if self.noticed else {}))
        if request.headers["Accept"] != "text/event-stream":
            parts = {name: value for one in self._answer_parts() for name, value in one.model_dump().items()}
            return self._screened(Answer(answer="".join(self.tokens), **parts))
        return StreamingResponse(self._answer_events(), media_type="text/event-stream")

    async def _rate(self, request: Request) -> Response:
        self.feedback.append(await request.json())
        self.users.append(request.headers.get("X-User-Id"))
        if len(self.feedback) <= self.stored_after:
            return problem_response(404)
        return json_response(Feedback(**self.feedback[-1], at=datetime(2026, 3, 1, tzinfo=UTC)))

    async def _entry(self, request: Request) -> Response:
        self.users.append(request.headers.get("X-User-Id"))
        if self.answered is None:
            return problem_response(409)
        found = self.answered.get(request.path_params["id"])
        return json_response(found) if found else problem_response(404)

    async def _about(self, request: Request) -> Response:
        return json_response(self.about)

    async def _preview(self, request: Request) -> Response:
        text = IdentifiersPreviewRequest.model_validate_json(await request.body()).text
        start = text.find("Okafor")
        spans = [IdentifierSpan(start=start, end=start + 6, kind=IdentifierKind.PERSON)] if start >= 0 else []
        hidden = text.replace("Okafor", "[PERSON_1]")
        return json_response(IdentifiersPreview(text=hidden, identifiers=spans, phi_mode=PhiMode.PSEUDONYMISE))

    async def _answer_events(self) -> AsyncIterator[bytes]:
        """Yield the answer as events, split anywhere."""
        sources, usage, done = self._answer_parts()
        tokens = [AnswerToken(text=token) for token in self.tokens]
        risk = [self.noticed] if self.noticed else []
        events: list[AnswerEvent] = [*risk, sources, *tokens, usage, done]
        names = {kind: name for name, kind in ANSWER_EVENTS.items()}
        texts = [f"event: {names[type(event)]}\ndata: {event.model_dump_json()}\n\n" for event in events]
        first, begun, rest = texts[: len(risk)], texts[len(risk) : len(risk) + 3], texts[len(risk) + 3 :]
        for piece in _split(": ping\n\n" + "".join(first)):
            yield piece
        while self.risk_pauses:  # noqa: ASYNC110 - it is set from another thread
            await asyncio.sleep(0.005)
        for piece in _split("".join(begun)):
            yield piece
        while self.stream_pauses:  # noqa: ASYNC110 - it is set from another thread
            await asyncio.sleep(0.005)
        for piece in _split("".join(rest) if self.stream_end is None else self.stream_end):
            yield piece
        if self.stream_breaks:
            raise ConnectionResetError

    def _screened(self, result: AnswerRisk) -> Response:
        """Return a response with the risk noticed; where nothing is screened, without these members."""
        if self.noticed:
            return json_response(result.model_copy(update=dict(self.noticed)))
        return Response(result.model_dump_json(exclude=set(AnswerRisk.model_fields)), media_type="application/json")

    def _answer_parts(self) -> tuple[AnswerSources, AnswerUsage, AnswerDone]:
        sources = AnswerSources(
            answer_id=UUID(int=7),
            sources=[Source(id=7, question="How do I sleep?", answer="At the same hour.", score=0.75, relevance=0.75)],
            standalone_query="How do I sleep?",
            query_origin=QueryOrigin.QUESTION,
        )
        latency = AnswerLatency(condense=0, search=1, generate=1, total=2)
        sent = self.sent if self.queries[-1].get("show_sent") else None
        done = AnswerDone(
            model=self.model,
            grounded=not self.uncited,
            uncited_sentences=self.uncited,
            checked_sentences=self.checked,
            question_language=self.languages[0],
            answer_language=self.languages[1],
            sent=sent,
        )
        return sources, AnswerUsage(usage=Usage(), latency_ms=latency), done
