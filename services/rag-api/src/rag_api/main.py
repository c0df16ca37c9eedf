"""The application: `uvicorn --factory rag_api.main:create_app`."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI
from mh_client import AsyncClient, MHError
from mh_common.embeddings import Embedder, EmbedderError, make_embedder
from mh_common.embeddings.redis_vectors import RedisVectors
from mh_common.errors import DomainError, UnavailableError
from mh_common.logging import configure_logging
from mh_common.models import MAX_ID
from mh_common.settings import load_settings
from mh_common.web.health import Check, health_routes
from mh_common.web.problems import install_problems
from mh_common.web.request_ids import RequestIdMiddleware
from openai import AsyncOpenAI
from redis.asyncio import Redis

import rag_api.answers.routes
import rag_api.search.routes
from rag_api.answers.extractive import Extractive
from rag_api.answers.llm import OpenAILanguageModel
from rag_api.answers.prompts import Prompts, make_environment
from rag_api.answers.service import (
    AnswerService,
    Generator,
    GeneratorRefusedError,
    GeneratorTimeoutError,
    GeneratorUnavailableError,
    ModelGenerator,
    QuoteGenerator,
)
from rag_api.dependencies import State, get_checks
from rag_api.search.index import VectorIndex, VectorIndexError
from rag_api.search.repository import MilvusIndex, make_client
from rag_api.search.service import QueryRefusedError, SearchService
from rag_api.search.typed_query import QuerySyntaxError
from rag_api.settings import Settings

STATUS_OF: Final[dict[type[DomainError], int]] = {
    QueryRefusedError: 422,
    QuerySyntaxError: 422,
    GeneratorUnavailableError: 502,
    GeneratorRefusedError: 503,
    GeneratorTimeoutError: 504,
}

DESCRIPTION: Final = (
    "Search by meaning over counselling conversations, and suggestions for counselors grounded in the nearest ones. "
    "What it returns helps a professional to think; it is no substitute for clinical judgement."
)

CONVERSATIONS_RETRIES: Final = 1


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; without `settings` they come from the environment. Starts while Milvus is down."""
    settings = settings or load_settings(Settings)
    configure_logging(settings.log, "rag-api")
    app = FastAPI(
        title="Search and answers",
        description=DESCRIPTION,
        version="1.0.0",
        openapi_url="/openapi.json",
        docs_url="/docs",
        redoc_url=None,
        lifespan=_lifespan(settings),
    )
    app.add_middleware(RequestIdMiddleware)
    install_problems(app, STATUS_OF)
    app.include_router(health_routes(get_checks))
    app.include_router(rag_api.search.routes.router)
    app.include_router(rag_api.answers.routes.router)
    return app


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            yield await _start(settings, stack)

    return lifespan


async def _start(settings: Settings, stack: AsyncExitStack) -> State:
    """Make everything that lives as long as the application, each with its clean-up on the stack."""
    embedder = make_embedder(settings.embedding, settings.openai, store=_store(settings, stack))
    stack.push_async_callback(embedder.close)
    milvus = make_client(settings.milvus.uri, settings.milvus.token, settings.milvus.timeout)
    stack.push_async_callback(milvus.close)
    index = MilvusIndex(
        milvus,
        model=embedder.model,
        dimension=embedder.dimension,
        consistency=settings.milvus.consistency,
        timeout=settings.milvus.timeout,
    )
    conversations = await stack.enter_async_context(
        AsyncClient(
            settings.conversations.url,
            timeout=settings.conversations.timeout,
            max_retries=CONVERSATIONS_RETRIES,
        )
    )
    search = SearchService(embedder, index, conversations, settings.search)
    answers = AnswerService(search, _generator(settings, embedder, stack))
    return State(search=search, answers=answers, checks=_checks(index, conversations, embedder))


def _store(settings: Settings, stack: AsyncExitStack) -> RedisVectors | None:
    if settings.search.redis_url is None:
        return None
    client = Redis.from_url(settings.search.redis_url)
    stack.push_async_callback(client.aclose)
    return RedisVectors(client, settings.embedding.cache_ttl)


def _generator(settings: Settings, embedder: Embedder, stack: AsyncExitStack) -> Generator:
    key = settings.openai.api_key
    if key is None:
        return QuoteGenerator(Extractive(embedder), settings.answers.time_limit)
    client = AsyncOpenAI(
        api_key=key.get_secret_value(),
        base_url=settings.openai.base_url,
        timeout=settings.openai.timeout,
        max_retries=settings.answers.max_retries,
    )
    stack.push_async_callback(client.close)
    language_model = OpenAILanguageModel(client, model=settings.openai.model, time_limit=settings.answers.time_limit)
    return ModelGenerator(language_model, Prompts(make_environment(), settings.answers.max_context_chars))


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
