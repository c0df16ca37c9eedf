"""What an embedding server gets: with pseudonyms, or nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_common.embeddings import (
    CachedEmbedder,
    EmbedderError,
    EmbeddingSettings,
    OpenAISettings,
    TextUse,
    TextWithheldError,
    make_embedder,
)
from mh_common.embeddings.guarded import GuardedEmbedder
from mh_common.embeddings.sent import recorded_requests
from mh_common.identifiers import IdentifierKind
from mh_common.models import PhiMode
from mh_common.settings import EgressSettings, PHISettings
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.stubs.recognizer_stub import StubRecognizer
from mh_devtools.stubs.server import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TEXT = "Okafor cannot sleep."


class MemoryStore:
    """A second level of the cache that several embedders share."""

    def __init__(self) -> None:
        self.vectors: dict[tuple[str, bytes], bytes] = {}

    async def get(self, model: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return {key: self.vectors[model, key] for key in keys if (model, key) in self.vectors}

    async def put(self, model: str, vectors: Mapping[bytes, bytes]) -> None:
        self.vectors |= {(model, key): vector for key, vector in vectors.items()}

    async def close(self) -> None:
        pass


class Server:
    """An embedder that keeps what it gets."""

    model, dimension = "m", 1

    def __init__(self) -> None:
        self.received: list[str] = []

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        self.received += texts
        return [[1.0]] * len(texts)

    async def close(self) -> None:
        pass


@pytest.fixture
def recognizer() -> StubRecognizer:
    return StubRecognizer({"Okafor": IdentifierKind.PERSON, "Ruiz": IdentifierKind.PERSON})


@pytest.fixture
def stub(stub_openai: StubOpenAI) -> StubOpenAI:
    stub_openai.reset()
    return stub_openai


@asynccontextmanager
async def embedder_for(
    stub: StubOpenAI, recognizer: StubRecognizer, mode: PhiMode | None, **more: Any
) -> AsyncIterator[CachedEmbedder]:
    embedding = EmbeddingSettings(
        provider="openai", base_url=stub.base_url, api_key=stub.api_key, model="m", dimension=stub.dimension
    )
    made = make_embedder(
        embedding, OpenAISettings(), EgressSettings(), PHISettings(mode=mode), recognizer=recognizer, **more
    )
    yield made
    await made.close()


def received(stub: StubOpenAI) -> list[str]:
    return [text for request in stub.requests if request.body for text in request.body["input"]]


async def test_a_server_gets_pseudonyms_and_equal_texts_alike(stub: StubOpenAI, recognizer: StubRecognizer) -> None:
    async with embedder_for(stub, recognizer, PhiMode.PSEUDONYMISE) as embedder:
        await embedder.embed(["Ruiz asks.", TEXT])
        await embedder.embed([TEXT, "Okafor and Ruiz"], TextUse.QUERY)
    assert received(stub) == ["[PERSON_1] asks.", "[PERSON_1] cannot sleep.", "[PERSON_1] and [PERSON_2]"]


async def test_pseudonyms_make_another_embedding_space_also_in_the_cache(
    stub: StubOpenAI, recognizer: StubRecognizer
) -> None:
    store, models, vectors = MemoryStore(), [], []
    for mode in (PhiMode.OFF, PhiMode.PSEUDONYMISE, PhiMode.REFUSE, None):
        async with embedder_for(stub, recognizer, mode, store=store) as embedder:
            models.append(embedder.model)
            if mode is not PhiMode.REFUSE:
                vectors.append(await embedder.embed([TEXT]))
    # Refusing changes no text, so it shares the vectors of texts as they are.
    assert models == ["m", "m+pseudonyms", "m", "m"]
    assert vectors[0] == vectors[2] != vectors[1]
    assert received(stub) == [TEXT, "[PERSON_1] cannot sleep."]
    assert {model for model, _ in store.vectors} == {"m", "m+pseudonyms"}


async def test_refuse_sends_no_text_of_a_call_with_identifiers(stub: StubOpenAI, recognizer: StubRecognizer) -> None:
    async with embedder_for(stub, recognizer, PhiMode.REFUSE) as embedder:
        with pytest.raises(TextWithheldError, match="not sent to the embedding server: it seems to contain") as refused:
            await embedder.embed(["A patient sleeps badly.", TEXT])
        assert not refused.value.transient
        assert stub.requests == []
        await embedder.embed(["A patient sleeps badly."])
    assert received(stub) == ["A patient sleeps badly."]


@pytest.mark.parametrize("mode", [PhiMode.PSEUDONYMISE, PhiMode.REFUSE])
async def test_a_recognizer_that_fails_lets_nothing_out(
    stub: StubOpenAI, recognizer: StubRecognizer, mode: PhiMode, caplog: pytest.LogCaptureFixture
) -> None:
    recognizer.broken = True
    async with embedder_for(stub, recognizer, mode) as embedder:
        with pytest.raises(TextWithheldError, match="could not be checked") as failed:
            await embedder.embed([TEXT])
    assert stub.requests == []
    assert "Okafor" not in str(failed.value) + caplog.text
    assert failed.value.__context__ is None or failed.value.__suppress_context__


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("Okaf \ud800é\u0000🌙"), max_size=80), st.integers(1, 40))
def test_no_part_of_a_name_gets_out_where_a_text_is_cut(text: str, length: int) -> None:
    server = Server()
    guarded = GuardedEmbedder(server, PhiMode.PSEUDONYMISE, StubRecognizer({"Okafor": IdentifierKind.PERSON}), length)
    asyncio.run(guarded.embed([f"{text} Okafor {text}"]))
    (sent,) = server.received
    assert len(sent) <= length
    # The other text has none of the letters o and r.
    assert "Okafo" not in sent


async def test_what_is_sent_can_be_recorded_and_cached_texts_are_not_sent(
    stub: StubOpenAI, recognizer: StubRecognizer
) -> None:
    async with embedder_for(stub, recognizer, PhiMode.PSEUDONYMISE) as embedder:
        with recorded_requests() as first:
            await embedder.embed([TEXT])
        with recorded_requests() as second:
            await embedder.embed([TEXT, "Ruiz"])
        await embedder.embed(["not recorded"])
    assert (first, second) == ([["[PERSON_1] cannot sleep."]], [["[PERSON_1]"]])


async def test_a_redirect_is_not_followed(stub: StubOpenAI, recognizer: StubRecognizer) -> None:
    asked: list[str] = []

    async def move(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(status_code=307, headers={"Location": f"{stub.base_url}/embeddings"})

    routes = [Route("/v1/embeddings", move, methods=["POST"]), Route("/embed", move, methods=["POST"])]
    with serving(Starlette(routes=routes)) as url:
        for provider, path in (("openai", "/v1"), ("tei", "")):
            embedding = EmbeddingSettings(
                provider=provider, base_url=url + path, api_key=stub.api_key, model="m", dimension=3, max_attempts=1
            )
            embedder = make_embedder(embedding, OpenAISettings())
            with pytest.raises(EmbedderError, match="307"):
                await embedder.embed([TEXT])
            await embedder.close()
    assert asked == ["/v1/embeddings", "/embed"]
    assert stub.requests == []


async def test_texts_for_this_machine_do_not_pass_a_proxy(
    stub: StubOpenAI, recognizer: StubRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubOpenAI.running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with embedder_for(stub, recognizer, None) as embedder:
            await embedder.embed([TEXT])
        assert proxy.requests == []
    assert received(stub) == [TEXT]


async def test_an_outage_is_still_an_outage(stub: StubOpenAI, recognizer: StubRecognizer) -> None:
    stub.add_faults(Fault(status=401))
    async with embedder_for(stub, recognizer, PhiMode.PSEUDONYMISE) as embedder:
        with pytest.raises(EmbedderError, match="API key") as failed:
            await embedder.embed([TEXT])
    assert failed.value.transient
