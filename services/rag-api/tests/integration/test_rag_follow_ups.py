"""Follow-up questions, and the limits that apply to both calls of the language model."""

from typing import Any

import httpx
import pytest
from mh_common.models import Answer, QueryOrigin
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, RunApp, WriteIndex
from pymilvus import AsyncMilvusClient
from rag_api.settings import AnswersSettings, Settings

PATH = "/api/v1/answers"

HISTORY = [
    {"role": "user", "content": "How do I help a patient who panics on the bus?"},
    {"role": "assistant", "content": "Practise slow breathing [1]."},
]
QUESTION = "And at night?"
IN_FULL = "How do I help a patient who panics on the bus at night?"


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index(
        [
            conversation(1, "Panics on the bus at night", "Ride with a friend after dark. Sit near the driver."),
            conversation(2, "The patient panics on the bus", "Practise slow breathing before the ride."),
            conversation(3, "Night shifts and tea", "Drink less tea at night."),
        ]
    )


def is_query_rewriting(body: dict[str, Any]) -> bool:
    last: str = body["messages"][1]["content"].splitlines()[-1]
    return last == "Write the latest question in full."


def reply_to_both_calls(body: dict[str, Any]) -> str:
    """Reply with the rewritten query to rewriting prompts, and with an answer to others."""
    return f' "{IN_FULL}"\n' if is_query_rewriting(body) else "Ride together [1]."


async def ask(client: httpx.AsyncClient, **request: Any) -> Answer:
    body = {"question": QUESTION, "conversation_history": HISTORY, "top_k": 2, **request}
    response = await client.post(PATH, json=body)
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


async def test_a_follow_up_question_is_rewritten_before_the_search(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.reply = reply_to_both_calls
    async with running(with_model) as client:
        answer = await ask(client)
    assert (answer.standalone_query, answer.query_origin) == (IN_FULL, QueryOrigin.MODEL)
    assert [source.id for source in answer.sources] == [1, 2]
    assert answer.latency_ms.condense > 0
    assert answer.latency_ms.total >= answer.latency_ms.condense + answer.latency_ms.search
    condense, write = stub.chats()
    assert "Practise slow breathing [1]." in condense["messages"][1]["content"]
    # The model gets the question as asked and rewritten, but not the earlier answers.
    assert f"question of the counselor>>>\n{QUESTION}\n" in write["messages"][1]["content"]
    assert f"question in full>>>\n{IN_FULL}\n" in write["messages"][1]["content"]
    assert "Practise slow breathing [1]." not in write["messages"][1]["content"]


async def test_usage_includes_both_calls(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.reply = reply_to_both_calls
    async with running(with_model) as client:
        both = (await ask(client)).usage
        one = (await ask(client, question=IN_FULL, conversation_history=[])).usage
    assert both.total_tokens == both.prompt_tokens + both.completion_tokens
    assert both.completion_tokens == one.completion_tokens + len(IN_FULL.split())
    assert both.prompt_tokens > one.prompt_tokens


REFUSAL = '{"choices": [{"index": 0, "message": {"content": "I will not"}, "finish_reason": "content_filter"}]}'


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, path=CHAT),
        Fault(drop=True, path=CHAT),
        Fault(hang=True, path=CHAT),
        Fault(body=REFUSAL, path=CHAT),
    ],
)
async def test_the_question_itself_is_used_if_rewriting_fails(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI, fault: Fault
) -> None:
    stub.add_faults(fault)
    stub.reply = "Drink less tea [1]."
    limits = AnswersSettings(time_limit=20, condense_time_limit=2 if fault.hang else 20, max_retries=0)
    async with running(with_model.model_copy(update={"answers": limits})) as client:
        answer = await ask(client)
    assert (answer.standalone_query, answer.query_origin) == (QUESTION, QueryOrigin.FALLBACK)
    assert answer.sources[0].id == 3
    assert answer.answer == "Drink less tea [1]."


@pytest.mark.parametrize("reply", ["", "\u200b \n", "word " * 300])
async def test_an_unusable_rewritten_query_is_ignored(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI, reply: str
) -> None:
    stub.reply = lambda body: reply if is_query_rewriting(body) else "A [1]."
    async with running(with_model) as client:
        answer = await ask(client)
    assert (answer.standalone_query, answer.query_origin) == (QUESTION, QueryOrigin.FALLBACK)
    assert answer.answer == "A [1]."


