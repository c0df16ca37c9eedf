import subprocess
import sys
from typing import Any

import pytest
import redis.asyncio
from mh_common import embeddings
from mh_common.egress import LOCAL, EgressNotAllowedError, Recipient
from mh_common.embeddings import EmbeddingSettings, OpenAISettings, make_embedder, plan_embedder
from mh_common.embeddings.cache import CachedEmbedder
from mh_common.embeddings.local import LocalEmbedder
from mh_common.embeddings.openai_compatible import OpenAICompatibleEmbedder
from mh_common.embeddings.protocol import TextUse
from mh_common.embeddings.redis_vectors import RedisVectors
from mh_common.models import PhiMode
from mh_common.settings import EgressSettings, PHISettings, ServiceSettings
from mh_devtools.stubs.openai_stub import StubOpenAI
from pydantic import ValidationError

KEY = {"api_key": "key"}
OTHER = {"base_url": "http://other/v1", "model": "m", "dimension": 3}
ALLOWED = {"data_egress": "allowed"}
AS_THEY_ARE = PHISettings(mode=PhiMode.OFF)


def make(embedding: dict[str, Any], openai: dict[str, Any]) -> Any:
    settings = EmbeddingSettings(**ALLOWED, **embedding), OpenAISettings(**openai)
    cached = make_embedder(*settings, EgressSettings(), AS_THEY_ARE)
    assert isinstance(cached, CachedEmbedder)
    return cached._inner


@pytest.mark.parametrize(
    ("embedding", "openai"),
    [
        ({}, {}),
        ({}, {"base_url": "http://chat-only/v1"}),
        ({"api_key": "", "base_url": " ", "model": "", "dimension": "", "model_dir": ""}, {"api_key": ""}),
        ({"provider": "local"}, KEY),
        ({"model": "all-MiniLM-L6-v2", "dimension": 384}, {}),
    ],
)
async def test_without_a_key_the_local_model_is_used(embedding: dict[str, Any], openai: dict[str, Any]) -> None:
    inner = make(embedding, openai)
    assert isinstance(inner, LocalEmbedder)
    await inner.close()


