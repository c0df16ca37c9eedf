"""What leaves for which server, and what is said of it: permissions, GET /api/v1/about, previews, show_sent."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from mh_common.egress import EgressNotAllowedError
from mh_common.embeddings import EmbeddingSettings, OpenAISettings
from mh_common.models import About, Answer, IdentifiersPreview
from mh_common.settings import EgressSettings
from mh_devtools.stubs.openai_stub import CHAT, StubOpenAI
from mh_devtools.stubs.server import serving
from mh_devtools.testing.fixtures import MakeConversation, RunApp, ServeApp, WriteIndex
from pydantic import SecretStr, ValidationError
from rag_api.settings import AnswersSettings, IntegrationSettings, LLMSettings, Settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "/api/v1/answers"
QUESTION = "How do I help a patient who cannot fall asleep?"
NO_PERMISSION = LLMSettings()


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index([conversation(1, "My patient cannot fall asleep", "Rise at the same hour every day.")])


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


async def ask(client: httpx.AsyncClient, **request: Any) -> Answer:
    response = await client.post(PATH, json={"question": QUESTION, **request})
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


async def about(client: httpx.AsyncClient) -> About:
    return About.model_validate_json((await client.get("/api/v1/about")).raise_for_status().content)


async def test_a_key_without_permission_gives_quotes_and_one_line_at_start(
    running: RunApp, with_remote_model: Settings, indexed: None, stub: StubOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    async with running(with_remote_model.model_copy(update={"llm": NO_PERMISSION})) as client:
        answer = await ask(client)
        told = await about(client)
    assert answer.model == "extractive"
    assert stub.chats() == []
    assert (told.answers, told.language_model) == ("quotes", None)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["event"] == "egress_not_allowed"]
    for words in ("Answers quote", "LLM_DATA_EGRESS=allowed", "127.1", "ANSWERS_MODE=quotes"):
        assert words in line["hint"]


async def test_with_permission_or_trust_the_model_is_asked(
    running: RunApp, with_remote_model: Settings, indexed: None, stub: StubOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.reply = "Rise at the same hour [1]."
    capsys.readouterr()
    trusting = {"llm": NO_PERMISSION, "egress": EgressSettings(trusted_hosts="127.1")}
    for settings, remote in ((with_remote_model, True), (with_remote_model.model_copy(update=trusting), False)):
        async with running(settings) as client:
            assert (await ask(client)).model == "stub-chat"
            told = await about(client)
        assert told.answers == "model"
        assert told.language_model is not None
        assert (told.language_model.name, told.language_model.recipient) == ("stub-chat", "127.1")
        assert told.language_model.remote is remote
        assert told.language_model.phi_mode == ("pseudonymise" if remote else "off")
    assert "egress_not_allowed" not in capsys.readouterr().out


async def test_a_model_on_this_machine_needs_no_permission(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.reply = "Rise at the same hour [1]."
    async with running(with_model) as client:
        assert (await ask(client)).model == "stub-chat"
        told = await about(client)
    assert told.language_model is not None
    assert (told.language_model.recipient, told.language_model.remote) == ("this machine", False)
    assert (told.embedding.name, told.embedding.recipient) == ("stub-embedding", "this machine")
    assert "not a medical device" in told.notice
    assert told.safety_screening


def test_a_model_that_must_be_used_and_may_not_stops_the_start() -> None:
    openai = OpenAISettings(api_key=SecretStr("key"))
    with pytest.raises(ValidationError, match=r"needs LLM_DATA_EGRESS=allowed to send texts to api\.openai\.com"):
        Settings(_env_file=None, answers=AnswersSettings(mode="model"), openai=openai)


async def test_an_embedding_server_that_may_not_get_texts_stops_the_start(running: RunApp, settings: Settings) -> None:
    embedding = settings.embedding.model_copy(update={"base_url": "http://tei.example/v1"})
    with pytest.raises(EgressNotAllowedError, match=r"at tei\.example: set EMBEDDING_DATA_EGRESS=allowed"):
        async with running(settings.model_copy(update={"embedding": embedding})):
            pass


async def test_a_key_alone_leaves_embeddings_on_this_machine(
    running: RunApp, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = {"embedding": EmbeddingSettings(), "openai": OpenAISettings(api_key=SecretStr("key"))}
    capsys.readouterr()
    async with running(settings.model_copy(update=alone)) as client:
        told = await about(client)
    assert (told.embedding.name, told.embedding.recipient) == ("all-MiniLM-L6-v2", "this machine")
    hints = [json.loads(line).get("hint", "") for line in capsys.readouterr().out.splitlines()]
    assert any("EMBEDDING_DATA_EGRESS=allowed" in hint for hint in hints)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_show_sent_shows_word_for_word_what_each_server_got(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient, accept: str
) -> None:
    stub.reply = "How does a patient sleep [1]?"
    history = [{"role": "user", "content": "My patient works at night."}]
    request = {"question": "And by day?", "conversation_history": history, "show_sent": True}
    with served(with_model) as url:
        stub.requests.clear()
        response = await http.post(url + PATH, json=request, headers={"Accept": accept})
        last = response.text.split("event: done\ndata: ")[-1] if "stream" in accept else response.text
        plain = await http.post(url + PATH, json={**request, "show_sent": False})
    sent = json.loads(last)["sent"]
    received = [one for one in stub.requests if one.body is not None][: len(sent)]
    # Embedded are the question as a client would put it, sentences found, and sentences of the answer.
    assert [call["model"] for call in sent] == ["stub-chat", *["stub-embedding"] * 2, "stub-chat", "stub-embedding"]
    assert {(call["recipient"], call["remote"]) for call in sent} == {("this machine", False)}
    for call, request_of_call in zip(sent, received, strict=True):
        assert request_of_call.body is not None
        if request_of_call.path == CHAT:
            assert call["messages"] == request_of_call.body["messages"]
        else:
            assert [message["content"] for message in call["messages"]] == request_of_call.body["input"]
            assert {message["role"] for message in call["messages"]} == {"input"}
    assert plain.json()["sent"] is None


async def test_show_sent_is_empty_if_nothing_left(
    running: RunApp, settings: Settings, indexed: None, stub: StubOpenAI
) -> None:
    async with running(settings) as client:
        await ask(client)
        stub.requests.clear()
        # All vectors are cached now.
        assert (await ask(client, show_sent=True)).sent == []
    assert stub.requests == []


async def test_the_preview_shows_what_would_be_hidden_and_what_that_is_not(client: httpx.AsyncClient) -> None:
    text = "Dr. Ruiz wrote to jo.doe@example.org."
    response = await client.post("/api/v1/identifiers/preview", json={"text": text})
    found = IdentifiersPreview.model_validate_json(response.raise_for_status().content)
    assert "jo.doe@example.org" not in found.text
    assert "Ruiz" not in found.text
    named = {text[span.start : span.end] for span in found.identifiers}
    assert "jo.doe@example.org" in named
    assert any("Ruiz" in name for name in named)
    assert "not de-identification" in found.notice
    assert found.phi_mode == "off"


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x" * 100_001}, {"text": 1}, {"text": "x", "more": 1}])
async def test_an_invalid_preview_is_a_problem(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    response = await client.post("/api/v1/identifiers/preview", json=body)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("store_false", "sent"), [(None, None), (True, False), (False, None)])
async def test_store_false_is_said_where_it_is_known(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI, store_false: bool | None, sent: bool | None
) -> None:
    stub.reply = "Rise at the same hour [1]."
    openai = with_model.openai.model_copy(update={"store_false": store_false})
    async with running(with_model.model_copy(update={"openai": openai})) as client:
        await ask(client)
        await client.post(PATH, json={"question": QUESTION}, headers={"Accept": "text/event-stream"})
    assert [chat.get("store") for chat in stub.chats()] == [sent, sent]


async def test_a_redirect_of_the_model_is_not_followed(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    async def move(request: Request) -> Response:
        return Response(status_code=307, headers={"Location": f"{stub.base_url}/chat/completions"})

    with serving(Starlette(routes=[Route(CHAT, move, methods=["POST"])])) as elsewhere:
        openai = with_model.openai.model_copy(update={"base_url": f"{elsewhere}/v1"})
        async with running(with_model.model_copy(update={"openai": openai})) as client:
            response = await client.post(PATH, json={"question": QUESTION})
    assert response.status_code == 502
    assert "answered 307" in response.json()["detail"]
    assert stub.chats() == []


async def test_a_caller_s_key_needs_the_permission_too(
    served: ServeApp, with_remote_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    keys = {"doors": IntegrationSettings(request_keys=True), "llm": NO_PERMISSION}
    body = {"user_message": QUESTION, "api_key": stub.api_key}
    with served(with_remote_model.model_copy(update=keys)) as url:
        response = await http.post(f"{url}/api/chat", json=body)
    assert response.status_code == 200
    assert response.text.startswith(
        "No language model was asked: this platform may not send texts to 127.1 (LLM_DATA_EGRESS).\n\nPassages from"
    )
    assert stub.chats() == []
