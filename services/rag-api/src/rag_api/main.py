"""The application: `rag_api.main:create_app()`. `python -m rag_api` serves it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

import httpx
import structlog
from fastapi import FastAPI
from mh_client import AsyncClient, MHError
from mh_common.egress import EgressNotAllowedError
from mh_common.embeddings import Embedder, EmbedderError, EmbeddingPlan, make_embedder, plan_embedder
from mh_common.embeddings.redis_vectors import RedisVectors
from mh_common.embeddings.settings import EmbeddingSettings
from mh_common.errors import UnavailableError
from mh_common.identifiers import Recognizer, make_recognizer
from mh_common.logging import configure_logging
from mh_common.milvus import make_client as make_milvus_client
from mh_common.models import PhiMode
from mh_common.outgoing import RecognizerOnDemand
from mh_common.rate_limits import RateLimits, SharedCounters, redis_for_limits
from mh_common.risk import LexiconScreener
from mh_common.risk_classifier import make_screener
from mh_common.settings import load_settings
from mh_common.tracing import inject_trace_headers
from mh_common.web.access import ACCESS, Access
from mh_common.web.application import make_application
from mh_common.web.health import Check
from redis.asyncio import Redis
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from rag_api.about.routes import router as about
from rag_api.about.service import describe
from rag_api.access import RemoteAuthenticator, forward_credential, refuse_too_many
from rag_api.answers.background import BackgroundWriter
from rag_api.answers.finding import SourceFinder
from rag_api.answers.finishing import Finisher
from rag_api.answers.language_models import LanguageModels
from rag_api.answers.records import AnswerRecorder, HistoryRecorder, RecordQueue
from rag_api.answers.routes import router as answers
from rag_api.answers.service import AnswerService
from rag_api.answers.similarity_judge import SimilarityJudge
from rag_api.answers.support import SupportCheck
from rag_api.api_calls import check_readiness
from rag_api.dependencies import STATE, AppState, state_of
from rag_api.feedback.routes import router as feedback
from rag_api.feedback.service import FeedbackService
from rag_api.identifiers.routes import router as identifiers
from rag_api.identifiers.service import IdentifierService
from rag_api.integrations.chat.routes import router as chat
from rag_api.integrations.dify.routes import router as dify
from rag_api.integrations.documents.routes import router as documents
from rag_api.integrations.mcp.metadata import router as mcp_metadata
from rag_api.integrations.mcp.routes import router as mcp
from rag_api.integrations.openai.app import mount_openai
from rag_api.integrations.search.healthcheck import router as healthcheck
from rag_api.integrations.search.routes import router as search_for_tools
from rag_api.passages.finder import PassageFinder
from rag_api.problems import STATUS_OF
from rag_api.safety.helplines import helpline_table
from rag_api.safety.notice import Notices
from rag_api.safety.screening import ScreeningService
from rag_api.search.approval import ApprovalRule
from rag_api.search.index import VectorIndex, VectorIndexError
from rag_api.search.milvus.index import MilvusIndex
from rag_api.search.routes import router as search
from rag_api.search.service import SearchService
from rag_api.settings import IntegrationSettings, SafetySettings, Settings

log = structlog.get_logger(__name__)

SERVICE: Final = "rag-api"

EGRESS_NOT_ALLOWED: Final = "egress_not_allowed"
"""Logged at start if there is a key for a server that may not get texts; `hint` says what is used, and what to set."""

DESCRIPTION: Final = (
    "Semantic search over counselling conversations, and suggestions for counselors grounded in the most similar ones. "
    "The results support professionals; they are no substitute for clinical judgement."
)

CONVERSATIONS_RETRIES: Final = 1

SCREENING_OFF: Final = "risk_screening_off"
HELPLINES_UNCHECKED: Final = "helplines_unchecked"
"""Logged at start, with how many numbers of each country shown must be checked."""


def create_app(settings: Settings | None = None, recorder: AnswerRecorder | None = None) -> FastAPI:
    """Return the application. It starts even while Milvus is down.

    Without `settings`, read them from the environment and configure logging.
    `recorder` stores complete answers; without one the conversations API does, if the settings enable the history.
    """
    if settings is None:
        settings = load_settings(Settings)
        configure_logging(settings.log, SERVICE)
    app = make_application(
        partial(_start, settings, recorder),
        service=SERVICE,
        otel=settings.otel,
        title="Search and answers",
        description=DESCRIPTION,
        checks=lambda request: state_of(request).checks,
        statuses=STATUS_OF,
        startup_errors=(EmbedderError, EgressNotAllowedError),
        middleware=_cors_middleware(settings.doors),
    )
    for router in (search, answers, feedback, identifiers, about, search_for_tools, documents, healthcheck, dify):
        app.include_router(router)
    mount_openai(app)
    for router in (chat, mcp, mcp_metadata):
        app.include_router(router)
    return app


def _cors_middleware(settings: IntegrationSettings) -> list[Middleware]:
    """Return the CORS middleware that lets web pages of the configured origins call the API; none without origins."""
    if not settings.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=sorted(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After", "WWW-Authenticate", "X-Request-ID"],
            max_age=600,
        )
    ]


async def _start(settings: Settings, recorder: AnswerRecorder | None, stack: AsyncExitStack) -> Mapping[str, Any]:
    """Create everything that lives as long as the application, and register its clean-up on the stack."""
    plan = plan_embedder(settings.embedding, settings.openai, settings.egress, settings.phi)
    recognizer = _recognizer(settings, plan)
    embedder = make_embedder(
        settings.embedding,
        settings.openai,
        settings.egress,
        settings.phi,
        store=_query_vector_store(settings, stack),
        recognizer=recognizer,
    )
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
    conversations, access = await _conversations(settings, stack)
    screening = _screening(settings.safety, settings.embedding, stack)
    search = SearchService(embedder, index, conversations, screening, settings.search)
    if recorder is None and settings.history.enabled:
        recorder = HistoryRecorder(conversations)
    records = RecordQueue(recorder) if recorder else None
    if records:
        await stack.enter_async_context(records.running())
    models = LanguageModels(settings, (plan.recipient, embedder.model), recognizer)
    stack.push_async_callback(models.close)
    for hint in filter(None, (plan.note, _unused_key(settings))):
        log.warning(EGRESS_NOT_ALLOWED, hint=hint)
    rule = ApprovalRule(settings.answers.approved_only, settings.risk_needs_approval)
    state = AppState(
        search=search,
        sources=rule,
        answers=AnswerService(
            SourceFinder(search, PassageFinder(embedder, screening), rule, settings.answers),
            models.default_backends,
            screening,
            Finisher(screening, SupportCheck(SimilarityJudge(embedder)), records),
            settings.answers,
        ),
        language_models=models,
        background=BackgroundWriter(models),
        feedback=FeedbackService(conversations),
        screening=screening,
        identifiers=IdentifierService(recognizer, plan.phi_mode if models.configured is None else models.phi_mode),
        about=describe(SERVICE, models, embedder, plan, settings.safety.screening == "on"),
        conversations=conversations,
        heartbeat=settings.answers.heartbeat,
        integrations=settings.doors,
        checks=_readiness_checks(index, conversations, embedder),
    )
    return {STATE: state, ACCESS: access}


async def _conversations(settings: Settings, stack: AsyncExitStack) -> tuple[AsyncClient, Access]:
    """Return the client of the conversations API, which calls it on each caller's behalf, and the access control."""
    http = await stack.enter_async_context(
        httpx.AsyncClient(event_hooks={"request": [inject_trace_headers, forward_credential]})
    )
    conversations = await stack.enter_async_context(
        AsyncClient(
            settings.conversations.url,
            timeout=settings.conversations.timeout,
            max_retries=CONVERSATIONS_RETRIES,
            http_client=http,
            # Never one of the environment: every call is made as its caller.
            api_key="",
        )
    )
    authenticator = RemoteAuthenticator(conversations)
    http.event_hooks["response"] += [authenticator.forget_refused, refuse_too_many]
    return conversations, Access.of(settings.auth, authenticator, _limits(settings, stack))


