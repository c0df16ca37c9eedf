"""What must be approved first is quoted nowhere and given to no language model, and answers say so."""

import json
from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mh_common.access_settings import AuthSettings
from mh_common.fields import ReviewState, RiskLevel
from mh_common.models import Answer, Conversation
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, StubOpenAI
from mh_devtools.testing.fixtures import ConversationTable, MakeConversation, RunApp, ServeApp, WriteIndex
from mh_devtools.testing.waiting import eventually
from rag_api.settings import AnswersSettings, Settings

ASKED = "How do I help a patient who cannot fall asleep?"
MARK = "Zanzibar"
"""In each text that must not be used."""
WAITING = "about this, but not yet approved: a curator can review"
CHATS = [{"role": "user", "content": ASKED}]


class MakeRow(Protocol):
    """Makes a conversation about sleep with the mark in it."""

    def __call__(
        self, key: int, state: ReviewState = ReviewState.UNREVIEWED, level: RiskLevel | None = None
    ) -> Conversation: ...


@pytest.fixture
def row(conversation: MakeConversation) -> MakeRow:
    def make(key: int, state: ReviewState = ReviewState.UNREVIEWED, level: RiskLevel | None = None) -> Conversation:
        made = conversation(
            key,
            f"I cannot fall asleep in {MARK} {key}",
            f"Keep the same hours each day in {MARK}. Write worries down in {MARK}.",
        )
        return made.model_copy(update={"review_state": state, "risk_level": level})

    return make


@pytest.fixture
async def usable(index: WriteIndex, conversation: MakeConversation) -> Conversation:
    """A conversation that may always be used."""
    made = conversation(1, "I cannot fall asleep", "Rise at the same hour every day.")
    approved = made.model_copy(update={"review_state": ReviewState.APPROVED, "risk_level": RiskLevel.NONE})
    await index([approved])
    return approved


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


def with_rule(settings: Settings, **rule: bool) -> Settings:
    answers = AnswersSettings(time_limit=20, max_retries=0, **rule)
    return settings.model_copy(update={"answers": answers})


async def ask(client: httpx.AsyncClient, **more: Any) -> Answer:
    response = await client.post("/api/v1/answers", json={"question": ASKED, "top_k": 5, **more})
    assert response.status_code == 200, response.text
    return Answer.model_validate(response.json())


async def everything(http: httpx.AsyncClient, url: str) -> dict[str, str]:
    """Return all that each integration says about the question."""
    answers = f"{url}/api/v1/answers"
    said = {
        "answer": await http.post(answers, json={"question": ASKED}),
        "stream": await http.post(answers, json={"question": ASKED}, headers={"Accept": "text/event-stream"}),
        "chat": await http.post(f"{url}/api/chat", json={"user_message": ASKED}),
        "completion": await http.post(url + CHAT, json={"model": "mental-health", "messages": CHATS}),
        "chunks": await http.post(url + CHAT, json={"model": "mental-health", "messages": CHATS, "stream": True}),
        "dify": await http.post(f"{url}/retrieval", json={"knowledge_id": "conversations", "query": ASKED}),
        "prompt": await http.post(f"{url}/search-simple", json={"query": ASKED}),
    }
    for name, response in said.items():
        assert response.status_code == 200, (name, response.text)
    async with (
        httpx2.AsyncClient(timeout=30) as client,
        Client(streamable_http_client(f"{url}/mcp", http_client=client)) as mcp,
    ):
        result = await mcp.call_tool("ask", {"question": ASKED})
    return {**{name: response.text for name, response in said.items()}, "mcp": result.model_dump_json()}


@pytest.mark.parametrize("generated", [False, True], ids=["quotes", "model"])
@pytest.mark.parametrize(
    ("rule", "state", "level"),
    [
        ({}, ReviewState.REJECTED, RiskLevel.NONE),
        ({"approved_only": True}, ReviewState.UNREVIEWED, None),
        ({"risk_needs_approval": True}, ReviewState.UNREVIEWED, RiskLevel.ACUTE),
    ],
    ids=["rejected", "unreviewed", "at risk"],
)
@pytest.mark.parametrize("lagging", [False, True], ids=["index says so", "only the row says so"])
async def test_what_is_held_back_appears_in_no_reply_no_prompt_and_no_history(
    served: ServeApp,
    settings: Settings,
    with_model: Settings,
    usable: Conversation,
    index: WriteIndex,
    row: MakeRow,
    table: ConversationTable,
    stub: StubOpenAI,
    conversations_stub: StubConversations,
    http: httpx.AsyncClient,
    generated: bool,
    rule: dict[str, bool],
    state: ReviewState,
    level: RiskLevel | None,
    lagging: bool,
) -> None:
    stub.reply = "Rise at the same hour every day [1]."
    held = [row(key, state, level) for key in (2, 3, 4)]
    # Another answer to a question that may be used.
    held.append(row(5, state, level).model_copy(update={"question": usable.question}))
    fresh = {"review_state": ReviewState.APPROVED, "risk_level": RiskLevel.NONE}
    await index([one.model_copy(update=fresh) if lagging else one for one in held])
    # What the conversations API says counts, even if the index has not heard of it.
    table.update({one.id: one for one in held})
    conversations_stub.history.clear()
    with served(with_rule(with_model if generated else settings, **rule)) as url:
        stub.requests.clear()
        said = await everything(http, url)
        found = (await http.post(f"{url}/api/v1/search", json={"query": ASKED, "group_by": "none"})).json()["hits"]
        await eventually(lambda: len(conversations_stub.history) == 6)
    for name, text in said.items():
        assert MARK not in text, name
        assert "same hour every day" in text, name
    assert MARK not in json.dumps([one.body for one in stub.requests if one.path == CHAT])
    assert any(one.path == CHAT for one in stub.requests) is generated
    assert not [one for one in conversations_stub.history if MARK in one.model_dump_json()]
    assert {hit.id for one in conversations_stub.history for hit in one.hits} == {usable.id}
    # A search is no answer: it shows all, and what was decided.
    assert {hit["id"]: hit["review_state"] for hit in found} == {1: "approved", **{one.id: state for one in held}}


