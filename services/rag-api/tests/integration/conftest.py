"""The shipped app with a real Milvus Lite and the stubs of the conversations API and of OpenAI."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from indexer_worker.vector_store.collection import ensure_collection
from indexer_worker.vector_store.rows import vector_row
from mh_common import vector_index as fields
from mh_common.access_settings import AuthSettings
from mh_common.auth.roles import Role
from mh_common.auth.tokens import TokenKind, make_token
from mh_common.embeddings import CachedEmbedder, EmbeddingSettings, OpenAISettings, make_embedder
from mh_common.logging import configure_logging
from mh_common.models import Conversation, Credential, CredentialKind, IndexStatus, Me, PrincipalKind, Sentiment
from mh_common.settings import ConversationsSettings, MilvusSettings
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.stubs.server import serving
from mh_devtools.testing.fixtures import ConversationTable, MakeCaller, MakeConversation, RunApp, ServeApp, WriteIndex
from pydantic import SecretStr
from pymilvus import AsyncMilvusClient
from rag_api.answers.records import AnswerRecorder
from rag_api.main import SERVICE, create_app
from rag_api.settings import AnswersSettings, LLMSettings, SearchSettings, Settings

DIMENSION = 64
CREATED = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)


@pytest.fixture(scope="session")
def conversations_stub() -> Iterator[StubConversations]:
    """The conversations API; shared, so use `table`, `asked` and `statuses`."""
    with StubConversations.running() as stub:
        yield stub


@pytest.fixture
def table(conversations_stub: StubConversations) -> ConversationTable:
    """The rows of the conversations API; a test changes them as it likes."""
    conversations_stub.rows.clear()
    return conversations_stub.rows


@pytest.fixture
def asked(conversations_stub: StubConversations) -> list[list[int]]:
    """The requested ids of each request to the conversations API."""
    conversations_stub.reads.clear()
    return conversations_stub.reads


@pytest.fixture
def statuses(conversations_stub: StubConversations) -> Iterator[list[int]]:
    """HTTP statuses with which the conversations API responds to its next requests, instead of rows."""
    yield conversations_stub.statuses
    conversations_stub.statuses.clear()


@pytest.fixture
def make_caller(conversations_stub: StubConversations) -> Iterator[MakeCaller]:
    """Add callers to the conversations API, which from then on refuses all others."""
    callers: dict[str, Me] = {}
    conversations_stub.callers = callers
    conversations_stub.received.clear()

    def make(
        *scopes: str,
        username: str = "ann",
        user_id: int = 7,
        token: str | None = None,
        kind: PrincipalKind = PrincipalKind.PERSON,
    ) -> str:
        token = token or make_token(TokenKind.API_KEY)
        callers[token] = Me(
            id=user_id,
            username=username,
            kind=kind,
            role=Role.COUNSELOR,
            scopes=list(scopes),
            credential=Credential(kind=CredentialKind.API_KEY, id=1),
        )
        return token

    yield make
    conversations_stub.callers = None


@pytest.fixture
def stub(stub_openai: StubOpenAI) -> Iterator[StubOpenAI]:
    """The OpenAI stub; texts that share words have similar vectors."""
    before = stub_openai.dimension, stub_openai.bag_of_words, stub_openai.reply, stub_openai.pieces
    stub_openai.reset()
    stub_openai.dimension, stub_openai.bag_of_words = DIMENSION, True
    yield stub_openai
    stub_openai.release()
    stub_openai.reset()
    stub_openai.dimension, stub_openai.bag_of_words, stub_openai.reply, stub_openai.pieces = before


@cache
def _settings(milvus: str, conversations: str, openai: str, api_key: str) -> Settings:
    """Return settings for stores and stubs at these addresses, read once: that takes longer than many a test."""
    return Settings(
        _env_file=None,
        milvus=MilvusSettings(uri=milvus, timeout=30),
        conversations=ConversationsSettings(url=conversations, timeout=30),
        embedding=EmbeddingSettings(
            provider="openai",
            base_url=openai,
            api_key=SecretStr(api_key),
            model="stub-embedding",
            dimension=DIMENSION,
            max_attempts=1,
        ),
        openai=OpenAISettings(),
        search=SearchSettings(embed_timeout=30),
        answers=AnswersSettings(time_limit=5, max_retries=0),
    )


@pytest.fixture
def settings(milvus_uri: str, conversations_stub: StubConversations, stub: StubOpenAI) -> Settings:
    """Settings without a language model; tests change copies of them."""
    return _settings(milvus_uri, conversations_stub.base_url, stub.base_url, stub.api_key)


@pytest.fixture
def required(settings: Settings) -> Settings:
    """Settings with accounts: use `make_caller`."""
    return settings.model_copy(update={"auth": AuthSettings(mode="required")})


@pytest.fixture
def with_model(settings: Settings, stub: StubOpenAI) -> Settings:
    """Settings with a language model: the stub."""
    openai = OpenAISettings(api_key=SecretStr(stub.api_key), base_url=stub.base_url, model="stub-chat", timeout=5)
    return settings.model_copy(update={"openai": openai})


@pytest.fixture
def with_remote_model(with_model: Settings) -> Settings:
    """Settings with the stub as a language model on another machine, which may get texts.

    Systems look up 127.1 as 127.0.0.1, but this notation does not count as an address of this machine.
    """
    openai = with_model.openai.model_copy(
        update={"base_url": (with_model.openai.base_url or "").replace("127.0.0.1", "127.1")}
    )
    return with_model.model_copy(update={"openai": openai, "llm": LLMSettings(data_egress="allowed")})


@pytest.fixture
def running() -> RunApp:
    """Run the app with its lifespan and middleware; yields a client."""

    @asynccontextmanager
    async def run(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
        async with LifespanManager(_app(settings), startup_timeout=60, shutdown_timeout=60) as manager:
            # As in a server: an unexpected error becomes a response and is not raised.
            transport = httpx.ASGITransport(manager.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://rag-api") as client:
                yield client

    return run


@pytest.fixture
def served() -> ServeApp:
    """Serve the app with uvicorn on its own port; yields its URL."""

    @contextmanager
    def serve(settings: Settings, recorder: AnswerRecorder | None = None) -> Iterator[str]:
        with serving(_app(settings, recorder), lifespan=True) as url:
            yield url

    return serve


@pytest.fixture
async def client(running: RunApp, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app without a language model."""
    async with running(settings) as http:
        yield http