def _limits(settings: Settings, stack: AsyncExitStack) -> RateLimits:
    redis = None if settings.search.redis_url is None else redis_for_limits(settings.search.redis_url)
    if redis is not None:
        stack.push_async_callback(redis.aclose)
    return RateLimits(settings.rate.quotas, SharedCounters(redis), SERVICE)


def _screening(settings: SafetySettings, embedding: EmbeddingSettings, stack: AsyncExitStack) -> ScreeningService:
    notices = Notices(helpline_table(), settings.countries, _today)
    if settings.screening == "off":
        log.warning(SCREENING_OFF)
        return ScreeningService(None, LexiconScreener(), notices)
    if unchecked := notices.unchecked():
        log.warning(HELPLINES_UNCHECKED, numbers=unchecked)
    screener = make_screener(threads=embedding.threads, model_dir=embedding.model_dir)
    stack.push_async_callback(screener.close)
    return ScreeningService(screener, LexiconScreener(), notices)


def _today() -> date:
    return datetime.now(UTC).date()


def _recognizer(settings: Settings, plan: EmbeddingPlan) -> Recognizer:
    """Return the recognizer: made at once if texts need it before they are sent, else for the first preview."""
    phi_mode = settings.language_model_server.phi_mode(settings.phi)
    has_key = settings.openai.api_key is not None or settings.doors.request_keys
    is_asked = has_key and settings.may_ask_language_model and phi_mode is not PhiMode.OFF
    if is_asked or plan.phi_mode is not PhiMode.OFF:
        return make_recognizer()
    return RecognizerOnDemand(make_recognizer)


def _unused_key(settings: Settings) -> str | None:
    """Return a hint for the operator if there is a key for a language model that may not get texts; else None."""
    if settings.openai.api_key is None or settings.answers.mode == "quotes" or settings.may_ask_language_model:
        return None
    return (
        "Answers quote the conversations, although there is OPENAI_API_KEY: set LLM_DATA_EGRESS=allowed to send "
        f"questions and conversations to {settings.language_model_server.name}, or ANSWERS_MODE=quotes to leave it so"
    )


def _query_vector_store(settings: Settings, stack: AsyncExitStack) -> RedisVectors | None:
    if settings.search.redis_url is None:
        return None
    client = Redis.from_url(settings.search.redis_url)
    stack.push_async_callback(client.aclose)
    return RedisVectors(client, settings.embedding.cache_ttl)


def _readiness_checks(index: VectorIndex, conversations: AsyncClient, embedder: Embedder) -> Mapping[str, Check]:
    """Return the readiness checks. The language model has none: search works without it, and calling it costs money."""
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
        await conversations.send(check_readiness())
    except MHError as error:
        raise UnavailableError("The conversations API is unavailable.") from error


async def _check_embedder(embedder: Embedder) -> None:
    try:
        # Verifies key, URL and dimension once; afterwards the cache responds, at no cost.
        await embedder.embed(["ready"])
    except EmbedderError as error:
        raise UnavailableError(f"The embedding model is unavailable: {error}.") from error