@pytest.mark.parametrize("generated", [False, True], ids=["quotes", "model"])
async def test_every_reply_says_that_all_must_be_approved_first(
    served: ServeApp,
    settings: Settings,
    with_model: Settings,
    index: WriteIndex,
    row: MakeRow,
    stub: StubOpenAI,
    http: httpx.AsyncClient,
    generated: bool,
) -> None:
    rejected = row(4, ReviewState.REJECTED)
    await index([row(2), row(3), rejected])
    with served(with_rule(with_model if generated else settings, approved_only=True)) as url:
        stub.requests.clear()
        said = await everything(http, url)
    for name, text in said.items():
        assert MARK not in text, name
        if name != "chunks":
            assert f"2 conversations are {WAITING} them." in text, name
    assert "not yet" in said["chunks"]
    assert not [one for one in stub.requests if one.path == CHAT]
    answer = Answer.model_validate_json(said["answer"])
    assert (answer.sources, answer.held_back, answer.model) == ([], 2, "none")
    assert "Nothing relevant was found" not in answer.answer
    [record] = json.loads(said["dify"])["records"]
    assert (record["title"], record["metadata"]["held_back"]) == ("No conversation may be used", 2)
    assert 0 <= record["score"] <= 1
    assert json.loads(said["mcp"])["structured_content"]["held_back"] == 2
    assert json.loads(said["prompt"])["sources"] == []


async def test_what_was_rejected_alone_is_said_and_one_alone_is_one(
    running: RunApp, settings: Settings, index: WriteIndex, row: MakeRow
) -> None:
    await index([row(2, ReviewState.REJECTED)])
    async with running(with_rule(settings, approved_only=True)) as client:
        answer = await ask(client)
        assert answer.held_back == 0
        assert answer.answer.startswith("What was found about this was rejected when it was reviewed. So there is")
        await index([row(3)])
        answer = await ask(client)
        assert answer.answer.startswith(f"1 conversation is {WAITING} it. So there is nothing to base an answer on.")


async def test_an_empty_index_is_no_reason_to_ask_a_curator(
    running: RunApp, settings: Settings, index: WriteIndex
) -> None:
    async with running(with_rule(settings, approved_only=True)) as client:
        answer = await ask(client)
    assert (answer.answer.startswith("Nothing relevant was found"), answer.held_back) == (True, 0)


@pytest.mark.parametrize(
    ("mode", "told", "expected"),
    [("open", None, False), ("open", True, True), ("required", None, True), ("required", False, False)],
)
def test_risk_needs_approval_where_there_are_accounts_unless_the_settings_say_otherwise(
    settings: Settings, mode: Literal["open", "required"], told: bool | None, expected: bool
) -> None:
    answers = AnswersSettings(risk_needs_approval=told)
    chosen = settings.model_copy(update={"auth": AuthSettings(mode=mode), "answers": answers})
    assert chosen.risk_needs_approval is expected


async def test_low_risk_and_what_was_approved_may_be_used(
    running: RunApp, settings: Settings, index: WriteIndex, row: MakeRow
) -> None:
    await index(
        [
            row(2, ReviewState.APPROVED, RiskLevel.ACUTE),
            row(3, ReviewState.UNREVIEWED, RiskLevel.LOW),
            row(4, ReviewState.UNREVIEWED, RiskLevel.ELEVATED),
            row(5, ReviewState.UNREVIEWED, None),
        ]
    )
    async with running(with_rule(settings, risk_needs_approval=True)) as client:
        assert {one.id for one in (await ask(client)).sources} == {2, 3, 5}
    async with running(with_rule(settings, risk_needs_approval=False)) as client:
        assert {one.id for one in (await ask(client)).sources} == {2, 3, 4, 5}


async def test_others_take_the_place_of_what_may_not_be_used(
    running: RunApp, settings: Settings, usable: Conversation, index: WriteIndex, row: MakeRow, table: ConversationTable
) -> None:
    rejected = [row(key, ReviewState.REJECTED) for key in range(2, 12)]
    await index([one.model_copy(update={"review_state": ReviewState.UNREVIEWED}) for one in rejected])
    table.update({one.id: one for one in rejected})
    async with running(with_rule(settings)) as client:
        assert [one.id for one in (await ask(client, top_k=1)).sources] == [usable.id]