@pytest.fixture
async def milvus_client(milvus_uri: str) -> AsyncIterator[AsyncMilvusClient]:
    """A client of Milvus, with whatever other tests left there."""
    client = AsyncMilvusClient(milvus_uri, timeout=10, dedicated=True)
    yield client
    await client.close()


@pytest.fixture
async def milvus(milvus_client: AsyncMilvusClient) -> AsyncMilvusClient:
    """A client of Milvus, without a collection."""
    await milvus_client.drop_collection(fields.COLLECTION)
    return milvus_client


@pytest.fixture
def conversation() -> MakeConversation:
    """Make a conversation, created one minute later for each id."""

    def make(
        key: int,
        question: str = "How do I fall asleep?",
        answer: str = "Keep the same hours each day.",
        *,
        version: int = 1,
        question_sentiment: Sentiment = Sentiment.NEGATIVE,
        answer_sentiment: Sentiment = Sentiment.POSITIVE,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
    ) -> Conversation:
        created = created_at or CREATED + timedelta(minutes=key)
        return Conversation(
            id=key,
            version=version,
            created_at=created,
            updated_at=updated_at or created,
            question=question,
            answer=answer,
            question_sentiment=question_sentiment,
            answer_sentiment=answer_sentiment,
            index_status=IndexStatus.INDEXED,
        )

    return make


@pytest.fixture
async def index(milvus_client: AsyncMilvusClient, settings: Settings, table: ConversationTable) -> WriteIndex:
    """Write conversations to the API's table and, like the worker, to the index, which is empty at first."""

    def made() -> CachedEmbedder:
        return make_embedder(settings.embedding, settings.openai, settings.egress, settings.phi)

    described = made()
    await described.close()
    await _empty(milvus_client, fields.describe(described.model, described.dimension))

    async def write(rows: Sequence[Conversation]) -> None:
        embedder = made()
        if not await milvus_client.has_collection(fields.COLLECTION):
            await ensure_collection(milvus_client, embedder.model, embedder.dimension)
        read = [row.as_read() for row in rows]
        questions = await embedder.embed([row.question for row in read])
        texts = await embedder.embed([fields.embedded_text(row.question, row.answer) for row in read])
        await embedder.close()
        table.update({row.id: row for row in rows})
        data = [vector_row(*parts) for parts in zip(read, questions, texts, strict=True)]
        # Must never be shown: hits have the conversations API's text.
        await milvus_client.upsert(fields.COLLECTION, data=[{**row, fields.QUESTION: "of the index"} for row in data])

    return write


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> list[Conversation]:
    """Three indexed conversations about sleep; some test files override this."""
    rows = [
        conversation(1, "I cannot fall asleep", "Rise at the same hour every day. Leave the bed when awake."),
        conversation(2, "My patient cannot sleep", "Help the patient to write worries down before bed."),
        conversation(3, "How can a patient fall asleep again", "Read a dull book in another room until sleepy."),
    ]
    await index(rows)
    return rows


@lru_cache(maxsize=16)
def _app_of(settings: Settings) -> FastAPI:
    """Return one app for equal settings: building its routes takes longer than most tests.

    All that an app works with is made anew at each startup.
    """
    return create_app(settings)


def _app(settings: Settings, recorder: AnswerRecorder | None = None) -> FastAPI:
    """Return the app with logging configured, as the app does itself with settings from the environment."""
    configure_logging(settings.log, SERVICE)
    return create_app(settings, recorder) if recorder else _app_of(settings)


async def _empty(client: AsyncMilvusClient, description: str) -> None:
    if not await client.has_collection(fields.COLLECTION):
        return
    if (await client.describe_collection(fields.COLLECTION))["description"] == description:
        # Much faster than creating it again.
        await client.delete(fields.COLLECTION, filter=f"{fields.ID} > 0")
    else:
        await client.drop_collection(fields.COLLECTION)
