"""Sentences of a language model held against what they cite, on the shipped app with the OpenAI stub."""

import httpx
import pytest
from mh_common.identifiers import IdentifierKind
from mh_common.models import Answer, Conversation, PhiMode, SentenceSupport
from mh_common.settings import PHISettings
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.stubs.recognizer_stub import StubRecognizer
from mh_devtools.testing.fixtures import RunApp
from rag_api.settings import Settings

PATH = "/api/v1/answers"
QUESTION = "How do I help a patient who cannot fall asleep?"
EMBEDDINGS = "/v1/embeddings"


async def ask(client: httpx.AsyncClient, question: str = QUESTION, **request: object) -> Answer:
    response = await client.post(PATH, json={"question": question, **request})
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


def numbers(answer: Answer) -> dict[int, int]:
    """The number in the answer of each source, by its id."""
    return {source.id: number for number, source in enumerate(answer.sources, start=1)}


async def test_an_answer_says_which_sentences_its_sources_support(
    running: RunApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI
) -> None:
    async with running(with_model) as client:
        place = numbers(await ask(client))
        stub.reply = (
            f"Rise at the same hour on every day [{place[1]}]. Take three pills of valerian at noon [{place[1]}]. "
            f"Write the worries down before bed [{place[2]}]. Follow your crisis protocol first."
        )
        answer = await ask(client)
        metrics = (await client.get("/metrics")).text
    assert [one.support for one in answer.checked_sentences] == ["supported", "unsupported", "supported", "uncited"]
    assert [one.cites for one in answer.checked_sentences] == [[place[1]], [place[1]], [place[2]], []]
    assert answer.uncited_sentences == ["Follow your crisis protocol first."]
    assert (answer.question_language, answer.answer_language) == ("en", "en")
    assert answer.latency_ms.check > 0
    assert 'mh_answer_sentences_total{support="unsupported"}' in metrics
    assert "mh_answer_check_duration_seconds_count" in metrics


async def test_quotes_and_fixed_texts_are_not_checked(
    running: RunApp, settings: Settings, indexed: list[Conversation]
) -> None:
    async with running(settings) as client:
        answer = await ask(client)
    assert (answer.model, answer.checked_sentences, answer.answer_language) == ("extractive", [], None)


async def test_an_answer_in_another_language_is_told_apart(
    running: RunApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI
) -> None:
    stub.reply = "Stehen Sie jeden Tag zur gleichen Zeit auf und bleiben Sie nicht wach im Bett [1]."
    async with running(with_model) as client:
        answer = await ask(client)
    assert (answer.question_language, answer.answer_language) == ("en", "de")
    assert [one.support for one in answer.checked_sentences] == ["not_checked"]


async def test_a_failing_embedding_server_does_not_end_the_answer(
    running: RunApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI
) -> None:
    stub.reply = "Rise at one and the same hour on every day [1]."
    async with running(with_model) as client:
        await ask(client)
        stub.reply = "Get up at one and the same hour on each new day [1]."
        stub.add_faults(*[Fault(status=500, path=EMBEDDINGS)] * 5)
        answer = await ask(client)
    assert answer.answer == stub.reply
    assert [one.support for one in answer.checked_sentences] == [SentenceSupport.NOT_CHECKED]


async def test_what_was_sent_to_check_the_answer_is_shown(
    running: RunApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI
) -> None:
    stub.reply = "Get up at one and the same hour on each new day [1]."
    async with running(with_model) as client:
        stub.requests.clear()
        answer = await ask(client, show_sent=True)
    assert answer.sent is not None
    assert [call.model for call in answer.sent][-2:] == ["stub-chat", "stub-embedding"]
    received = [one.body["input"] for one in stub.requests if one.path == EMBEDDINGS and one.body]
    assert [message.content for message in answer.sent[-1].messages] == received[-1]


async def test_a_sentence_with_identifiers_is_not_sent_to_an_embedding_server_nor_supported(
    running: RunApp,
    with_model: Settings,
    indexed: list[Conversation],
    stub: StubOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag_api.main.make_recognizer", lambda: StubRecognizer({"Okafor": IdentifierKind.PERSON}))
    embedding = with_model.embedding.model_copy(
        update={"base_url": stub.base_url.replace("127.0.0.1", "127.1"), "data_egress": "allowed"}
    )
    remote = with_model.model_copy(update={"embedding": embedding, "phi": PHISettings(mode=PhiMode.REFUSE)})
    async with running(remote) as client:
        place = numbers(await ask(client))
        stub.reply = (
            f"Let Okafor rise at the same hour on every day [{place[1]}]. "
            f"Write the worries down before bed [{place[2]}]."
        )
        answer = await ask(client)
    assert [one.support for one in answer.checked_sentences] == ["not_checked", "supported"]
    assert "Okafor" not in str([one.body for one in stub.requests if one.path == EMBEDDINGS])


async def test_programs_that_show_text_alone_get_the_doubts_before_the_sources(
    running: RunApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI
) -> None:
    stub.reply = "Rise at the same hour every day [1]. Buy a very expensive mattress of wool [2]."
    doubts = (
        "Read in their sources before you rely on them:\n\n"
        "- Buy a very expensive mattress of wool [2]. (It says nothing that was found in its source.)\n\nSources:"
    )
    async with running(with_model) as client:
        plain = await client.post("/api/chat", json={"user_message": QUESTION})
        assert doubts in plain.text
        body = {"model": "mental-health", "messages": [{"role": "user", "content": QUESTION}]}
        listed = (await client.post("/v1/chat/completions", json={**body, "source_list": True})).json()
        other = (await client.post("/v1/chat/completions", json=body)).json()
        streamed = await client.post("/v1/chat/completions", json={**body, "stream": True})
    assert doubts in listed["choices"][0]["message"]["content"]
    assert "rely on them" not in other["choices"][0]["message"]["content"]
    assert [one["support"] for one in other["checked_sentences"]][1] == "unsupported"
    assert streamed.text.count('"checked_sentences":[') == 1