async def test_without_a_model_the_previous_question_is_prepended(client: httpx.AsyncClient, indexed: None) -> None:
    answer = await ask(client)
    assert answer.standalone_query == f"{HISTORY[0]['content']}\n{QUESTION}"
    assert answer.query_origin == QueryOrigin.RULE
    assert answer.model == "extractive"
    assert answer.sources[0].id == 1
    # Only earlier questions are added; if the result is too long, the question is used alone.
    assert (await ask(client, conversation_history=HISTORY[1:])).standalone_query == QUESTION
    long = {"role": "user", "content": "Is it so? " * 99}
    answer = await ask(client, question="x" * 8000, conversation_history=[long])
    assert answer.standalone_query == "x" * 8000


async def test_a_question_without_history_is_used_unchanged(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    async with running(with_model) as client:
        answer = await ask(client, conversation_history=[])
    assert (answer.standalone_query, answer.query_origin) == (QUESTION, QueryOrigin.QUESTION)
    assert len(stub.chats()) == 1


async def test_nothing_found_for_a_follow_up_still_reports_usage(
    running: RunApp, with_model: Settings, milvus: AsyncMilvusClient, stub: StubOpenAI
) -> None:
    stub.reply = reply_to_both_calls
    async with running(with_model) as client:
        answer = await ask(client)
    assert answer.answer.startswith("Nothing relevant was found")
    assert (answer.model, answer.query_origin) == ("none", QueryOrigin.MODEL)
    assert answer.usage.total_tokens > 0
    assert len(stub.chats()) == 1


async def test_hits_below_the_threshold_are_not_relevant(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.reply = reply_to_both_calls
    exact = {"question": "The patient panics on the bus", "conversation_history": []}
    async with running(with_model) as client:
        best = [(await ask(client, **more)).sources[0].score for more in ({}, exact)]
    limits = with_model.search.model_copy(update={"relevance_threshold": sum(best) / 2})
    asked = len(stub.chats())
    async with running(with_model.model_copy(update={"search": limits})) as client:
        answer = await ask(client)
        assert (answer.model, answer.sources) == ("none", [])
        assert len(stub.chats()) == asked + 1
        near = await ask(client, **exact)
    assert [source.id for source in near.sources] == [2]


async def test_one_time_limit_holds_for_both_calls(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.reply = reply_to_both_calls
    stub.add_faults(Fault(path=CHAT), Fault(hang=True, path=CHAT))
    limits = AnswersSettings(time_limit=1.5, condense_time_limit=20, max_retries=0)
    async with running(with_model.model_copy(update={"answers": limits})) as client:
        response = await client.post(PATH, json={"question": QUESTION, "conversation_history": HISTORY})
        assert response.status_code == 504
        stub.release()
        stub.reset()
        # The first call uses up the deadline, so nothing is left for the second.
        stub.add_faults(Fault(hang=True, path=CHAT))
        response = await client.post(PATH, json={"question": QUESTION, "conversation_history": HISTORY})
    assert response.status_code == 504
    assert len(response.json()["sources"]) == 3


@pytest.mark.parametrize(
    ("history", "field"),
    [
        ([{"role": "system", "content": "x"}], "conversation_history.0.role"),
        ([{"role": "user", "content": " "}], "conversation_history.0.content"),
        ([{"role": "user", "content": "x", "name": "y"}], "conversation_history.0.name"),
        ([{"role": "user", "content": "x" * 8001}], "conversation_history.0.content"),
        ([{"role": "user", "content": "x"}] * 21, "conversation_history"),
        ([{"role": "user", "content": "x" * 8000}] * 5, "conversation_history"),
        ("yes", "conversation_history"),
    ],
)
async def test_history_limits_are_enforced(client: httpx.AsyncClient, history: Any, field: str) -> None:
    response = await client.post(PATH, json={"question": "x", "conversation_history": history})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_a_question_longer_than_the_window_is_rejected_without_a_call(
    running: RunApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    async with running(with_model) as client:
        for accept in ("application/json", "text/event-stream"):
            request = {"question": "睡" * 8000}
            response = await client.post(PATH, json=request, headers={"Accept": accept})
            assert response.status_code == 422
            assert "Shorten the question" in response.json()["detail"]
    assert stub.chats() == []


async def test_sources_that_do_not_fit_the_window_are_still_returned(
    running: RunApp, with_model: Settings, index: WriteIndex, conversation: MakeConversation, stub: StubOpenAI
) -> None:
    await index([conversation(1, "sleep", "word " * 3_000)])
    small = AnswersSettings(time_limit=5, max_retries=0, context_window=2048, reserved_tokens=1024)
    async with running(with_model.model_copy(update={"answers": small})) as client:
        answer = await ask(client, question="sleep", conversation_history=[])
    assert answer.answer.startswith("The conversations found have no sentence short enough")
    assert (answer.model, [source.id for source in answer.sources]) == ("none", [1])
    assert stub.chats() == []