@pytest.mark.parametrize(
    ("embedding", "openai", "model", "dimension", "address", "key"),
    [
        ({}, KEY, "text-embedding-3-small", 1536, "https://api.openai.com/v1/", "key"),
        ({"model": "text-embedding-3-large"}, KEY, "text-embedding-3-large", 3072, "https://api.openai.com/v1/", "key"),
        ({"dimension": 256}, KEY, "text-embedding-3-small", 256, "https://api.openai.com/v1/", "key"),
        ({}, KEY | {"base_url": "http://one/v1"}, "text-embedding-3-small", 1536, "http://one/v1/", "key"),
        ({"api_key": "own"}, KEY, "text-embedding-3-small", 1536, "https://api.openai.com/v1/", "own"),
        (OTHER, KEY, "m", 3, "http://other/v1/", "none"),
        (OTHER | {"api_key": "own"}, KEY, "m", 3, "http://other/v1/", "own"),
        (
            {"provider": "openai"},
            {"base_url": "http://one/v1"},
            "text-embedding-3-small",
            1536,
            "http://one/v1/",
            "none",
        ),
    ],
)
async def test_with_a_key_or_a_url_a_server_is_used(
    embedding: dict[str, Any],
    openai: dict[str, Any],
    model: str,
    dimension: int,
    address: str,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    inner = make(embedding, openai)
    assert isinstance(inner, OpenAICompatibleEmbedder)
    assert (inner.model, inner.dimension) == (model, dimension)
    assert (str(inner._client.base_url), inner._client.api_key) == (address, key)
    await inner.close()


@pytest.mark.parametrize(
    ("embedding", "openai", "words"),
    [
        ({"provider": "openai"}, {}, "OPENAI_API_KEY"),
        ({"model": "unknown"}, KEY, "EMBEDDING_DIMENSION"),
        ({"model": "text-embedding-3-small"}, {}, "EMBEDDING_MODEL"),
        ({"dimension": 1536}, {}, "EMBEDDING_DIMENSION"),
    ],
)
def test_contradictions_name_the_variable(embedding: dict[str, Any], openai: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(embedding, openai)


@pytest.mark.parametrize("bad", [{"batch_size": 0}, {"base_url": "other"}, {"dimension": 0}, {"provider": "magic"}])
def test_invalid_settings_are_rejected(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmbeddingSettings(**bad)


def test_every_setting_is_described_and_no_key_is_shown() -> None:
    for group in (EmbeddingSettings, OpenAISettings):
        assert [name for name, field in group.model_fields.items() if not field.description] == []
        assert "hidden" not in repr(group(api_key="hidden"))


async def test_the_whole_chain_embeds_once_and_caches(redis_url: str) -> None:
    with StubOpenAI.running(dimension=3) as stub:
        openai = OpenAISettings(api_key=stub.api_key, base_url=stub.base_url)
        client = redis.asyncio.Redis.from_url(redis_url)
        await client.flushdb()
        for _ in range(2):
            embedder = make_embedder(EmbeddingSettings(model="m", dimension=3), openai, store=RedisVectors(client, 60))
            assert await embedder.embed(["a", "a"]) == await embedder.embed(["a", "a"])
            await embedder.close()
        await client.aclose()
    assert len(stub.requests) == 1


async def test_text_embeddings_inference_uses_only_the_embedding_settings() -> None:
    openai = OpenAISettings(api_key="of openai")
    needed = {"base_url": "http://tei:80", "model": "e5", "dimension": 384}
    for name in needed:
        values = {key: value for key, value in needed.items() if key != name}
        with pytest.raises(ValueError, match=f"EMBEDDING_{name.upper()}"):
            make_embedder(EmbeddingSettings(provider="tei", **ALLOWED, **values), openai)
    trusting = EgressSettings(trusted_hosts="tei")
    embedder = make_embedder(EmbeddingSettings(provider="tei", **needed), openai, trusting)
    assert (embedder.model, embedder.dimension) == ("e5", 384)
    await embedder.close()


@pytest.mark.parametrize(
    ("embedding", "openai", "host"),
    [
        ({"provider": "openai"}, KEY, "api.openai.com"),
        ({"provider": "openai"}, KEY | {"base_url": "http://one/v1"}, "one"),
        ({"api_key": "own"}, {}, "api.openai.com"),
        (OTHER, {}, "other"),
        ({"model": "text-embedding-3-large"}, KEY, "api.openai.com"),
        ({"provider": "tei", "base_url": "http://tei:80", "model": "e5", "dimension": 3}, {}, "tei"),
        ({"provider": "openai", "base_url": "http://127.0.0.1@evil.example/v1"}, KEY, "evil.example"),
    ],
)
def test_a_server_elsewhere_that_was_chosen_needs_a_permission(
    embedding: dict[str, Any], openai: dict[str, Any], host: str
) -> None:
    settings = EmbeddingSettings(**embedding), OpenAISettings(**openai)
    with pytest.raises(EgressNotAllowedError, match=f"at {host}: set EMBEDDING_DATA_EGRESS=allowed"):
        make_embedder(*settings)
    allowed = EmbeddingSettings(**embedding, **ALLOWED), settings[1]
    plan = plan_embedder(*allowed)
    assert (plan.recipient, plan.phi_mode, plan.note) == (Recipient(host, True), PhiMode.PSEUDONYMISE, None)
    trusting = plan_embedder(*settings, EgressSettings(trusted_hosts=host))
    assert (trusting.recipient, trusting.phi_mode) == (Recipient(host, False), PhiMode.OFF)


async def test_a_key_alone_is_no_permission_for_embeddings() -> None:
    plan = plan_embedder(EmbeddingSettings(), OpenAISettings(**KEY))
    assert (plan.provider, plan.recipient, plan.phi_mode) == ("local", LOCAL, PhiMode.OFF)
    assert plan.note is not None
    for words in ("on this machine", "EMBEDDING_DATA_EGRESS=allowed", "api.openai.com", "EMBEDDING_PROVIDER=local"):
        assert words in plan.note
    embedder = make_embedder(EmbeddingSettings(), OpenAISettings(**KEY))
    assert isinstance(embedder._inner, LocalEmbedder)
    await embedder.close()
    assert plan_embedder(EmbeddingSettings(provider="local"), OpenAISettings(**KEY)).note is None


def test_a_permission_is_the_word_alone() -> None:
    for word in ("yes", "true", "Allowed", "allow"):
        with pytest.raises(ValidationError, match="'allowed'"):
            EmbeddingSettings(data_egress=word)
    assert EmbeddingSettings(data_egress=" ").data_egress is None


async def test_prefixes_are_sent_and_make_another_embedding_space() -> None:
    with StubOpenAI.running(dimension=3) as stub:
        openai = OpenAISettings(api_key=stub.api_key, base_url=stub.base_url)
        values: dict[str, Any] = {"model": "e5", "dimension": 3}
        plain = make_embedder(EmbeddingSettings(**values), openai)
        e5 = make_embedder(EmbeddingSettings(query_prefix="query: ", passage_prefix="passage: ", **values), openai)
        assert await plain.embed(["a"]) == await plain.embed(["a"], TextUse.QUERY)
        assert await e5.embed(["a"]) != await e5.embed(["a"], TextUse.QUERY)
        asked = [request.body["input"] for request in stub.requests if request.body]
        await plain.close()
        await e5.close()
    assert asked == [["a"], ["passage: a"], ["query: a"]]
    assert (plain.model, e5.model) == ("e5", "e5+passage:")


def test_padding_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(ServiceSettings):
        embedding: EmbeddingSettings = EmbeddingSettings()

    assert not Settings(_env_file=None).embedding.pad
    for name in ("EMBEDDING_PAD", "EMBEDDING__PAD"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "true")
            assert Settings(_env_file=None).embedding.pad


def test_the_package_imports_no_provider_library() -> None:
    code = "import sys, mh_common.embeddings; print({'openai', 'onnxruntime', 'tokenizers', 'redis'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_every_public_name_exists() -> None:
    assert all(getattr(embeddings, name) for name in embeddings.__all__)
    with pytest.raises(AttributeError, match="Nothing"):
        _ = embeddings.Nothing
