"""The application: `rag_api.main:create_app()`. `python -m rag_api` serves it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import httpx
from fastapi import FastAPI
from mh_client import AsyncClient, MHError
from mh_common.embeddings import Embedder, EmbedderError, make_embedder
from mh_common.embeddings.redis_vectors import RedisVectors
from mh_common.errors import DomainError, UnavailableError
from mh_common.logging import configure_logging
from mh_common.milvus import make_client as make_milvus_client
from mh_common.models import MAX_ID
from mh_common.settings import load_settings
from mh_common.tracing import start_tracing, tie
from mh_common.web.health import Check, health_routes
from mh_common.web.metrics import NO_TELEMETRY, metrics_routes
from mh_common.web.problems import install_problems
from mh_common.web.request_ids import RequestIdMiddleware
from redis.asyncio import Redis
from starlette.middleware.cors import CORSMiddleware

import rag_api.answers.routes
import rag_api.doors.chat
import rag_api.doors.dify.routes
import rag_api.doors.documents.routes
import rag_api.doors.healthcheck
import rag_api.doors.mcp
import rag_api.doors.openai_api.routes
import rag_api.doors.search.routes
import rag_api.feedback.routes
import rag_api.search.routes
from rag_api.answers.history import HistoryRecorder
from rag_api.answers.language_models import LanguageModels, make_client, quote_writers
from rag_api.answers.prompts import QuestionTooLongError
from rag_api.answers.records import AnswerRecorder, RecordQueue
from rag_api.answers.service import (
    AnswerService,
    GeneratorRefusedError,
    GeneratorTimeoutError,
    GeneratorUnavailableError,
)
from rag_api.dependencies import State, get_checks
from rag_api.feedback.service import FeedbackService
from rag_api.mcp_sessions import LazySessions
from rag_api.search.index import VectorIndex, VectorIndexError
from rag_api.search.repository import MilvusIndex
from rag_api.search.service import QueryRefusedError, SearchService
from rag_api.search.typed_query import QuerySyntaxError
from rag_api.settings import Settings

STATUS_OF: Final[dict[type[DomainError], int]] = {
    QueryRefusedError: 422,
    QuestionTooLongError: 422,
    QuerySyntaxError: 422,
    GeneratorUnavailableError: 502,
    GeneratorRefusedError: 503,
    GeneratorTimeoutError: 504,
}

DESCRIPTION: Final = (
    "Search by meaning over counselling conversations, and suggestions for counselors grounded in the nearest ones. "
    "What it returns helps a professional to think; it is no substitute for clinical judgement."
)

SERVICE: Final = "rag-api"

CONVERSATIONS_RETRIES: Final = 1


def create_app(settings: Settings | None = None, recorder: AnswerRecorder | None = None) -> FastAPI:
    """Return the application; without `settings` they come from the environment. Starts while Milvus is down.

    `recorder` keeps the answers that are given; without one the conversations API does, where the settings say so.
    """
    settings = settings or load_settings(Settings)
    configure_logging(settings.log, SERVICE)
    app = FastAPI(
        title="Search and answers",
        description=DESCRIPTION,
        version="1.0.0",
        openapi_url="/openapi.json",
        docs_url="/docs",
        redoc_url=None,
        lifespan=_lifespan(settings, recorder),
        telemetry=NO_TELEMETRY,
    )
    if origins := settings.doors.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After", "X-Request-ID"],
            max_age=600,
        )
    app.add_middleware(RequestIdMiddleware)
    install_problems(app, STATUS_OF)
    app.include_router(health_routes(get_checks))
    app.include_router(metrics_routes())
    app.include_router(rag_api.search.routes.router)
    app.include_router(rag_api.answers.routes.router)
    app.include_router(rag_api.feedback.routes.router)
    app.include_router(rag_api.doors.search.routes.router)
    app.include_router(rag_api.doors.documents.routes.router)
    app.include_router(rag_api.doors.healthcheck.router)
    app.include_router(rag_api.doors.dify.routes.router)
    app.include_router(rag_api.doors.openai_api.routes.router)
    app.include_router(rag_api.doors.chat.router)
    app.include_router(rag_api.doors.mcp.router)
    return app


def _lifespan(
    settings: Settings, recorder: AnswerRecorder | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            yield await _start(settings, recorder, stack)

    return lifespan


async def _start(settings: Settings, recorder: AnswerRecorder | None, stack: AsyncExitStack) -> State:
    """Make everything that lives as long as the application, each with its clean-up on the stack."""
    stack.push_async_callback(asyncio.to_thread, start_tracing(settings.otel, SERVICE))
    embedder = make_embedder(settings.embedding, settings.openai, store=_store(settings, stack))
    stack.push_async_callback(embedder.close)
    milvus = make_milvus_client(settings.milvus.uri, settings.milvus.token, settings.milvus.timeout)
    stack.push_async_callback(milvus.close)
    index = MilvusIndex(
        milvus,
        model=embedder.model,
        dimension=embedder.dimension,
        consistency=settings.milvus.consistency,
        timeout=settings.milvus.timeout,
    )
    http = await stack.enter_async_context(httpx.AsyncClient(event_hooks={"request": [tie]}))
    conversations = await stack.enter_async_context(
        AsyncClient(
            settings.conversations.url,
            timeout=settings.conversations.timeout,
            max_retries=CONVERSATIONS_RETRIES,
            http_client=http,
        )
    )
    search = SearchService(embedder, index, conversations, settings.search)
    if recorder is None and settings.history.enabled:
        recorder = HistoryRecorder(conversations)
    records = RecordQueue(recorder) if recorder else None
    if records:
        await stack.enter_async_context(records.running())
    client = make_client(settings)
    stack.push_async_callback(client.close)
    language_models = LanguageModels(settings, client)
    configured = language_models.configured
    writers = language_models.writers(configured) if configured else quote_writers(embedder)
    mcp = LazySessions(rag_api.doors.mcp.load_sessions)
    await stack.enter_async_context(mcp.running())
    return State(
        search=search,
        answers=AnswerService(search, writers, settings.answers, records),
        language_models=language_models,
        feedback=FeedbackService(conversations),
        conversations=conversations,
        heartbeat=settings.answers.heartbeat,
        doors=settings.doors,
        mcp=mcp,
        checks=_checks(index, conversations, embedder),
    )


def _store(settings: Settings, stack: AsyncExitStack) -> RedisVectors | None:
    if settings.search.redis_url is None:
        return None
    client = Redis.from_url(settings.search.redis_url)
    stack.push_async_callback(client.aclose)
    return RedisVectors(client, settings.embedding.cache_ttl)


def _checks(index: VectorIndex, conversations: AsyncClient, embedder: Embedder) -> Mapping[str, Check]:
    """Readiness by dependency. The language model is not among them: search is of use without it, and asking costs."""
    return {
        "milvus": partial(_check_index, index),
        "conversations-api": partial(_check_conversations, conversations),
        "embedder": partial(_check_embedder, embedder),
    }


async def _check_index(index: VectorIndex) -> None:
    try:
        await index.check()
    except VectorIndexError as error:
        raise UnavailableError(str(error), error.retry_after) from error


async def _check_conversations(conversations: AsyncClient) -> None:
    try:
        # The last id there could be: proves that the API and its database answer, and moves no text.
        await conversations.conversations.list(ids=[MAX_ID], limit=1)
    except MHError as error:
        raise UnavailableError("The conversations API cannot be used now.") from error


async def _check_embedder(embedder: Embedder) -> None:
    try:
        # Proves the key, the address and the dimension once; from then on the cache answers, and nothing is paid.
        await embedder.embed(["ready"])
    except EmbedderError as error:
        raise UnavailableError(f"The embedding model cannot be used now: {error}.") from error
